/* Whether this machine can run an image's programs: its own, or others through
 * binfmt_misc. */
#include <fcntl.h>
#include <string.h>

#include "build/run.h"
#include "os/file.h"

/* QEMU's names of GOARCH's architectures, as Debian's qemu-user-static registers them. */
static const char *const qemu_names[][2] = {
	{ "amd64", "x86_64" }, { "arm64", "aarch64" },     { "arm", "arm" },
	{ "386", "i386" },     { "riscv64", "riscv64" },   { "ppc64le", "ppc64le" },
	{ "s390x", "s390x" },  { "mips64le", "mips64el" }, { "loong64", "loongarch64" },
};

/* Registered, enabled, and with flag F: the interpreter was opened when it was
 * registered, so that it is there in any root file system. */
static bool registered(const char *arch)
{
	AUTO_BUF path = BUF_INIT, text = BUF_INIT;
	const char *flags;
	struct err ignored;

	for (size_t i = 0; i < ARRAY_LEN(qemu_names); i++)
		if (!strcmp(qemu_names[i][0], arch))
			buf_addf(&path, "/proc/sys/fs/binfmt_misc/qemu-%s",
			         qemu_names[i][1]);
	if (!path.len || file_read(AT_FDCWD, path.s, &text, 4096, &ignored) < 0)
		return false;
	flags = strstr(text.s, "\nflags:");
	return !strncmp(text.s, "enabled", 7) && flags &&
	       memchr(flags, 'F', strcspn(flags + 1, "\n") + 1);
}

int run_can_execute(const struct platform *image, struct err *e)
{
	char theirs[100], ours[100];
	struct platform host;

	platform_host(&host);
	if (platform_fits(&host, image) ||
	    (!strcmp(host.arch, "amd64") && !strcmp(image->arch, "386")))
		return 0;
	if (strcmp(image->os, host.os) == 0 && registered(image->arch))
		return 0;
	return err_set(
		e, ERR_INVALID,
		"the image is for %s and this machine is %s; install qemu-user-static, so that "
		"binfmt_misc runs its programs",
		platform_text(image, theirs), platform_text(&host, ours));
}

#include "sandbox/foreign.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/fd.h"
#include "sandbox/clone.h"
#include "sandbox/exec.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif
#ifndef EM_LOONGARCH
#define EM_LOONGARCH 258
#endif

enum { FILE_SIZE = 4096, ADDRESS = 0x10000 };

struct machine {
	const char *arch;
	unsigned char elf_class, data;
	uint16_t number;
	uint32_t flags;
};

static const struct machine machines[] = {
	{ "amd64", ELFCLASS64, ELFDATA2LSB, EM_X86_64, 0 },
	{ "386", ELFCLASS32, ELFDATA2LSB, EM_386, 0 },
	{ "arm64", ELFCLASS64, ELFDATA2LSB, EM_AARCH64, 0 },
	{ "arm", ELFCLASS32, ELFDATA2LSB, EM_ARM, 0x5000000 }, /* EABI 5 */
	{ "riscv64", ELFCLASS64, ELFDATA2LSB, EM_RISCV, 0 },
	{ "ppc64le", ELFCLASS64, ELFDATA2LSB, EM_PPC64, 2 }, /* ABI 2 */
	{ "s390x", ELFCLASS64, ELFDATA2MSB, EM_S390, 0 },
	{ "mips64le", ELFCLASS64, ELFDATA2LSB, EM_MIPS, 0x60000000 }, /* release 2 */
	{ "loong64", ELFCLASS64, ELFDATA2LSB, EM_LOONGARCH, 0 },
};

struct writer {
	unsigned char *at;
	const struct machine *m;
};

static void put(struct writer *w, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		w->at[i] = (unsigned char)(value >> 8 * (w->m->data == ELFDATA2LSB
		                                                 ? i
		                                                 : size - 1 - i));
	w->at += size;
}

/* A program that is one page of zeros, as the ELF headers say that stand at its start: it
 * need only begin, and ends as soon as it has. Fields in the order of elf(5). */
static void write_program(const struct machine *m, unsigned char file[FILE_SIZE])
{
	bool wide = m->elf_class == ELFCLASS64;
	size_t word = wide ? 8 : 4;
	size_t header = wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
	size_t entry = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	struct writer w = { file + EI_NIDENT, m };

	memcpy(file, ELFMAG, SELFMAG);
	file[EI_CLASS] = m->elf_class;
	file[EI_DATA] = m->data;
	file[EI_VERSION] = EV_CURRENT;
	put(&w, ET_EXEC, 2);
	put(&w, m->number, 2);
	put(&w, EV_CURRENT, 4);
	put(&w, ADDRESS + FILE_SIZE / 2, word);
	put(&w, header, word); /* where the program headers are */
	put(&w, 0, word);
	put(&w, m->flags, 4);
	put(&w, header, 2);
	put(&w, entry, 2);
	put(&w, 1, 2);
	w.at = file + header;
	put(&w, PT_LOAD, 4);
	if (wide)
		put(&w, PF_R | PF_X, 4);
	put(&w, 0, word);
	put(&w, ADDRESS, word);
	put(&w, ADDRESS, word);
	put(&w, FILE_SIZE, word);
	put(&w, FILE_SIZE, word);
	if (!wide)
		put(&w, PF_R | PF_X, 4);
	put(&w, FILE_SIZE, word);
}

/* A copy of one thread of many: system calls only. Where nothing of the host is in sight,
 * if that can be had. */
static _Noreturn void start_program(int program, int report)
{
	struct rlimit none = { 0, 0 }, second = { 1, 1 };
	const char *const argv[] = { "foreign", NULL }, *const env[] = { NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), reason;

	for (int i = 0; i < 3; i++)
		dup2(null, i);
	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_CPU, &second);
	if (geteuid() == 0 || unshare(CLONE_NEWUSER) == 0)
		if (chroot("/proc/self/fdinfo") == 0 && chdir("/") < 0)
			exec_end(1);
	/* A file that would be closed is none that an interpreter could read. */
	fcntl(program, F_SETFD, 0);
	syscall(SYS_execveat, program, "", argv, env, AT_EMPTY_PATH);
	reason = errno;
	exec_end(write(report, &reason, sizeof(reason)) < 0);
}

/* What exec said of it; 0: it ran. */
static int run_program(int program, int *reason, struct err *e)
{
	int fds[2], status;
	pid_t pid;
	ssize_t n;

	*reason = 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	pid = clone_child(0, -1, NULL);
	if (pid == 0)
		start_program(program, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return err_sys(e, "start a process");
	}
	do
		n = read(fds[0], reason, sizeof(*reason));
	while (n < 0 && errno == EINTR);
	close(fds[0]);
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return 0;
}

static int open_memory(void)
{
	int fd = memfd_create("foreign", MFD_CLOEXEC | MFD_EXEC);

	return fd < 0 && errno == EINVAL ? memfd_create("foreign", MFD_CLOEXEC) : fd;
}

int foreign_try(enum foreign *out, const char *arch, struct err *e)
{
	unsigned char file[FILE_SIZE] = { 0 };
	const struct machine *m = NULL;
	AUTO_CLOSE int program = -1;
	int reason;

	*out = FOREIGN_REFUSED;
	for (size_t i = 0; i < ARRAY_LEN(machines); i++)
		if (!strcmp(machines[i].arch, arch))
			m = &machines[i];
	if (!m)
		return 0;
	write_program(m, file);
	program = open_memory();
	if (program < 0)
		return err_sys(e, "make a file in memory");
	if (fd_write(program, file, sizeof(file), "a file in memory", e) < 0 ||
	    run_program(program, &reason, e) < 0)
		return -1;
	*out = !reason            ? FOREIGN_RUNS
	       : reason == ENOENT ? FOREIGN_OUTSIDE
	                          : FOREIGN_REFUSED;
	return 0;
}

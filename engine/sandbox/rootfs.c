/* The root: overlayfs or a copy, mounted where only this sandbox sees it. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/fd.h"
#include "sandbox/clone.h"
#include "sandbox/exec.h"
#include "sandbox/mount_call.h"
#include "sandbox/setup.h"

enum { OPTIONS_MAX = 4096 }; /* mount(2) takes one page */

struct options {
	char s[OPTIONS_MAX];
	size_t len;
	bool full;
};

static void add(struct options *o, const char *before, int fd)
{
	int n = snprintf(o->s + o->len, sizeof(o->s) - o->len, "%s%d", before, fd);

	if (n < 0 || (size_t)n >= sizeof(o->s) - o->len)
		o->full = true;
	else
		o->len += (size_t)n;
}

static int open_directory(const char *path, struct err *e)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open the directory %s", path);
	return fd;
}

/* Directories are given by the numbers of their fds, relative to /proc/self/fd: short
 * enough for hundreds, whatever their names, and /proc/mounts inside tells nothing of
 * outside. The fds stay open until the mount is made, and are closed with the rest. */
static int list_directories(const struct setup *s, struct options *o, struct err *e)
{
	const struct sandbox_spec *spec = s->spec;

	for (size_t i = spec->n_lower; i-- > 0;) {
		int fd = open_directory(spec->lower[i], e);

		if (fd < 0)
			return -1;
		add(o, i + 1 == spec->n_lower ? "lowerdir=" : ":", fd);
	}
	int upper = open_directory(spec->upper, e);
	int work = upper < 0 ? -1 : open_directory(spec->work, e);

	if (work < 0)
		return -1;
	add(o, ",upperdir=", upper);
	add(o, ",workdir=", work);
	return o->full ? err_set(e, ERR_LIMIT, "too many layers for one mount") : 0;
}

/* The kernel says more in its log than in errno. */
static int overlay_error(const struct setup *s, struct err *e)
{
	if (errno == EINVAL)
		return err_set(
			e, ERR_SYS,
			"mount the overlay: the file system of %s does not support it",
			s->spec->upper);
	return err_sys(e, "mount the overlay over %s", s->spec->upper);
}

/* volatile: what a step leaves is read by us at once, so syncing the whole disk at its
 * end would only cost. The others are what a distribution's kernel may have set
 * otherwise, and would leave marks that an image has no place for. */
static int mount_overlay(const struct setup *s, struct err *e)
{
	struct options o = { .len = 0 };
	static const char root_only[] = ",redirect_dir=off,metacopy=off";

	if (list_directories(s, &o, e) < 0)
		return -1;
	snprintf(o.s + o.len, sizeof(o.s) - o.len, ",volatile,index=off%s",
	         s->user_ns ? ",userxattr" : root_only);
	if (chdir("/proc/self/fd") < 0)
		return err_sys(e, "enter /proc/self/fd");
	/* Over the work directory: overlayfs holds on to what is below by itself. */
	if (mount("overlay", s->spec->work, "overlay", MS_NODEV | MS_NOSUID, o.s) < 0)
		return overlay_error(s, e);
	return 0;
}

/* The server: a program of the host, in its own view of the mounts, so that entering the
 * root does not move it. It ends with our pid namespace. */
static _Noreturn void fuse_main(const struct setup *s, int fuse, int gate)
{
	char mounted[32];
	const char *argv[] = { "fuse-overlayfs", "-f",    "-o",
		               s->fuse_options,  mounted, NULL };
	char *const env[] = { NULL };

	snprintf(mounted, sizeof(mounted), "/dev/fd/%d", fuse);
	/* What it has to say is not the command's output; that it fails is seen. */
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	char byte;

	if (null < 0 || fcntl(fuse, F_SETFD, 0) < 0 || read(gate, &byte, 1) != 1)
		exec_end(1);
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	execve(s->fuse, (char *const *)argv, env);
	exec_end(127);
}

static int mount_fuse(const struct setup *s, struct err *e)
{
	AUTO_CLOSE int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[128];
	struct stat st;
	int gate[2];
	pid_t pid;

	if (fuse < 0)
		return err_sys(e, "open /dev/fuse");
	if (pipe2(gate, O_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	pid = clone_child(CLONE_NEWNS, -1, NULL);
	if (pid < 0)
		return err_sys(e, "start fuse-overlayfs");
	if (pid == 0)
		fuse_main(s, fuse, gate[0]);
	snprintf(
		options, sizeof(options),
		"fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions",
		fuse);
	if (mount("fuse-overlayfs", s->spec->work, "fuse.fuse-overlayfs",
	          MS_NODEV | MS_NOSUID, options) < 0)
		return err_sys(e, "mount fuse-overlayfs");
	/* It may not read before there is a mount. */
	if (fd_write(gate[1], "", 1, "a pipe", e) < 0)
		return -1;
	fd_close(&fuse); /* so that it is seen when the server is gone */
	return stat(s->spec->work, &st) < 0 ? err_sys(e, "fuse-overlayfs does not answer")
	                                    : 0;
}

/* The upper directory has it all. */
static int mount_copy(const struct setup *s, struct err *e)
{
	AUTO_CLOSE int upper = open_directory(s->spec->upper, e);
	AUTO_CLOSE int work = upper < 0 ? -1 : open_directory(s->spec->work, e);
	AUTO_CLOSE int tree = work < 0 ? -1 : mount_clone(upper, "", 0, e);

	return tree < 0 ? -1 : mount_attach(tree, work, "the root file system", e);
}

static int mount_root(const struct setup *s, struct err *e)
{
	switch (s->rootfs) {
	case SANDBOX_OVERLAY: return mount_overlay(s, e);
	case SANDBOX_FUSE_OVERLAY: return mount_fuse(s, e);
	case SANDBOX_COPY: return mount_copy(s, e);
	case SANDBOX_NO_ROOTFS: break;
	}
	return err_set(e, ERR_FAILED, "no root file system can be made here");
}

int rootfs_mount(const struct setup *s, struct err *e)
{
	if (mount_root(s, e) < 0)
		return -1;
	return open_directory(s->spec->work, e);
}

int rootfs_enter(int root, struct err *e)
{
	/* The old root comes to lie on the new one, and is taken off: no directory is
	 * needed for it. */
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sys(e, "enter the root file system");
	if (umount2(".", MNT_DETACH) < 0)
		return err_sys(e, "leave the old root");
	if (chdir("/") < 0)
		return err_sys(e, "enter the root file system");
	return 0;
}

int rootfs_chroot(int root, struct err *e)
{
	if (fchdir(root) < 0 || chroot(".") < 0)
		return err_sys(e, "enter the root file system (chroot)");
	return 0;
}

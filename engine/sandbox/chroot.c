#include "sandbox/chroot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "sandbox/copy.h"
#include "sandbox/procs.h"
#include "sandbox/target.h"

enum { KILL_S = 10, PAUSE_NS = 5000000 };

struct covered {
	int parent;         /* of what is there now, in the root */
	struct stat before; /* of parent, whose times are put back */
	char *name;
	char *saved; /* where in the work directory that waits which was there; or NULL */
	int cache;   /* it is this directory, moved from `home`; or -1 */
	char *home;
};

/* Where the kernel says that it is: no symlinks in it. NULL: nowhere any more, which the
 * kernel says by " (deleted)" behind the path, where the command may have put something.
 */
static char *path_of(int fd)
{
	char link[32], path[PATH_MAX];
	struct stat is, there;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return NULL;
	path[n] = '\0';
	if (path[0] != '/' || fstat(fd, &is) < 0 || lstat(path, &there) < 0 ||
	    is.st_dev != there.st_dev || is.st_ino != there.st_ino)
		return NULL;
	return mem_strdup(path);
}

static bool in_root(const struct chroot_place *c, const char *path)
{
	size_t n = c->path ? strlen(c->path) : 0;

	return n && !strncmp(path, c->path, n) && path[n] == '/';
}

static void made(void *self, const char *path)
{
	strlist_add(self, path);
}

/* The place of a target that is there, by its directory and name. */
static int locate(const struct chroot_place *c, int target, const char *path,
                  struct covered *out, struct err *e)
{
	AUTO_FREE char *at = path_of(target);
	char *slash;

	if (!at || !in_root(c, at))
		return err_set(e, ERR_INVALID, "%s: nothing can be put there", path);
	slash = strrchr(at, '/');
	*slash = '\0';
	out->name = mem_strdup(slash + 1);
	out->parent = open(at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out->parent < 0 || fstat(out->parent, &out->before) < 0)
		return err_sys(e, "open the directory of %s", path);
	return 0;
}

/* Makes the place free: what is there goes aside. Returns it for what comes there. */
static struct covered *cover(struct chroot_place *c, const char *path,
                             enum target_kind kind, struct strlist *stubs, struct err *e)
{
	struct target t = { c->root, kind, made, stubs };
	AUTO_CLOSE int target = target_open(&t, path, e);
	struct covered new = { .parent = -1, .cache = -1 };
	char saved[32];
	int rc = target < 0 ? -1 : locate(c, target, path, &new, e);

	if (rc == 0) {
		snprintf(saved, sizeof(saved), "covered.%zu", c->covered.len);
		if (renameat(new.parent, new.name, c->work, saved) < 0)
			rc = err_sys(e, "make place for %s", path);
		else
			new.saved = mem_strdup(saved);
	}
	vec_push(&c->covered, new);
	return rc < 0 ? NULL : &c->covered.at[c->covered.len - 1];
}

static int make_dir(const struct covered *x, mode_t mode, struct err *e)
{
	if (mkdirat(x->parent, x->name, 0700) < 0 ||
	    fchmodat(x->parent, x->name, mode, 0) < 0)
		return err_sys(e, "make the directory %s", x->name);
	return 0;
}

static int write_file(const struct covered *x, const struct setup_file *f, struct err *e)
{
	AUTO_CLOSE int fd =
		openat(x->parent, x->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		return err_sys(e, "make %s", f->target);
	return fd_write(fd, f->data, f->len, f->target, e);
}

/* A device that does not work is worse than none: programs would write into a file. */
static int add_device(int dev, const char *name, dev_t number, struct err *e)
{
	AUTO_CLOSE int fd = -1;

	if (mknodat(dev, name, S_IFCHR | 0666, number) < 0 ||
	    fchmodat(dev, name, 0666, 0) < 0)
		return err_sys(e,
		               "make /dev/%s (a container needs the capability MKNOD "
		               "for --isolation=chroot)",
		               name);
	fd = openat(dev, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return err_set(
			e, ERR_DENIED,
			"devices do not work in the store, whose file system is "
			"mounted with nodev: choose another place with --store DIR");
	return 0; /* a terminal that is not there is no fault of the node */
}

static int fill_dev(const struct covered *x, struct err *e)
{
	static const struct {
		const char *name;
		unsigned major, minor;
	} nodes[] = { { "null", 1, 3 },   { "zero", 1, 5 },    { "full", 1, 7 },
		      { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 } };
	AUTO_CLOSE int dev = openat(x->parent, x->name,
	                            O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dev < 0)
		return err_sys(e, "open /dev of the new root");
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
		if (add_device(dev, nodes[i].name,
		               makedev(nodes[i].major, nodes[i].minor), e) < 0)
			return -1;
	if (mkdirat(dev, "shm", 0700) < 0 || fchmodat(dev, "shm", 01777, 0) < 0)
		return err_sys(e, "make /dev/shm");
	return 0;
}

/* /proc and /sys cannot be had, and are empty. */
static int put_own(struct chroot_place *c, const char *path, struct strlist *stubs,
                   struct err *e)
{
	const struct covered *x;
	struct stat st;

	if (fstatat(c->root, path + 1, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !S_ISDIR(st.st_mode))
		return err_set(e, ERR_INVALID,
		               "%s of the image is a symlink or a file, not a directory",
		               path);
	x = cover(c, path, TARGET_DIRECTORY, stubs, e);
	if (!x || make_dir(x, 0755, e) < 0)
		return -1;
	return strcmp(path, "/dev") != 0 ? 0 : fill_dev(x, e);
}

/* A cache is moved in: it is on the same file system, and ours alone meanwhile. */
static int put_cache(struct chroot_place *c, const struct sandbox_mount *m,
                     struct strlist *stubs, struct err *e)
{
	AUTO_FREE char *home = path_of(m->source);
	struct covered *x;

	if (!home || in_root(c, home))
		return err_set(e, ERR_INVALID,
		               "without mounts, a cache can be at one place only "
		               "(--isolation=chroot)");
	x = cover(c, m->target, TARGET_DIRECTORY, stubs, e);
	if (!x)
		return -1;
	if (renameat(AT_FDCWD, home, x->parent, x->name) < 0)
		return err_sys(e, "move the cache in");
	x->cache = m->source;
	x->home = STEAL(home);
	return 0;
}

static int put_bind(struct chroot_place *c, const struct sandbox_mount *m,
                    struct strlist *stubs, struct err *e)
{
	const struct covered *x;
	struct stat st;

	if (fstat(m->source, &st) < 0)
		return err_sys(e, "look at it");
	if (S_ISDIR(st.st_mode) && m->writable)
		return put_cache(c, m, stubs, e);
	if (S_ISSOCK(st.st_mode))
		return err_set(e, ERR_INVALID,
		               "a socket cannot be had without mounts "
		               "(--isolation=chroot): fetch what needs it before the "
		               "build, and copy it in");
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return err_set(e, ERR_INVALID, "it is no directory and no file");
	x = cover(c, m->target, S_ISDIR(st.st_mode) ? TARGET_DIRECTORY : TARGET_FILE,
	          stubs, e);
	return x ? copy_tree(m->source, x->parent, x->name, e) : -1;
}

static int put(struct chroot_place *c, const struct sandbox_mount *m,
               struct strlist *stubs, struct err *e)
{
	const struct covered *x;

	switch (m->kind) {
	case SANDBOX_BIND: return put_bind(c, m, stubs, e);
	case SANDBOX_TMPFS:
		x = cover(c, m->target, TARGET_DIRECTORY, stubs, e);
		return x ? make_dir(x, 01777, e) : -1;
	case SANDBOX_FILE: break;
	}
	return err_set(e, ERR_INVALID,
	               "a secret's file needs a memory file system, which cannot be "
	               "mounted here (--isolation=chroot): give it as a variable "
	               "(env = \"NAME\")");
}

/* Only the command's own changes are to be seen in them. */
static int put_times(const struct chroot_place *c, struct err *e)
{
	for (size_t i = c->covered.len; i-- > 0;) {
		const struct covered *x = &c->covered.at[i];
		const struct timespec times[2] = { x->before.st_atim, x->before.st_mtim };

		if (futimens(x->parent, times) < 0)
			return err_sys(e, "put the time of the directory of %s back",
			               x->name);
	}
	return 0;
}

static int put_all(struct chroot_place *c, const struct setup *setup,
                   struct strlist *stubs, struct err *e)
{
	static const char *const own[] = { "/proc", "/sys", "/dev" };
	const struct sandbox_spec *spec = setup->spec;

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (put_own(c, own[i], stubs, e) < 0)
			return -1;
	for (size_t i = 0; i < setup->n_files; i++) {
		const struct setup_file *f = &setup->files[i];
		const struct covered *x = cover(c, f->target, TARGET_FILE, stubs, e);

		if (!x || write_file(x, f, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (put(c, &spec->mounts[i], stubs, e) < 0)
			return err_wrap(e, "mount %s", spec->mounts[i].target);
	return put_times(c, e);
}

static int open_directory(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "open the directory %s", path) : fd;
}

int chroot_open(struct chroot_place *c, const struct setup *setup, struct strlist *stubs,
                struct err *e)
{
	const struct sandbox_spec *spec = setup->spec;

	*c = (struct chroot_place){ .root = -1, .work = -1, .mark = setup->mark };
	c->root = open_directory(spec->upper, e);
	c->work = c->root < 0 ? -1 : open_directory(spec->work, e);
	if (c->work < 0)
		return -1;
	c->path = path_of(c->root);
	if (!c->path)
		return err_set(e, ERR_NOT_FOUND,
		               "/proc is not mounted here; --isolation=chroot needs it");
	return put_all(c, setup, stubs, e);
}

/* Nothing may run in the root while things are moved out of it: what has one of them for
 * its working directory would come along. */
static int kill_rest(const struct chroot_place *c, struct err *e)
{
	AUTO_CLOSE int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct procs p = { .proc = proc, .mark = c->mark };
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	int64_t until = clock_ns() + (int64_t)KILL_S * 1000000000;
	struct stat st;

	if (proc < 0 || fstat(c->root, &st) < 0)
		return err_sys(e, "look for processes that are left");
	p.dev = st.st_dev;
	p.ino = st.st_ino;
	while (procs_signal(&p, SIGKILL) > 0) {
		if (clock_ns() > until)
			return err_set(e, ERR_FAILED,
			               "processes of the command cannot be killed");
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* It may have been moved in the root, or be gone: then the next step finds it empty. */
static int return_cache(const struct chroot_place *c, const struct covered *x,
                        struct err *e)
{
	AUTO_FREE char *at = path_of(x->cache);

	if (!at || !in_root(c, at))
		return 0;
	if (rename(at, x->home) < 0)
		return err_sys(e, "move the cache %s back", x->name);
	return 0;
}

static int uncover(const struct chroot_place *c, const struct covered *x, bool alone,
                   struct err *e)
{
	if (x->cache >= 0 && alone && return_cache(c, x, e) < 0)
		return -1;
	if (!x->saved)
		return 0;
	if (file_remove_tree(x->parent, x->name, e) < 0)
		return -1;
	/* The directory may be gone, and what was in it with it. */
	if (renameat(c->work, x->saved, x->parent, x->name) < 0 && errno != ENOENT)
		return err_sys(e, "put %s back", x->name);
	return 0;
}

int chroot_close(struct chroot_place *c, bool alone, struct err *e)
{
	int rc = c->path ? kill_rest(c, e) : 0;

	for (size_t i = c->covered.len; i-- > 0;) {
		struct covered *x = &c->covered.at[i];

		if (rc == 0)
			rc = uncover(c, x, alone, e);
		fd_close(&x->parent);
		free(x->name);
		free(x->saved);
		free(x->home);
	}
	vec_fini(&c->covered);
	fd_close(&c->root);
	fd_close(&c->work);
	free(c->path);
	return rc < 0 ? err_wrap(e, "clean up after the command") : 0;
}

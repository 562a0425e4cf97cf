#include "image/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "image/place_meta.h"
#include "os/fd.h"

/* Of openat2, which says EAGAIN when something was renamed meanwhile. */
enum { TRIES = 64 };

static int open_in_root(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	for (int i = 0; i < TRIES; i++) {
		fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
		if (fd >= 0 || (errno != EINTR && errno != EAGAIN))
			break;
	}
	return (int)fd;
}

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int open_dir(int root, const char *path)
{
	return open_in_root(root, path, O_PATH | O_DIRECTORY);
}

/* mkdir -p of the n bytes at `path`. */
static int make_dirs(int root, const char *path, size_t n, struct err *e)
{
	for (size_t end = 1; end <= n; end++) {
		AUTO_FREE char *dir = NULL, *parent = NULL;
		AUTO_CLOSE int above = -1, fd = -1;
		const char *name;

		if (end < n && path[end] != '/')
			continue;
		dir = mem_strndup(path, end);
		fd = open_dir(root, dir);
		if (fd >= 0 || errno != ENOENT)
			continue; /* what is wrong will show when all of it is opened */
		name = last_name(dir);
		parent = mem_strndup(dir, (size_t)(name - dir));
		above = open_dir(root, parent);
		if (above < 0 || mkdirat(above, name, 0755) < 0)
			return err_sys(e, "create /%s", dir);
	}
	return 0;
}

/* The directory that `path` is in, and its last name. */
static int open_parent(const struct place *p, const char *path, bool make,
                       const char **name, struct err *e)
{
	AUTO_FREE char *dir = NULL;
	size_t n;
	int fd;

	if (!*path || !toc_path_valid(path, strlen(path)))
		return err_set(e, ERR_INVALID, "'%.400s' is no path of an entry", path);
	*name = last_name(path);
	n = (size_t)(*name - path);
	n -= n > 0;
	dir = mem_strndup(path, n);
	fd = open_dir(p->root, dir);
	if (fd < 0 && errno == ENOENT && make) {
		if (make_dirs(p->root, path, n, e) < 0)
			return -1;
		fd = open_dir(p->root, dir);
	}
	return fd < 0 ? err_sys(e, "open /%s", dir) : fd;
}

static int cannot_make(const struct toc_entry *t, struct err *e)
{
	return err_sys(e, "create /%s", t->path);
}

static int set_meta(const struct place *p, int fd, const struct toc_entry *t,
                    struct err *e)
{
	const struct timespec time = { .tv_sec = t->mtime, .tv_nsec = p->nsec };

	if (place_meta(p->report, fd, t, e) < 0)
		return -1;
	if (p->nsec &&
	    utimensat(fd, "", (struct timespec[]){ time, time }, AT_EMPTY_PATH) < 0)
		return err_sys(e, "set the time of /%s", t->path);
	return 0;
}

static int is_directory(int parent, const char *name)
{
	struct stat st;

	return fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

static int make_dir(int parent, const char *name, const struct toc_entry *t,
                    struct err *e)
{
	if (mkdirat(parent, name, 0700) == 0 ||
	    (errno == EEXIST && is_directory(parent, name)))
		return 0;
	return cannot_make(t, e);
}

/* 1: made; 0: we may not. */
static int make_device(int parent, const char *name, const struct toc_entry *t,
                       struct err *e)
{
	mode_t type = t->type == TOC_CHAR ? S_IFCHR : S_IFBLK;

	if (t->type == TOC_CHAR && !t->dev_major && !t->dev_minor)
		return err_set(e, ERR_INVALID,
		               "/%s: character device 0:0, an overlay whiteout", t->path);
	if (mknodat(parent, name, type | 0600, makedev(t->dev_major, t->dev_minor)) == 0)
		return 1;
	return errno == EPERM ? 0 : cannot_make(t, e);
}

static int make_node(struct place *p, int parent, const char *name,
                     const struct toc_entry *t, struct err *e)
{
	int made = 1;

	switch (t->type) {
	case TOC_SYMLINK:
		if (symlinkat(t->link, parent, name) < 0)
			return cannot_make(t, e);
		break;
	case TOC_FIFO:
		if (mknodat(parent, name, S_IFIFO | 0600, 0) < 0)
			return cannot_make(t, e);
		break;
	case TOC_CHAR:
	case TOC_BLOCK:
		made = make_device(parent, name, t, e);
		p->report->devices_skipped += made == 0;
		break;
	default: return err_set(e, ERR_INVALID, "/%s cannot be made by itself", t->path);
	}
	return made;
}

int place_entry(struct place *p, const struct toc_entry *t, struct err *e)
{
	AUTO_CLOSE int parent = -1, fd = -1;
	const char *name;
	int made;

	if (t->type == TOC_DIR && !*t->path)
		return 0;
	parent = open_parent(p, t->path, true, &name, e);
	if (parent < 0)
		return -1;
	if (t->type == TOC_DIR)
		return make_dir(parent, name, t, e);
	made = make_node(p, parent, name, t, e);
	if (made <= 0)
		return made;
	fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open /%s", t->path);
	return set_meta(p, fd, t, e);
}

int place_file(struct place *p, const struct toc_entry *t, struct err *e)
{
	AUTO_CLOSE int parent = -1;
	const char *name;
	int fd;

	parent = open_parent(p, t->path, true, &name, e);
	if (parent < 0)
		return -1;
	fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	            0600);
	return fd < 0 ? cannot_make(t, e) : fd;
}

int place_file_end(struct place *p, int fd, const struct toc_entry *t, struct err *e)
{
	int rc = set_meta(p, fd, t, e);

	/* Some file systems only tell now that there was no room. */
	if (close(fd) < 0 && rc == 0 && errno != EINTR)
		return err_sys(e, "write /%s", t->path);
	return rc;
}

static bool cannot_move(int sys)
{
	return sys == ENOENT || sys == EINVAL || sys == ENOSYS || sys == EXDEV;
}

int place_moved(struct place *p, int dir, const char *from, const struct toc_entry *t,
                struct err *e)
{
	AUTO_CLOSE int parent = -1, fd = -1;
	const char *name;

	parent = open_parent(p, t->path, true, &name, e);
	if (parent < 0)
		return -1;
	if (renameat2(dir, from, parent, name, RENAME_NOREPLACE) < 0)
		return cannot_move(errno) ? 0 : cannot_make(t, e);
	fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open /%s", t->path);
	return set_meta(p, fd, t, e) < 0 ? -1 : 1;
}

int place_settle(struct place *p, const struct toc_entry *t, struct err *e)
{
	AUTO_CLOSE int fd = open_in_root(p->root, t->path, O_PATH | O_NOFOLLOW);

	return fd < 0 ? err_sys(e, "open /%s", t->path) : set_meta(p, fd, t, e);
}

int place_link(struct place *p, const char *path, const char *target, struct err *e)
{
	AUTO_CLOSE int from = -1, to = -1, fd = -1;
	const char *name, *target_name;
	char proc[PROC_FD_MAX];
	struct stat st;

	from = open_parent(p, target, false, &target_name, e);
	if (from < 0)
		return -1;
	to = open_parent(p, path, true, &name, e);
	if (to < 0)
		return -1;
	fd = openat(from, target_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "open /%s", target);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INVALID, "/%s: a hard link to what is no file",
		               path);
	if (linkat(AT_FDCWD, proc_fd(proc, fd), to, name, AT_SYMLINK_FOLLOW) < 0)
		return err_sys(e, "link /%s to /%s", path, target);
	return 0;
}

static int open_own_dir(const struct place *p, const char *path, struct err *e)
{
	AUTO_CLOSE int parent = -1;
	const char *name;
	int fd;

	if (!*path) {
		fd = openat(p->root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	} else {
		parent = open_parent(p, path, false, &name, e);
		if (parent < 0)
			return -1;
		fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	return fd < 0 ? err_sys(e, "open /%s", path) : fd;
}

int place_dir_end(struct place *p, const struct toc_entry *t, struct err *e)
{
	AUTO_CLOSE int fd = open_own_dir(p, t->path, e);

	return fd < 0 ? -1 : set_meta(p, fd, t, e);
}

void place_dir_reopen(struct place *p, const char *path)
{
	struct err e;
	AUTO_CLOSE int fd = open_own_dir(p, path, &e);
	char proc[PROC_FD_MAX];

	if (fd >= 0 && chmod(proc_fd(proc, fd), 0700) < 0)
		return; /* then removing what is in it will tell */
}

int place_remove(struct place *p, const char *path, struct err *e)
{
	AUTO_CLOSE int parent = -1;
	const char *name;

	parent = open_parent(p, path, false, &name, e);
	if (parent < 0)
		return e->sys == ENOENT ? 0 : -1;
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT ||
	    unlinkat(parent, name, AT_REMOVEDIR) == 0)
		return 0;
	return err_sys(e, "remove /%s", path);
}

#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/fd.h"

int file_open_beneath(int dir, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = flags & (O_CREAT | O_TMPFILE) ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	do
		fd = syscall(SYS_openat2, dir, *path ? path : ".", &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return (int)fd;
}

void file_read_ahead(int dir, const char *path)
{
	AUTO_CLOSE int fd =
		file_open_beneath(dir, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);

	if (fd >= 0)
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
}

int file_open_regular(int dir, const char *path, struct stat *st, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct stat own;
	int flags;

	if (!st)
		st = &own;
	fd = openat(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, "%s: no such file", path);
	if (fd < 0)
		return err_sys(e, "open %s", path);
	if (fstat(fd, st) < 0)
		return err_sys(e, "stat %s", path);
	if (!S_ISREG(st->st_mode))
		return err_set(e, ERR_INVALID, "%s is not a regular file", path);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return err_sys(e, "open %s", path);
	int out = fd;
	fd = -1;
	return out;
}

int file_read(int dir, const char *path, struct buf *out, size_t limit, struct err *e)
{
	AUTO_CLOSE int fd = file_open_regular(dir, path, NULL, e);

	if (fd < 0)
		return -1;
	return fd_read_all(fd, out, limit, path, e);
}

int file_read_beneath(int dir, const char *path, struct buf *out, size_t limit,
                      struct err *e)
{
	AUTO_CLOSE int fd =
		file_open_beneath(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, "%s: no such file", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INVALID, "%s is not a regular file", path);
	return fd_read_all(fd, out, limit, path, e);
}

static int sync_directory_of(int dir, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *parent =
		slash ? mem_strndup(path, (size_t)(slash - path) + 1) : mem_strdup(".");
	AUTO_CLOSE int fd = openat(dir, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open the directory of %s", path);
	return fd_sync(fd, path, e);
}

int file_replace(int dir, const char *path, const void *data, size_t n, mode_t mode,
                 struct err *e)
{
	AUTO_BUF tmp = BUF_INIT;
	AUTO_CLOSE int fd = -1;

	/* The pid keeps processes apart; a file left by a killed one is overwritten. */
	buf_addf(&tmp, "%s.tmp.%d", path, (int)getpid());
	fd = openat(dir, tmp.s, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
	            mode);
	if (fd < 0)
		return err_sys(e, "create %s", tmp.s);
	if (fd_write(fd, data, n, path, e) < 0 || fd_sync(fd, path, e) < 0) {
		unlinkat(dir, tmp.s, 0);
		return -1;
	}
	if (renameat(dir, tmp.s, dir, path) < 0) {
		err_sys(e, "replace %s", path);
		unlinkat(dir, tmp.s, 0);
		return -1;
	}
	return sync_directory_of(dir, path, e);
}

int file_mkdirs(int dir, const char *path, mode_t mode, struct err *e)
{
	AUTO_FREE char *p = mem_strdup(path);

	for (char *s = p + 1;; s++) {
		char c = *s;

		if (c && c != '/')
			continue;
		*s = '\0';
		if (*p && mkdirat(dir, p, mode) < 0 && errno != EEXIST)
			return err_sys(e, "create directory %s", p);
		if (!c)
			return 0;
		*s = c;
		if (!s[1])
			return 0;
	}
}

/* Deeper than this, directories are moved up before they are emptied: a tree may be
 * deeper than there may be open files. */
enum { REMOVE_DEPTH = 64 };

struct removal {
	int top; /* what is removed is below this directory */
	unsigned moved;
};

static int remove_below(struct removal *r, int dir, const char *path, int depth,
                        struct err *e);

static int remove_children(struct removal *r, int fd, const char *path, int depth,
                           struct err *e)
{
	DIR *d = fdopendir(fd);
	struct dirent *ent;
	int rc = 0;

	if (!d) {
		close(fd);
		return err_sys(e, "list %s", path);
	}
	while (rc == 0 && (ent = readdir(d))) {
		if (!strcmp(ent->d_name, ".") || !strcmp(ent->d_name, ".."))
			continue;
		rc = remove_below(r, dirfd(d), ent->d_name, depth + 1, e);
	}
	closedir(d);
	return rc;
}

static int open_to_empty(int dir, const char *path)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dir, path, flags);

	if (fd < 0 && errno == EACCES && fchmodat(dir, path, 0700, 0) == 0)
		fd = openat(dir, path, flags);
	return fd;
}

static void moved_name(unsigned i, char name[64])
{
	snprintf(name, 64, ".removed.%d.%u", (int)getpid(), i);
}

/* Out of a directory that is too deep, into the top one, where its turn comes later. */
static int move_up(struct removal *r, int dir, const char *path, struct err *e)
{
	char name[64];

	moved_name(r->moved++, name);
	if (renameat(dir, path, r->top, name) < 0)
		return err_sys(e, "remove %s", path);
	return 0;
}

static int remove_below(struct removal *r, int dir, const char *path, int depth,
                        struct err *e)
{
	int fd;

	if (unlinkat(dir, path, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM && errno != EACCES)
		return err_sys(e, "remove %s", path);
	if (depth > REMOVE_DEPTH)
		return move_up(r, dir, path, e);
	fd = open_to_empty(dir, path);
	if (fd < 0)
		return err_sys(e, "remove %s", path);
	if (fchmod(fd, 0700) < 0 && errno != EPERM && errno != EROFS) {
		close(fd);
		return err_sys(e, "remove %s", path);
	}
	if (remove_children(r, fd, path, depth, e) < 0)
		return -1;
	if (unlinkat(dir, path, AT_REMOVEDIR) < 0)
		return err_sys(e, "remove %s", path);
	return 0;
}

int file_remove_tree(int dir, const char *path, struct err *e)
{
	struct removal r = { .top = dir };
	int rc = remove_below(&r, dir, path, 0, e);

	for (unsigned i = 0; rc == 0 && i < r.moved; i++) {
		char name[64];

		moved_name(i, name);
		rc = remove_below(&r, dir, name, 0, e);
	}
	return rc;
}

bool file_exists(int dir, const char *path)
{
	struct stat st;

	return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

#include "sandbox/target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "os/fd.h"
#include "sandbox/mount_call.h"

enum { LINKS_MAX = 40 };

struct search {
	const struct target *t;
	const char *path;    /* as asked for */
	char done[PATH_MAX]; /* from the root, no symlinks in it; "" is the root */
	size_t done_len;
	char rest[PATH_MAX]; /* not yet looked at */
	int links;
	int fd; /* of `done` */
};

static int too_long(const struct search *s, struct err *e)
{
	return err_set(e, ERR_INVALID, "%s: too long, or too many symlinks on the way",
	               s->path);
}

/* Cuts the first component off `rest` into `name`. False at the end. */
static bool next(struct search *s, char name[NAME_MAX + 1], bool *last, bool *fits)
{
	size_t start = strspn(s->rest, "/");
	size_t n = strcspn(s->rest + start, "/");
	size_t after = start + n + strspn(s->rest + start + n, "/");

	*fits = n <= NAME_MAX;
	if (!n || !*fits)
		return false;
	memcpy(name, s->rest + start, n);
	name[n] = '\0';
	*last = !s->rest[after];
	memmove(s->rest, s->rest + start + n, strlen(s->rest + start + n) + 1);
	return true;
}

static int reopen(struct search *s, struct err *e)
{
	fd_close(&s->fd);
	s->fd = root_open_plain(s->t->root, s->done_len ? s->done : "/",
	                        O_PATH | O_NOFOLLOW);
	return s->fd < 0 ? err_sys(e, "%s in the image", s->path) : 0;
}

static int go_up(struct search *s, struct err *e)
{
	while (s->done_len && s->done[--s->done_len] != '/')
		continue;
	s->done[s->done_len] = '\0';
	return reopen(s, e);
}

/* Puts the text of the symlink `fd` in front of the rest. */
static int follow(struct search *s, int fd, struct err *e)
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(fd, "", text, sizeof(text));
	struct statfs fs;
	size_t rest = strlen(s->rest);

	if (n < 0 || fstatfs(fd, &fs) < 0)
		return err_sys(e, "%s in the image", s->path);
	/* Those of /proc name things outside. */
	if (fs.f_type == PROC_SUPER_MAGIC)
		return err_set(e, ERR_INVALID, "%s: leads through a link of /proc",
		               s->path);
	if (++s->links > LINKS_MAX || (size_t)n + 1 + rest >= sizeof(s->rest))
		return too_long(s, e);
	memmove(s->rest + n + 1, s->rest, rest + 1);
	s->rest[n] = '/';
	memcpy(s->rest, text, (size_t)n);
	if (text[0] != '/')
		return 0;
	s->done_len = 0;
	s->done[0] = '\0';
	return reopen(s, e);
}

static int make(struct search *s, const char *name, bool dir, struct err *e)
{
	struct stat before, top;
	/* A directory opened O_PATH has no utimensat of its own. */
	AUTO_CLOSE int parent = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int file = -1;

	if (parent < 0 || fstat(parent, &before) < 0 || fstat(s->t->root, &top) < 0)
		return err_sys(e, "make %s in the image", s->path);
	if (dir && mkdirat(parent, name, 0755) < 0)
		return err_sys(e, "make the directory %s in the image", s->path);
	if (!dir) {
		file = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC,
		              0644);
		if (file < 0)
			return err_sys(e, "make the file %s in the image", s->path);
	}
	if (!s->t->made || before.st_dev != top.st_dev)
		return 0;
	/* Only the step's own changes are to be seen in the directory's time. */
	struct timespec times[2] = { before.st_atim, before.st_mtim };

	if (futimens(parent, times) < 0)
		return err_sys(e, "put the time of the directory of %s back", s->path);
	s->t->made(s->t->self, s->done);
	return 0;
}

/* Goes to `name` in the directory we are in. */
static int enter(struct search *s, const char *name, bool last, struct err *e)
{
	size_t before = s->done_len, n = strlen(name);
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (before + 1 + n >= sizeof(s->done))
		return too_long(s, e);
	fd = openat(s->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) < 0)
		return err_sys(e, "%s in the image", s->path);
	if (fd >= 0 && S_ISLNK(st.st_mode))
		return follow(s, fd, e);
	s->done[before] = '/';
	memcpy(s->done + before + 1, name, n + 1);
	s->done_len = before + 1 + n;
	if (fd < 0) {
		if (errno != ENOENT)
			return err_sys(e, "%s in the image", s->path);
		if (make(s, name, !last || s->t->kind == TARGET_DIRECTORY, e) < 0)
			return -1;
	} else if (!last && !S_ISDIR(st.st_mode)) {
		return err_set(e, ERR_INVALID, "%s: %s in the image is no directory",
		               s->path, s->done);
	}
	return reopen(s, e);
}

static int check_kind(const struct search *s, struct err *e)
{
	struct stat st;
	bool want_dir = s->t->kind == TARGET_DIRECTORY;

	if (fstat(s->fd, &st) < 0)
		return err_sys(e, "%s in the image", s->path);
	if (S_ISDIR(st.st_mode) != want_dir)
		return err_set(e, ERR_INVALID, "%s: the image has a %s there, not a %s",
		               s->path, want_dir ? "file" : "directory",
		               want_dir ? "directory" : "file");
	return 0;
}

static int search(struct search *s, struct err *e)
{
	char name[NAME_MAX + 1];
	bool last, fits;

	if (reopen(s, e) < 0)
		return -1;
	while (next(s, name, &last, &fits)) {
		int rc = 0;

		if (strcmp(name, "..") == 0)
			rc = go_up(s, e);
		else if (strcmp(name, ".") != 0)
			rc = enter(s, name, last, e);
		if (rc < 0)
			return -1;
	}
	return fits ? check_kind(s, e) : too_long(s, e);
}

int target_open(const struct target *t, const char *path, struct err *e)
{
	struct search s = { .t = t, .path = path, .fd = -1 };

	if (path[0] != '/')
		return err_set(e, ERR_INVALID, "%s: not an absolute path", path);
	if (strlen(path) >= sizeof(s.rest))
		return too_long(&s, e);
	memcpy(s.rest, path, strlen(path) + 1);
	if (search(&s, e) < 0) {
		fd_close(&s.fd);
		return -1;
	}
	return s.fd;
}

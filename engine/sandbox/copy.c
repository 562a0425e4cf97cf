#include "sandbox/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/map.h"
#include "base/path.h"
#include "os/fd.h"
#include "os/walk.h"
#include "sandbox/diff_entry.h"
#include "sandbox/lift.h"

enum { XATTRS_MAX = 65536 };

/* A directory gets its owner, mode and time when all is in it. */
struct made_dir {
	char *path;
	struct stat st;
	bool times_only; /* it was there, and keeps what it has */
};

struct copying {
	int to;
	bool merge; /* of layers: their marks mean something, devices are made */
	bool no_devices;
	struct map seen; /* what layers above have: path → &is_dir or &is_closed */
	VEC(struct made_dir) dirs;
};

static const char is_dir[] = "d", is_closed[] = "c";

static void set_seen(struct copying *c, const char *path, const void *what)
{
	map_put(&c->seen, path, (void *)what); /* only compared */
}

static int copy_xattrs(int from, int to, const char *path, struct err *e)
{
	ssize_t n = flistxattr(from, NULL, 0), size;
	AUTO_FREE char *names = NULL, *value = NULL;

	if (n == 0 || (n < 0 && errno == EOPNOTSUPP))
		return 0;
	names = mem_alloc(XATTRS_MAX);
	value = mem_alloc(XATTRS_MAX);
	n = flistxattr(from, names, XATTRS_MAX);
	if (n < 0)
		return err_sys(e, "list the attributes of /%s", path);
	for (const char *x = names; x < names + n; x += strlen(x) + 1) {
		if (!diff_xattr_kept(x))
			continue;
		size = fgetxattr(from, x, value, XATTRS_MAX);
		if (size < 0 || fsetxattr(to, x, value, (size_t)size, 0) < 0)
			return err_sys(e, "copy the attribute %s of /%s", x, path);
	}
	return 0;
}

/* Owner before mode and capabilities, which a change of owner takes away; times last. */
static int copy_meta(int from, int to, const struct stat *st, const char *path,
                     struct err *e)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (fchown(to, st->st_uid, st->st_gid) < 0)
		return err_sys(e, "give /%s to %u:%u", path, st->st_uid, st->st_gid);
	if (copy_xattrs(from, to, path, e) < 0)
		return -1;
	if (fchmod(to, st->st_mode & 07777) < 0 || futimens(to, times) < 0)
		return err_sys(e, "set mode and time of /%s", path);
	return 0;
}

static int copy_file(struct copying *c, const struct walk_entry *w, struct err *e)
{
	AUTO_CLOSE int from =
		openat(w->dir, w->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	AUTO_CLOSE int to = -1;

	if (from < 0)
		return err_sys(e, "open /%s", w->path);
	to = openat(c->to, w->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	            0600);
	if (to < 0)
		return err_sys(e, "make /%s", w->path);
	if (lift_bytes(from, to, w->path, e) < 0)
		return -1;
	return copy_meta(from, to, &w->st, w->path, e);
}

/* By its name, which is nobody else's. */
static int end_node(const struct copying *c, const char *path, const struct stat *st,
                    struct err *e)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (fchownat(c->to, path, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "give /%s to %u:%u", path, st->st_uid, st->st_gid);
	if (!S_ISLNK(st->st_mode) && fchmodat(c->to, path, st->st_mode & 07777, 0) < 0)
		return err_sys(e, "set the mode of /%s", path);
	if (utimensat(c->to, path, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "set the time of /%s", path);
	return 0;
}

static int copy_link(struct copying *c, const struct walk_entry *w, struct err *e)
{
	char text[4096];
	ssize_t n = readlinkat(w->dir, w->name, text, sizeof(text));

	if (n < 0 || n == sizeof(text))
		return err_sys(e, "read the symlink /%s", w->path);
	text[n] = '\0';
	if (symlinkat(text, c->to, w->path) < 0)
		return err_sys(e, "make the symlink /%s", w->path);
	return end_node(c, w->path, &w->st, e);
}

static int copy_node(struct copying *c, const struct walk_entry *w, struct err *e)
{
	mode_t type = w->st.st_mode & S_IFMT;

	if (mknodat(c->to, w->path, type | 0600, w->st.st_rdev) < 0)
		return err_sys(e, "make /%s", w->path);
	return end_node(c, w->path, &w->st, e);
}

static int copy_special(struct copying *c, const struct walk_entry *w, struct err *e)
{
	bool whiteout = S_ISCHR(w->st.st_mode) && w->st.st_rdev == 0;

	if (!c->merge)
		return err_set(e, ERR_INVALID, "/%s is a device or a socket", w->path);
	if (whiteout || S_ISSOCK(w->st.st_mode) || c->no_devices)
		return 0;
	return copy_node(c, w, e);
}

static int copy_other(struct copying *c, const struct walk_entry *w, struct err *e)
{
	switch (w->st.st_mode & S_IFMT) {
	case S_IFREG: return copy_file(c, w, e);
	case S_IFLNK: return copy_link(c, w, e);
	case S_IFIFO: return copy_node(c, w, e);
	default: return copy_special(c, w, e);
	}
}

static bool is_opaque(int dir)
{
	static const char *const marks[] = { "trusted.overlay.opaque",
		                             "user.overlay.opaque" };
	char value;

	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		if (fgetxattr(dir, marks[i], &value, 1) == 1 && value == 'y')
			return true;
	return false;
}

static void note_dir(struct copying *c, const char *path, const struct stat *st,
                     bool times_only)
{
	struct made_dir d = { mem_strdup(path), *st, times_only };

	vec_push(&c->dirs, d);
}

static int make_dir(struct copying *c, const struct walk_entry *w, int from,
                    struct err *e)
{
	AUTO_CLOSE int to = -1;

	if (mkdirat(c->to, w->path, 0700) < 0)
		return err_sys(e, "make the directory /%s", w->path);
	note_dir(c, w->path, &w->st, false);
	to = openat(c->to, w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (to < 0)
		return err_sys(e, "open the directory /%s", w->path);
	return copy_xattrs(from, to, w->path, e);
}

/* Of an opaque one, layers below show nothing. */
static int visit_dir(struct copying *c, const struct walk_entry *w, struct err *e)
{
	AUTO_CLOSE int from =
		openat(w->dir, w->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool there = map_get(&c->seen, w->path);

	if (from < 0)
		return err_sys(e, "open the directory /%s", w->path);
	set_seen(c, w->path, c->merge && is_opaque(from) ? is_closed : is_dir);
	return there ? 0 : make_dir(c, w, from, e);
}

/* 1: it is the mark of a whiteout, and done with. */
static int visit_mark(struct copying *c, const struct walk_entry *w)
{
	AUTO_BUF hidden = BUF_INIT;

	if (!c->merge || strncmp(w->name, ".wh.", 4) != 0)
		return 0;
	buf_add(&hidden, w->path, strlen(w->path) - strlen(w->name));
	buf_adds(&hidden, w->name + 4);
	set_seen(c, hidden.s, is_closed);
	return 1;
}

static enum walk_next visit(void *self, const struct walk_entry *w, struct err *e)
{
	struct copying *c = self;
	const char *above = map_get(&c->seen, w->path);

	if (S_ISDIR(w->st.st_mode)) {
		if (above == is_closed)
			return WALK_SKIP;
		return visit_dir(c, w, e) < 0 ? WALK_ERROR : WALK_ON;
	}
	if (visit_mark(c, w))
		return WALK_ON;
	/* Under a directory of a layer above, it keeps that of layers below from it. */
	set_seen(c, w->path, is_closed);
	return !above && copy_other(c, w, e) < 0 ? WALK_ERROR : WALK_ON;
}

static enum walk_next visit_upper(void *self, const struct walk_entry *w, struct err *e)
{
	struct copying *c = self;
	bool dir = S_ISDIR(w->st.st_mode);

	(void)e;
	set_seen(c, w->path, dir ? is_dir : is_closed);
	if (dir)
		note_dir(c, w->path, &w->st, true);
	return WALK_ON;
}

/* From the last to the first: what is done in a directory comes before its time. */
static int end_dirs(struct copying *c, struct err *e)
{
	for (size_t i = c->dirs.len; i-- > 0;) {
		const struct made_dir *d = &c->dirs.at[i];
		const struct timespec times[2] = { d->st.st_atim, d->st.st_mtim };

		if (!d->times_only && end_node(c, d->path, &d->st, e) < 0)
			return -1;
		if (d->times_only && utimensat(c->to, d->path, times, 0) < 0)
			return err_sys(e, "set the time of /%s", d->path);
	}
	return 0;
}

static void copying_fini(struct copying *c)
{
	for (size_t i = 0; i < c->dirs.len; i++)
		free(c->dirs.at[i].path);
	vec_fini(&c->dirs);
	map_fini(&c->seen);
	fd_close(&c->to);
}

static int open_directory(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "open the directory %s", path) : fd;
}

/* The uppermost first: it decides what is at a name. */
static int merge(struct copying *c, const struct copy_options *o, struct err *e)
{
	struct walk_options w = { .visit = visit_upper, .self = c };
	struct stat root;

	if (fstat(c->to, &root) < 0)
		return err_sys(e, "stat %s", o->upper);
	note_dir(c, ".", &root, true);
	if (walk(c->to, ".", &w, e) < 0)
		return -1;
	w.visit = visit;
	for (size_t i = o->n_lower; i-- > 0;) {
		AUTO_CLOSE int from = open_directory(o->lower[i], e);

		if (from < 0 || walk(from, ".", &w, e) < 0)
			return -1;
		if (is_opaque(from))
			break;
	}
	return end_dirs(c, e);
}

int copy_layers(const struct copy_options *o, struct err *e)
{
	struct copying c = { .merge = true, .no_devices = o->no_devices };
	int rc;

	c.to = open_directory(o->upper, e);
	rc = c.to < 0 ? -1 : merge(&c, o, e);
	copying_fini(&c);
	return rc < 0 ? err_wrap(e, "copy the layers") : 0;
}

static int copy_dir(struct copying *c, int from, int dir, const char *name,
                    const struct stat *st, struct err *e)
{
	struct walk_options w = { .visit = visit, .self = c };

	if (mkdirat(dir, name, 0700) < 0)
		return err_sys(e, "make the directory %s", name);
	c->to = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (c->to < 0)
		return err_sys(e, "open the directory %s", name);
	note_dir(c, ".", st, false);
	if (copy_xattrs(from, c->to, name, e) < 0 || walk(from, ".", &w, e) < 0)
		return -1;
	return end_dirs(c, e);
}

static int copy_one(int from, int dir, const char *name, const struct stat *st,
                    struct err *e)
{
	AUTO_CLOSE int to = openat(
		dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (to < 0)
		return err_sys(e, "make %s", name);
	if (lift_bytes(from, to, name, e) < 0)
		return -1;
	return copy_meta(from, to, st, name, e);
}

int copy_tree(int from, int dir, const char *name, struct err *e)
{
	struct copying c = { .to = -1 };
	char path[32];
	AUTO_CLOSE int in = -1;
	struct stat st;
	int rc;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", from);
	in = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (in < 0 || fstat(in, &st) < 0)
		return err_sys(e, "open what is copied to %s", name);
	if (!S_ISDIR(st.st_mode))
		return copy_one(in, dir, name, &st, e);
	rc = copy_dir(&c, in, dir, name, &st, e);
	copying_fini(&c);
	return rc;
}

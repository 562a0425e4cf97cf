#include "os/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/vec.h"
#include "os/fd.h"

enum { OPEN_MAX_LEVELS = 32 };

/* A directory on the way down. */
struct level {
	struct buf names;  /* for each entry: its d_type, name, NUL */
	VEC(size_t) order; /* where in `names`, sorted */
	size_t next;       /* the entry to do next, in `order` */
	size_t path_len;   /* of the directory's own path */
	int fd;            /* -1: closed to save descriptors, see reopen */
	dev_t dev;
	ino_t ino;
};

struct walk {
	const struct walk_options *o;
	const char *root; /* for messages */
	struct buf path;  /* of the current entry */
	VEC(struct level) levels;
};

static int fail(const struct walk *w, const char *what, struct err *e)
{
	return err_sys(e, "%s %s%s%s", what, w->root, w->path.len ? "/" : "", w->path.s);
}

static struct level *top(struct walk *w)
{
	return &w->levels.at[w->levels.len - 1];
}

static void drop_top(struct walk *w)
{
	struct level *l = top(w);

	buf_fini(&l->names);
	vec_fini(&l->order);
	fd_close(&l->fd);
	w->levels.len--;
}

static int compare(const void *a, const void *b, void *names)
{
	const char *s = names;

	return strcmp(s + *(const size_t *)a + 1, s + *(const size_t *)b + 1);
}

/* The kernel's own record, which libc's readdir would copy piecemeal under a lock. */
struct record {
	uint64_t ino;
	int64_t off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

static void take_records(struct level *l, const char *data, size_t n)
{
	for (size_t at = 0; at < n;) {
		const struct record *r = (const void *)(data + at);

		at += r->reclen;
		if (!strcmp(r->name, ".") || !strcmp(r->name, ".."))
			continue;
		vec_push(&l->order, l->names.len);
		buf_addc(&l->names, (char)r->type);
		buf_add(&l->names, r->name, strlen(r->name) + 1);
	}
}

static int list(struct walk *w, struct level *l, struct err *e)
{
	_Alignas(struct record) char data[32 * 1024];
	long n;

	while ((n = syscall(SYS_getdents64, l->fd, data, sizeof(data))) > 0)
		take_records(l, data, (size_t)n);
	if (n < 0 && errno != ENOENT) /* ENOENT: removed while open */
		return fail(w, "list", e);
	if (l->order.len)
		qsort_r(l->order.at, l->order.len, sizeof(size_t), compare, l->names.s);
	return 0;
}

/* Takes `fd` over. The walk's path is the directory's. */
static int push(struct walk *w, int fd, const struct stat *st, struct err *e)
{
	struct level l = {
		.names = BUF_INIT,
		.path_len = w->path.len,
		.fd = fd,
		.dev = st->st_dev,
		.ino = st->st_ino,
	};

	vec_push(&w->levels, l);
	if (w->levels.len > OPEN_MAX_LEVELS)
		fd_close(&w->levels.at[w->levels.len - 1 - OPEN_MAX_LEVELS].fd);
	return list(w, top(w), e);
}

/* Goes back up to a directory that was closed, through `..` of the one below it, and
 * makes sure that it is the same: a directory may have been moved meanwhile. */
static int reopen(struct walk *w, int below, struct level *l, struct err *e)
{
	struct stat st;

	if (l->fd >= 0)
		return 0;
	l->fd = openat(below, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->fd < 0 || fstat(l->fd, &st) < 0)
		return fail(w, "open", e);
	if (st.st_dev != l->dev || st.st_ino != l->ino)
		return err_set(e, ERR_INVALID, "%s/%s was moved while it was read",
		               w->root, w->path.s);
	return 0;
}

static int pop(struct walk *w, struct err *e)
{
	int rc = 0;

	if (w->levels.len > 1) {
		buf_truncate(&w->path, top(w)->path_len);
		rc = reopen(w, top(w)->fd, &w->levels.at[w->levels.len - 2], e);
	}
	drop_top(w);
	return rc;
}

static int enter(struct walk *w, const struct walk_entry *entry, struct err *e)
{
	int fd = openat(entry->dir, entry->name,
	                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return fail(w, "open", e);
	if (fstat(fd, &st) < 0) {
		fail(w, "open", e);
		fd_close(&fd);
		return -1;
	}
	return push(w, fd, &st, e);
}

/* Whether the entry is a directory: 1, 0, or -1 when it has vanished. */
static int is_directory(int dir, const char *name, unsigned char type)
{
	struct stat st;

	if (type != DT_UNKNOWN)
		return type == DT_DIR;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	return S_ISDIR(st.st_mode);
}

static int visit(struct walk *w, const char *record, struct err *e)
{
	struct walk_entry entry = { .name = record + 1, .dir = top(w)->fd };
	int is_dir;

	buf_truncate(&w->path, top(w)->path_len);
	buf_addf(&w->path, "%s%s", w->path.len ? "/" : "", entry.name);
	entry.path = w->path.s;
	if (w->o->want) {
		is_dir = is_directory(entry.dir, entry.name, (unsigned char)*record);
		if (is_dir < 0 || !w->o->want(w->o->self, entry.path, is_dir))
			return 0;
	}
	if (fstatat(entry.dir, entry.name, &entry.st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail(w, "stat", e);
	switch (w->o->visit(w->o->self, &entry, e)) {
	case WALK_ERROR: return -1;
	case WALK_SKIP: return 0;
	case WALK_ON: break;
	}
	return S_ISDIR(entry.st.st_mode) ? enter(w, &entry, e) : 0;
}

static int run(struct walk *w, struct err *e)
{
	while (w->levels.len) {
		struct level *l = top(w);
		int rc = l->next < l->order.len
		                 ? visit(w, l->names.s + l->order.at[l->next++], e)
		                 : pop(w, e);

		if (rc < 0)
			return -1;
	}
	return 0;
}

int walk(int dir, const char *path, const struct walk_options *o, struct err *e)
{
	struct walk w = { .o = o, .root = path, .path = BUF_INIT };
	struct walk_entry start = { .name = *path ? path : ".", .dir = dir };
	AUTO_CLOSE int fd = openat(dir, start.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (fd < 0 || fstat(fd, &start.st) < 0)
		return fail(&w, "open", e);
	rc = push(&w, fd, &start.st, e);
	fd = -1;
	if (rc == 0)
		rc = run(&w, e);
	while (w.levels.len)
		drop_top(&w);
	vec_fini(&w.levels);
	buf_fini(&w.path);
	return rc;
}

#include "os/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/vec.h"
#include "os/fd.h"
#include "os/file.h"

/* Shared by the threads of one scan. */
struct scanning {
	const struct scan_options *o;
	int dir;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	VEC(struct scan_dir *) waiting; /* directories to be read, the next one last */
	int active;                     /* threads that read one */
	struct err err;
	char *failed; /* where `err` is from; NULL: nothing failed */
};

/* One thread's memory. */
struct reader {
	struct scanning *s;
	struct buf names;     /* for each name: its d_type, name, NUL */
	VEC(size_t) order;    /* where in `names` */
	char data[32 * 1024]; /* from the kernel */
};

/* Of several errors the first by name is told. */
static void fail(struct scanning *s, const char *path, const struct err *e)
{
	pthread_mutex_lock(&s->lock);
	if (!s->failed || strcmp(path, s->failed) < 0) {
		free(s->failed);
		s->failed = mem_strdup(path);
		s->err = *e;
	}
	pthread_mutex_unlock(&s->lock);
}

/* The kernel's own record, which libc's readdir would copy piecemeal under a lock. */
struct record {
	uint64_t ino;
	int64_t off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

static void take_records(struct reader *r, size_t n)
{
	for (size_t at = 0; at < n;) {
		const struct record *x = (const void *)(r->data + at);

		at += x->reclen;
		if (!strcmp(x->name, ".") || !strcmp(x->name, ".."))
			continue;
		vec_push(&r->order, r->names.len);
		buf_addc(&r->names, (char)x->type);
		buf_add(&r->names, x->name, strlen(x->name) + 1);
	}
}

static int compare(const void *a, const void *b, void *names)
{
	const char *s = names;

	return strcmp(s + *(const size_t *)a + 1, s + *(const size_t *)b + 1);
}

static int list(struct reader *r, int fd, const char *path, struct err *e)
{
	long n;

	buf_reset(&r->names);
	r->order.len = 0;
	while ((n = syscall(SYS_getdents64, fd, r->data, sizeof(r->data))) > 0)
		take_records(r, (size_t)n);
	if (n < 0 && errno != ENOENT) /* ENOENT: removed while open */
		return err_sys(e, "list %s", path);
	if (r->order.len)
		qsort_r(r->order.at, r->order.len, sizeof(size_t), compare, r->names.s);
	return 0;
}

static struct scan_dir *new_dir(const char *path, uint64_t dev, uint64_t ino)
{
	struct scan_dir *d = mem_alloc(sizeof(*d));

	d->path = path;
	d->dev = dev;
	d->ino = ino;
	return d;
}

/* `known` is what the directory says of its type. 1: *x is filled; 0: not wanted, or
 * gone.
 */
static int look_at(const struct scan_options *o, int fd, struct scan_entry *x,
                   unsigned char known, unsigned *what, struct err *e)
{
	bool is_dir = known == DT_DIR;
	struct stat st;

	*what = known == DT_UNKNOWN ? 0 : o->choose(o->self, x->path, is_dir);
	if (known != DT_UNKNOWN && !*what)
		return 0;
	if (fstatat(fd, x->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "stat %s", x->path);
	if (known == DT_UNKNOWN || S_ISDIR(st.st_mode) != is_dir)
		*what = o->choose(o->self, x->path, S_ISDIR(st.st_mode));
	stamp_of(&x->stamp, &st);
	x->mtime = st.st_mtim.tv_sec;
	x->mode = st.st_mode;
	x->linked = S_ISREG(st.st_mode) && st.st_nlink > 1;
	x->taken = (*what & SCAN_TAKE) != 0;
	return *what != 0;
}

/* Paths of all entries in one block: each is the directory's, a slash, and the name. */
static size_t path_prefix(const struct scan_dir *d)
{
	return strcmp(d->path, ".") ? strlen(d->path) + 1 : 0;
}

static int add_entries(struct reader *r, struct scan_dir *d, int fd, struct err *e)
{
	const struct scan_options *o = r->s->o;
	size_t before = path_prefix(d);
	char *at = d->names = mem_grow(NULL, r->order.len * before + r->names.len + 1, 1);

	d->at = mem_grow(NULL, r->order.len + 1, sizeof(*d->at));
	for (size_t i = 0; i < r->order.len; i++) {
		const char *record = r->names.s + r->order.at[i];
		size_t n = strlen(record + 1) + 1;
		struct scan_entry *x = &d->at[d->n];
		unsigned what;
		int found;

		*x = (struct scan_entry){ .path = at, .name = at + before };
		if (before) {
			memcpy(at, d->path, before - 1);
			at[before - 1] = '/';
		}
		memcpy(at + before, record + 1, n);
		found = look_at(o, fd, x, (unsigned char)*record, &what, e);
		if (found < 0)
			return -1;
		if (!found)
			continue;
		if (x->taken && o->look)
			o->look(o->self, d, x);
		if (what & SCAN_ENTER && S_ISDIR(x->mode))
			x->below = new_dir(x->path, x->stamp.dev, x->stamp.ino);
		at += before + n;
		d->n++;
	}
	return 0;
}

static int read_dir(struct reader *r, struct scan_dir *d, struct err *e)
{
	const struct scan_options *o = r->s->o;
	/* Where a scan starts is where it was told to, by links or not. */
	AUTO_CLOSE int fd = file_open_beneath(
		r->s->dir, d->path,
		O_RDONLY | O_DIRECTORY | O_NONBLOCK | (d->ino ? O_NOFOLLOW : 0), 0);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_sys(e, "open %s", d->path);
	if (!d->ino && fstat(fd, &st) == 0) { /* where the scan starts */
		d->dev = st.st_dev;
		d->ino = st.st_ino;
	}
	if (o->open)
		o->open(o->self, fd, d);
	return list(r, fd, d->path, e) < 0 ? -1 : add_entries(r, d, fd, e);
}

/* With the lock held. NULL: all is read, or something failed. */
static struct scan_dir *next_dir(struct scanning *s)
{
	while (!s->waiting.len && s->active && !s->failed)
		pthread_cond_wait(&s->changed, &s->lock);
	return s->waiting.len && !s->failed ? s->waiting.at[--s->waiting.len] : NULL;
}

static void read_some(struct scanning *s, bool only_first)
{
	struct reader *r = mem_grow(NULL, 1, sizeof(*r));
	struct scan_dir *d;
	struct err e;

	r->s = s;
	r->names = (struct buf)BUF_INIT;
	memset(&r->order, 0, sizeof(r->order));
	pthread_mutex_lock(&s->lock);
	while ((d = next_dir(s))) {
		s->active++;
		pthread_mutex_unlock(&s->lock);
		if (read_dir(r, d, &e) < 0)
			fail(s, d->path, &e);
		pthread_mutex_lock(&s->lock);
		s->active--;
		for (size_t i = d->n; i-- > 0;)
			if (d->at[i].below)
				vec_push(&s->waiting, d->at[i].below);
		pthread_cond_broadcast(&s->changed);
		if (only_first)
			break;
	}
	pthread_mutex_unlock(&s->lock);
	buf_fini(&r->names);
	vec_fini(&r->order);
	free(r);
}

static int help(void *s, size_t i, struct err *e)
{
	(void)i;
	(void)e; /* see fail() */
	read_some(s, false);
	return 0;
}

int scan(struct scan_dir **out, int dir, const char *path, const struct scan_options *o,
         struct err *e)
{
	struct scanning s = { .o = o, .dir = dir };
	struct scan_dir *root = new_dir(path, 0, 0);
	struct pool_each share = { .fn = help, .self = &s };
	int rc;

	pthread_mutex_init(&s.lock, NULL);
	pthread_cond_init(&s.changed, NULL);
	vec_push(&s.waiting, root);
	/* Most directories have few others in them: not worth waking anybody. */
	read_some(&s, true);
	share.n = s.waiting.len > 1 && o->pool ? (size_t)pool_threads(o->pool) : 1;
	share.threads = (int)share.n;
	rc = pool_each(o->pool, &share, e);
	pthread_mutex_destroy(&s.lock);
	pthread_cond_destroy(&s.changed);
	vec_fini(&s.waiting);
	if (s.failed) {
		*e = s.err;
		rc = -1;
		scan_free(root);
	} else {
		*out = root;
	}
	free(s.failed);
	return rc;
}

void scan_free(struct scan_dir *d)
{
	VEC(struct scan_dir *) all = { 0 };

	if (d)
		vec_push(&all, d);
	while (all.len) { /* deep trees must not need a deep stack */
		d = all.at[--all.len];
		for (size_t i = 0; i < d->n; i++)
			if (d->at[i].below)
				vec_push(&all, d->at[i].below);
		free(d->at);
		free(d->names);
		free(d);
	}
	vec_fini(&all);
}

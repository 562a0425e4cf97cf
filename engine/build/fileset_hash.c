/* Hashing a file set's content, on all threads that are free. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/path.h"
#include "build/fileset.h"
#include "os/fd.h"
#include "os/file.h"
#include "store/stat_cache.h"

enum { CHUNK = 128 * 1024, CAPABILITY_MAX = 64 };

/* Large files come first, so that none is begun when all else is done. Up to eight small
 * ones are not worth a second thread. */
enum { LARGE = 4 << 20, MANY = 8, READ_AHEAD = 64 };

struct unhashed {
	struct project_file *file;
	struct fileset *set;
};

/* Threads of the pool help with the large files while further sets are looked for. Those
 * that a busy pool starts after the end must not touch what it was for, so it outlives
 * the end: the last user frees it. */
struct hashing {
	const struct context *context;
	pthread_mutex_t lock; /* guards what follows, and the sets' arenas */
	pthread_cond_t idle;
	VEC(struct unhashed) large, small;
	size_t next_large;
	size_t read_ahead; /* of `small` */
	atomic_size_t next_small;
	int active;    /* helpers at work */
	int users;     /* the owner, and helpers that were submitted */
	bool complete; /* no set is added any more */
	bool over;
	const char *failed; /* where `err` is from; NULL: nothing failed */
	struct err err;
};

/* Of a file that is open at its start. */
struct reading {
	const struct context *context;
	const char *path;
	const struct stat_place *place; /* NULL: it is not to be remembered */
	char *chunk;
	struct hashing *of; /* NULL: nothing is read after it */
};

/* Nobody knows which files the system has in memory: the first that it has not is the
 * sign to have it read some more. */
static void read_ahead(struct hashing *h)
{
	size_t i = atomic_load(&h->next_small), end = i + READ_AHEAD;

	pthread_mutex_lock(&h->lock);
	if (i < h->read_ahead)
		i = h->read_ahead;
	if (end > h->small.len)
		end = h->small.len;
	if (i < end)
		h->read_ahead = end;
	pthread_mutex_unlock(&h->lock);
	for (; i < end; i++)
		file_read_ahead(h->context->fd, h->small.at[i].file->path);
}

static ssize_t read_first(const struct reading *r, int fd, struct err *e)
{
	ssize_t n = r->of ? fd_read_cached(fd, r->chunk, CHUNK, -1) : 0;
	ssize_t rest;

	if (n < 0)
		read_ahead(r->of);
	n = n > 0 ? n : 0;
	rest = fd_read(fd, r->chunk + n, CHUNK - (size_t)n, r->path, e);
	return rest < 0 ? -1 : n + rest;
}

static int hash_fd(const struct reading *r, int fd, int64_t *size, struct digest *out,
                   struct err *e)
{
	ssize_t n = read_first(r, fd, e);
	struct hasher h;

	hasher_init(&h);
	*size = 0;
	while (n > 0) {
		hasher_add(&h, r->chunk, (size_t)n);
		*size += n;
		if (n < CHUNK)
			break;
		n = fd_read(fd, r->chunk, CHUNK, r->path, e);
	}
	hasher_end(&h, out);
	return n < 0 ? -1 : 0;
}

static int open_source(const struct context *c, const char *path, int flags,
                       struct err *e)
{
	AUTO_CLOSE int fd =
		file_open_beneath(c->fd, path, O_RDONLY | O_NONBLOCK | flags, 0);
	struct stat st;
	int out;

	if (fd < 0 && errno == EXDEV)
		return err_set(e, ERR_INVALID,
		               "%s leads out of the Imagefile's directory", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INVALID, "%s is not a regular file", path);
	out = fd;
	fd = -1;
	return out;
}

/* The digest is remembered if the file stood still and will not change unseen. */
static int hash_and_learn(const struct reading *r, int fd, struct project_file *out,
                          struct err *e)
{
	struct stat_news news = { .name = path_base(r->path) };
	struct stamp after;
	struct stat st;
	bool learn;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "read %s", r->path);
	stamp_of(&news.stamp, &st);
	learn = r->place && stat_cache_wants(r->context->cache, r->place, &news.stamp) &&
	        stamp_unwritten(fd);
	if (hash_fd(r, fd, &out->size, &news.digest, e) < 0)
		return -1;
	out->digest = news.digest;
	if (fstat(fd, &st) < 0)
		return err_sys(e, "read %s", r->path);
	stamp_of(&after, &st);
	/* A capability is not remembered, nor is what has one. */
	if (learn && stamp_same(&news.stamp, &after) && !out->capability)
		stat_cache_learn(r->context->cache, r->place, &news);
	return 0;
}

int file_open_hashed(const struct context *c, const char *path, struct digest *out,
                     struct stat *before, struct err *e)
{
	AUTO_FREE char *chunk = mem_alloc(CHUNK);
	struct reading r = { .context = c, .path = path, .chunk = chunk };
	int fd = open_source(c, path, 0, e);
	int64_t size;

	if (fd < 0)
		return -1;
	if (fstat(fd, before) < 0)
		err_sys(e, "read %s", path);
	else if (hash_fd(&r, fd, &size, out, e) == 0 && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	fd_close(&fd);
	return -1;
}

int file_digest(const struct context *c, const char *path, struct digest *out,
                struct err *e)
{
	AUTO(arena_fini) struct arena a = ARENA_INIT;
	AUTO_FREE char *chunk = NULL;
	AUTO_CLOSE int fd = open_source(c, path, 0, e);
	struct project_file file = { .path = path };
	const struct stat_file *known = NULL;
	const struct stat_dir *dir;
	struct stat_place place;
	struct reading r = { .context = c, .path = path };
	struct stamp now;
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && context_recall(c, path, &a, &place, &dir)) {
		stamp_of(&now, &st);
		r.place = &place;
		known = stat_dir_find(dir, path_base(path), &now);
	}
	if (known) {
		*out = stat_file_digest(known);
		return 0;
	}
	r.chunk = chunk = mem_alloc(CHUNK);
	if (hash_and_learn(&r, fd, &file, e) < 0)
		return -1;
	*out = file.digest;
	return 0;
}

static void read_capability(struct hashing *r, int fd, const struct unhashed *u)
{
	struct project_file *s = u->file;
	char value[CAPABILITY_MAX];
	ssize_t n = fgetxattr(fd, "security.capability", value, sizeof(value));

	if (n <= 0)
		return; /* none, or a file system without */
	pthread_mutex_lock(&r->lock);
	s->capability = arena_memdup(&u->set->arena, value, (size_t)n);
	pthread_mutex_unlock(&r->lock);
	s->capability_size = (size_t)n;
}

static int hash_source(struct hashing *r, const struct unhashed *u, char *chunk,
                       struct err *e)
{
	struct project_file *s = u->file;
	AUTO_CLOSE int fd = open_source(r->context, s->path, O_NOFOLLOW, e);
	struct reading reading = { r->context, s->path, s->place, chunk, NULL };

	if (fd < 0)
		return -1;
	if (s->size < LARGE) /* else the system itself reads ahead */
		reading.of = r;
	read_capability(r, fd, u);
	s->known = hash_and_learn(&reading, fd, s, e) == 0;
	return s->known ? 0 : -1;
}

/* Of several errors the first by name is told. */
static void fail(struct hashing *h, const char *path, const struct err *e)
{
	pthread_mutex_lock(&h->lock);
	if (!h->failed || path_compare(path, h->failed) < 0) {
		h->failed = path;
		h->err = *e;
	}
	h->next_large = h->large.len;
	pthread_mutex_unlock(&h->lock);
	atomic_store(&h->next_small, SIZE_MAX / 2);
}

static bool next_large(struct hashing *h, struct unhashed *out)
{
	bool any;

	pthread_mutex_lock(&h->lock);
	any = h->next_large < h->large.len;
	if (any)
		*out = h->large.at[h->next_large++];
	pthread_mutex_unlock(&h->lock);
	return any;
}

/* For who knows that none is added any more. */
static bool next_small(struct hashing *h, struct unhashed *out)
{
	size_t i = atomic_fetch_add(&h->next_small, 1);

	if (i < h->small.len)
		*out = h->small.at[i];
	return i < h->small.len;
}

static void hash_each(struct hashing *h,
                      bool (*next)(struct hashing *h, struct unhashed *out))
{
	AUTO_FREE char *chunk = NULL;
	struct unhashed u;
	struct err e;

	while (next(h, &u)) {
		if (!chunk)
			chunk = mem_alloc(CHUNK);
		if (hash_source(h, &u, chunk, &e) < 0)
			fail(h, u.file->path, &e);
	}
}

static int hash_some(void *hashing, size_t worker, struct err *ignored)
{
	(void)worker;
	(void)ignored; /* see fail() */
	hash_each(hashing, next_large);
	hash_each(hashing, next_small);
	return 0;
}

/* With the lock held; gives it up. */
static void leave(struct hashing *h)
{
	bool last = --h->users == 0;

	pthread_mutex_unlock(&h->lock);
	if (!last)
		return;
	vec_fini(&h->large);
	vec_fini(&h->small);
	pthread_cond_destroy(&h->idle);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

static void help(void *hashing)
{
	struct hashing *h = hashing;

	pthread_mutex_lock(&h->lock);
	if (!h->over) {
		bool complete;

		h->active++;
		pthread_mutex_unlock(&h->lock);
		hash_each(h, next_large);
		pthread_mutex_lock(&h->lock);
		complete = h->complete;
		pthread_mutex_unlock(&h->lock);
		if (complete)
			hash_each(h, next_small);
		pthread_mutex_lock(&h->lock);
		if (--h->active == 0)
			pthread_cond_signal(&h->idle);
	}
	leave(h);
}

struct hashing *hashing_begin(const struct context *c)
{
	struct hashing *h = mem_alloc(sizeof(*h));

	h->context = c;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->idle, NULL);
	h->users = 1;
	return h;
}

void hashing_add(struct hashing *h, struct fileset *f)
{
	size_t helpers = h->context->pool ? (size_t)pool_threads(h->context->pool) : 0;
	size_t before;

	pthread_mutex_lock(&h->lock);
	before = h->large.len;
	for (size_t i = 0; i < f->files.len; i++) {
		struct unhashed u = { &f->files.at[i], f };

		if (u.file->type != TOC_FILE || u.file->known)
			continue;
		if (u.file->size >= LARGE)
			vec_push(&h->large, u);
		else
			vec_push(&h->small, u);
	}
	/* One thread is the owner's own. */
	while (before++ < h->large.len && (size_t)h->users < helpers) {
		h->users++;
		pool_submit(h->context->pool, help, h);
	}
	pthread_mutex_unlock(&h->lock);
}

/* No set comes any more: how many threads there are for what is left, besides those that
 * are at it. */
static size_t threads_left(struct hashing *h)
{
	size_t n = 1;

	pthread_mutex_lock(&h->lock);
	h->complete = true;
	if (h->context->pool && h->small.len + h->large.len - h->next_large > MANY) {
		n = (size_t)pool_threads(h->context->pool);
		n = n > (size_t)h->active + 1 ? n - (size_t)h->active : 1;
	}
	pthread_mutex_unlock(&h->lock);
	return n;
}

int hashing_end(struct hashing *h, struct err *e)
{
	struct pool_each share = { .n = threads_left(h), .fn = hash_some, .self = h };
	int rc = 0;

	share.threads = (int)share.n;
	if (h->small.len + h->large.len)
		rc = pool_each(h->context->pool, &share, e);
	pthread_mutex_lock(&h->lock);
	while (h->active)
		pthread_cond_wait(&h->idle, &h->lock);
	h->over = true;
	if (h->failed) {
		*e = h->err;
		rc = -1;
	}
	leave(h);
	return rc;
}

int fileset_hash(struct fileset *f, const struct context *c, struct err *e)
{
	struct hashing *h = hashing_begin(c);

	hashing_add(h, f);
	return hashing_end(h, e);
}

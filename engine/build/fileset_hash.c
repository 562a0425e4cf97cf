/* Hashing a file set's content, on all threads that are free. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "build/fileset.h"
#include "os/fd.h"
#include "os/file.h"

enum { CHUNK = 128 * 1024, CAPABILITY_MAX = 64 };

/* Shared by the threads of one fileset_hash. Outlives the caller's wait for nobody: it is
 * freed by whoever is last. */
struct round {
	struct fileset *set;
	const struct context *context;
	atomic_size_t next;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	int active; /* helpers that have started and not ended */
	int users;  /* caller and submitted helpers */
	bool failed;
	struct err err;
};

static int hash_fd(int fd, const char *path, char *chunk, int64_t *size,
                   struct digest *out, struct err *e)
{
	struct hasher h;
	ssize_t n;

	hasher_init(&h);
	*size = 0;
	while ((n = fd_read(fd, chunk, CHUNK, path, e)) > 0) {
		hasher_add(&h, chunk, (size_t)n);
		*size += n;
		if (n < CHUNK)
			break;
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

int file_open_hashed(const struct context *c, const char *path, struct digest *out,
                     struct stat *before, struct err *e)
{
	AUTO_FREE char *chunk = mem_alloc(CHUNK);
	int fd = open_source(c, path, 0, e);
	int64_t size;

	if (fd < 0)
		return -1;
	if (fstat(fd, before) < 0)
		err_sys(e, "read %s", path);
	else if (hash_fd(fd, path, chunk, &size, out, e) == 0 &&
	         lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	fd_close(&fd);
	return -1;
}

int file_digest(const struct context *c, const char *path, struct digest *out,
                struct err *e)
{
	struct stat st;
	AUTO_CLOSE int fd = file_open_hashed(c, path, out, &st, e);

	return fd < 0 ? -1 : 0;
}

static void read_capability(struct round *r, int fd, struct project_file *s)
{
	char value[CAPABILITY_MAX];
	ssize_t n = fgetxattr(fd, "security.capability", value, sizeof(value));

	if (n <= 0)
		return; /* none, or a file system without */
	pthread_mutex_lock(&r->lock);
	s->capability = arena_memdup(&r->set->arena, value, (size_t)n);
	pthread_mutex_unlock(&r->lock);
	s->capability_size = (size_t)n;
}

static int hash_source(struct round *r, struct project_file *s, char *chunk,
                       struct err *e)
{
	AUTO_CLOSE int fd = open_source(r->context, s->path, O_NOFOLLOW, e);

	if (fd < 0 || hash_fd(fd, s->path, chunk, &s->size, &s->digest, e) < 0)
		return -1;
	read_capability(r, fd, s);
	return 0;
}

static void hash_some(struct round *r)
{
	AUTO_FREE char *chunk = mem_alloc(CHUNK);
	struct err e;

	for (;;) {
		size_t i = atomic_fetch_add(&r->next, 1);

		if (i >= r->set->files.len)
			return;
		if (r->set->files.at[i].type != TOC_FILE ||
		    hash_source(r, &r->set->files.at[i], chunk, &e) == 0)
			continue;
		pthread_mutex_lock(&r->lock);
		if (!r->failed)
			r->err = e;
		r->failed = true;
		pthread_mutex_unlock(&r->lock);
		atomic_store(&r->next, r->set->files.len);
	}
}

/* With the lock held; unlocks, and frees after the last user. */
static void leave(struct round *r)
{
	bool last = --r->users == 0;

	pthread_mutex_unlock(&r->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->idle);
	free(r);
}

static void help(void *arg)
{
	struct round *r = arg;
	bool late;

	pthread_mutex_lock(&r->lock);
	/* A helper that a busy pool starts after all is hashed must not touch the set any
	 * more. */
	late = r->set == NULL;
	if (!late)
		r->active++;
	pthread_mutex_unlock(&r->lock);
	if (!late)
		hash_some(r);
	pthread_mutex_lock(&r->lock);
	if (!late && --r->active == 0)
		pthread_cond_signal(&r->idle);
	leave(r);
}

int fileset_hash(struct fileset *f, const struct context *c, struct pool *pool,
                 struct err *e)
{
	struct round *r = mem_alloc(sizeof(*r));
	int helpers = pool && f->files.len > 8 ? pool_threads(pool) - 1 : 0;
	int rc;

	r->set = f;
	r->context = c;
	r->users = 1 + (helpers > 0 ? helpers : 0);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->idle, NULL);
	for (int i = 0; i < helpers; i++)
		pool_submit(pool, help, r);
	hash_some(r);
	pthread_mutex_lock(&r->lock);
	while (r->active)
		pthread_cond_wait(&r->idle, &r->lock);
	r->set = NULL;
	rc = r->failed ? -1 : 0;
	if (rc < 0)
		*e = r->err;
	leave(r);
	return rc;
}

void fileset_key_one(const struct project_file *s, struct key *k)
{
	struct digest d;
	struct hasher h;

	hasher_init(&h);
	hasher_str(&h, s->dest);
	hasher_int(&h, s->type);
	hasher_int(&h, s->executable);
	hasher_digest(&h, &s->digest);
	hasher_str(&h, s->link);
	hasher_field(&h, s->capability, s->capability_size);
	hasher_end(&h, &d);
	key_digest(k, arena_printf(k->arena, "file %s", s->path), &d);
}

void fileset_key(const struct fileset *f, struct key *k)
{
	for (size_t i = 0; i < f->files.len; i++)
		fileset_key_one(&f->files.at[i], k);
}

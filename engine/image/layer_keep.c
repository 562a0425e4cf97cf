#include "image/layer_keep.h"

#include <pthread.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/pool.h"

enum {
	THREADS = 2,
	BATCHES = 4, /* at once; each of */
	BATCH = 1 << 20,
	BATCH_FILES = 512,
	CHUNK = 256 * 1024,
};

struct kept {
	size_t entry;       /* index in the table */
	struct toc_entry t; /* as it was there; its strings stay where they are */
	size_t start, n;    /* in the batch's data */
};

/* Files that one thread takes care of. */
struct batch {
	struct keeper *k;
	size_t n, used;
	struct kept at[BATCH_FILES];
	char data[BATCH];
};

struct keeper {
	struct layer_files *files;
	struct toc *table;
	struct pool *pool;
	char *chunk;
	struct batch *filling;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t done;
	struct batch *idle[BATCHES];
	size_t n_idle;
	bool failed;
	struct err why;
};

struct keeper *keeper_new(struct layer_files *files, struct toc *table)
{
	struct keeper *k = mem_alloc(sizeof(*k));

	k->files = files;
	k->table = table;
	k->chunk = mem_grow(NULL, CHUNK, 1);
	pthread_mutex_init(&k->lock, NULL);
	pthread_cond_init(&k->done, NULL);
	for (; k->n_idle < BATCHES; k->n_idle++) {
		struct batch *b = mem_grow(NULL, 1, sizeof(*b));

		b->k = k;
		b->n = b->used = 0;
		k->idle[k->n_idle] = b;
	}
	k->filling = k->idle[--k->n_idle];
	k->pool = pool_new(THREADS);
	return k;
}

void keeper_free(struct keeper *k)
{
	if (!k)
		return;
	pool_free(k->pool); /* which waits: all but the one in hand are idle then */
	while (k->n_idle)
		free(k->idle[--k->n_idle]);
	free(k->filling);
	free(k->chunk);
	pthread_cond_destroy(&k->done);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

static int keep_small(const struct keeper *k, struct batch *b, struct kept *f,
                      struct err *e)
{
	const char *data = b->data + f->start;
	AUTO_CLOSE int fd = -1;

	digest_of(&f->t.digest, data, f->n);
	if (!k->files)
		return 0;
	if (layer_files_create(k->files, f->t.path, &fd, e) < 0)
		return -1;
	if (fd < 0)
		return 0;
	if (fd_write(fd, data, f->n, "a layer's file", e) < 0)
		return -1;
	return layer_files_end(k->files, &fd, &f->t, e);
}

static void keep_batch(void *arg)
{
	struct batch *b = arg;
	struct keeper *k = b->k;
	struct err e;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < b->n; i++)
		rc = keep_small(k, b, &b->at[i], &e);
	pthread_mutex_lock(&k->lock);
	if (rc < 0 && !k->failed) {
		k->failed = true;
		k->why = e;
	}
	k->idle[k->n_idle++] = b;
	pthread_cond_signal(&k->done);
	pthread_mutex_unlock(&k->lock);
}

/* The table may have moved since, so only its owner writes to it. */
static void take_digests(struct keeper *k, struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		k->table->at[b->at[i].entry].digest = b->at[i].t.digest;
	b->n = b->used = 0;
}

static int hand_over(struct keeper *k, struct err *e)
{
	bool failed;

	pool_submit(k->pool, keep_batch, k->filling);
	pthread_mutex_lock(&k->lock);
	while (!k->n_idle)
		pthread_cond_wait(&k->done, &k->lock);
	k->filling = k->idle[--k->n_idle];
	failed = k->failed;
	pthread_mutex_unlock(&k->lock);
	take_digests(k, k->filling);
	if (failed)
		*e = k->why;
	return failed ? -1 : 0;
}

static int read_small(struct keeper *k, struct tar_reader *in, struct kept *f,
                      struct err *e)
{
	struct batch *b = k->filling;
	ssize_t n;

	/* One byte more than there can be, to be told of the end. */
	while ((n = tar_reader_data(in, b->data + b->used, BATCH - b->used, e)) > 0)
		b->used += (size_t)n;
	f->n = b->used - f->start;
	return n < 0 ? -1 : 0;
}

static int keep_large(struct keeper *k, struct tar_reader *in, struct toc_entry *t,
                      struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct hasher h;
	ssize_t n = 0;

	if (k->files && t->offset >= 0 &&
	    layer_files_create(k->files, t->path, &fd, e) < 0)
		return -1;
	hasher_init(&h);
	while ((n = tar_reader_data(in, k->chunk, CHUNK, e)) > 0) {
		hasher_add(&h, k->chunk, (size_t)n);
		if (fd >= 0 &&
		    fd_write(fd, k->chunk, (size_t)n, "a layer's file", e) < 0) {
			n = -1;
			break;
		}
	}
	hasher_end(&h, &t->digest);
	if (n < 0)
		return -1;
	return fd >= 0 ? layer_files_end(k->files, &fd, t, e) : 0;
}

void keeper_dir(struct keeper *k)
{
	if (k->files)
		layer_files_add_dir(k->files, k->table->at[k->table->n - 1].path);
}

int keeper_file(struct keeper *k, struct tar_reader *in, struct err *e)
{
	struct toc_entry *t = &k->table->at[k->table->n - 1];
	struct kept f = { .entry = k->table->n - 1, .t = *t };
	struct batch *b = k->filling;

	if (t->offset < 0 || t->size >= BATCH)
		return keep_large(k, in, t, e);
	if (b->n == BATCH_FILES || BATCH - b->used <= (size_t)t->size) {
		if (hand_over(k, e) < 0)
			return -1;
		b = k->filling;
	}
	f.start = b->used;
	if (read_small(k, in, &f, e) < 0)
		return -1;
	b->at[b->n++] = f;
	return 0;
}

int keeper_finish(struct keeper *k, struct err *e)
{
	pool_submit(k->pool, keep_batch, k->filling);
	k->filling = NULL;
	pool_free(k->pool);
	k->pool = NULL;
	for (size_t i = 0; i < k->n_idle; i++)
		take_digests(k, k->idle[i]);
	if (k->failed)
		*e = k->why;
	return k->failed ? -1 : 0;
}

#include "image/piped.h"

#include <pthread.h>
#include <string.h>

#include "os/pool.h"

enum { BLOCKS = 6, BLOCK = 256 * 1024 };

struct block {
	size_t n;
	char data[BLOCK];
};

struct piped {
	struct source source; /* first, so that it is found again */
	struct source *in;
	struct pool *thread;
	struct hasher hash; /* the reader's: to decompress takes the thread long enough */
	size_t at;          /* the reader's, in the block `head` */
	bool over;          /* the reader has seen the end */
	pthread_mutex_t lock;
	pthread_cond_t moved;
	uint64_t head, tail; /* blocks taken and filled; number i lives in i % BLOCKS */
	bool stop;           /* nobody reads any more */
	bool ended;          /* nothing comes any more, */
	bool failed;         /* since: */
	struct err why;
	struct block blocks[BLOCKS];
};

/* The number of bytes in the next block, 0 at the end, -1. */
static ssize_t fill(struct piped *p, struct block *b, struct err *e)
{
	ssize_t n = p->in->read(p->in, b->data, BLOCK, e);

	b->n = n > 0 ? (size_t)n : 0;
	return n;
}

static void run(void *arg)
{
	struct piped *p = arg;
	ssize_t n = 1;

	pthread_mutex_lock(&p->lock);
	while (n > 0) {
		while (p->tail - p->head == BLOCKS && !p->stop)
			pthread_cond_wait(&p->moved, &p->lock);
		if (p->stop)
			break;
		pthread_mutex_unlock(&p->lock);
		n = fill(p, &p->blocks[p->tail % BLOCKS], &p->why);
		pthread_mutex_lock(&p->lock);
		p->tail += n > 0;
		pthread_cond_signal(&p->moved);
	}
	p->failed = n < 0;
	p->ended = true;
	pthread_cond_signal(&p->moved);
	pthread_mutex_unlock(&p->lock);
}

/* A block to take from, or NULL: there will be none. */
static struct block *wait_for_block(struct piped *p)
{
	bool there;

	pthread_mutex_lock(&p->lock);
	while (p->head == p->tail && !p->ended)
		pthread_cond_wait(&p->moved, &p->lock);
	there = p->head < p->tail;
	pthread_mutex_unlock(&p->lock);
	return there ? &p->blocks[p->head % BLOCKS] : NULL;
}

static void take_block(struct piped *p)
{
	p->at = 0;
	pthread_mutex_lock(&p->lock);
	p->head++;
	pthread_cond_signal(&p->moved);
	pthread_mutex_unlock(&p->lock);
}

static ssize_t read_ahead(struct source *self, void *data, size_t n, struct err *e)
{
	struct piped *p = (struct piped *)self;
	struct block *b = wait_for_block(p);

	if (!b && p->failed) {
		*e = p->why;
		return -1;
	}
	p->over = !b;
	if (!b)
		return 0;
	if (p->at == 0 && n)
		hasher_add(&p->hash, b->data, b->n);
	if (n > b->n - p->at)
		n = b->n - p->at;
	memcpy(data, b->data + p->at, n);
	p->at += n;
	if (p->at == b->n)
		take_block(p);
	return (ssize_t)n;
}

static ssize_t read_directly(struct source *self, void *data, size_t n, struct err *e)
{
	struct piped *p = (struct piped *)self;
	ssize_t got = p->in->read(p->in, data, n, e);

	p->over = got == 0 && n;
	if (got > 0)
		hasher_add(&p->hash, data, (size_t)got);
	return got;
}

struct piped *piped_new(struct source *in)
{
	struct piped *p = mem_grow(NULL, 1, sizeof(*p));

	memset(p, 0, offsetof(struct piped, blocks));
	p->in = in;
	hasher_init(&p->hash);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->moved, NULL);
	p->thread = pool_new(1);
	p->source.read = pool_threads(p->thread) ? read_ahead : read_directly;
	if (pool_threads(p->thread))
		pool_submit(p->thread, run, p);
	return p;
}

struct source *piped_source(struct piped *p)
{
	return &p->source;
}

void piped_end(struct piped *p, struct digest *hash)
{
	struct digest unused;

	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->moved);
	pthread_mutex_unlock(&p->lock);
	pool_free(p->thread);
	hash = hash ? hash : &unused;
	hasher_end(&p->hash, hash);
	if (!p->over)
		*hash = (struct digest){ { 0 } };
	pthread_cond_destroy(&p->moved);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

#include "publish/batch.h"

#include <pthread.h>
#include <stdbool.h>

#include "os/pool.h"

struct batch {
	struct pool *pool;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	size_t pending;
	bool failed;
	struct err err;
};

struct piece {
	struct batch *batch;
	int (*fn)(void *arg, struct err *e);
	void *arg;
};

struct batch *batch_new(int threads)
{
	struct batch *b = mem_alloc(sizeof(*b));

	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->idle, NULL);
	b->pool = pool_new(threads);
	return b;
}

void batch_free(struct batch *b)
{
	if (!b)
		return;
	pool_free(b->pool);
	pthread_mutex_destroy(&b->lock);
	pthread_cond_destroy(&b->idle);
	free(b);
}

static bool has_failed(struct batch *b)
{
	bool failed;

	pthread_mutex_lock(&b->lock);
	failed = b->failed;
	pthread_mutex_unlock(&b->lock);
	return failed;
}

static void run(void *arg)
{
	struct piece *p = arg;
	struct batch *b = p->batch;
	struct err e;
	int rc = has_failed(b) ? 0 : p->fn(p->arg, &e);

	pthread_mutex_lock(&b->lock);
	if (rc < 0 && !b->failed) {
		b->failed = true;
		b->err = e;
	}
	if (--b->pending == 0)
		pthread_cond_broadcast(&b->idle);
	pthread_mutex_unlock(&b->lock);
	free(p);
}

void batch_add(struct batch *b, int (*fn)(void *arg, struct err *e), void *arg)
{
	struct piece *p = mem_alloc(sizeof(*p));

	*p = (struct piece){ b, fn, arg };
	pthread_mutex_lock(&b->lock);
	b->pending++;
	pthread_mutex_unlock(&b->lock);
	pool_submit(b->pool, run, p);
}

int batch_wait(struct batch *b, struct err *e)
{
	int rc = 0;

	pthread_mutex_lock(&b->lock);
	while (b->pending)
		pthread_cond_wait(&b->idle, &b->lock);
	if (b->failed) {
		*e = b->err;
		rc = -1;
	}
	b->failed = false;
	pthread_mutex_unlock(&b->lock);
	return rc;
}

#include "os/pool.h"

#include <pthread.h>
#include <signal.h>

struct work {
	struct work *next;
	void (*fn)(void *);
	void *arg;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t ready;
	struct work *first, **last;
	int closing;
	int n;
	pthread_t threads[];
};

static void *worker(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct work *w = p->first;

		if (!w && p->closing)
			break;
		if (!w) {
			pthread_cond_wait(&p->ready, &p->lock);
			continue;
		}
		p->first = w->next;
		if (!p->first)
			p->last = &p->first;
		pthread_mutex_unlock(&p->lock);
		w->fn(w->arg);
		free(w);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct pool *pool_new(int threads)
{
	struct pool *p = mem_alloc(sizeof(*p) + sizeof(p->threads[0]) * (size_t)threads);
	sigset_t all, before;

	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->ready, NULL);
	p->last = &p->first;
	/* Signals go to the main thread, which knows how to wind down. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	while (p->n < threads && pthread_create(&p->threads[p->n], NULL, worker, p) == 0)
		p->n++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return p;
}

int pool_threads(const struct pool *p)
{
	return p->n;
}

void pool_submit(struct pool *p, void (*fn)(void *arg), void *arg)
{
	struct work *w;

	if (!p->n) { /* no thread could be had: slower, but right */
		fn(arg);
		return;
	}
	w = mem_alloc(sizeof(*w));
	w->fn = fn;
	w->arg = arg;
	pthread_mutex_lock(&p->lock);
	*p->last = w;
	p->last = &w->next;
	pthread_cond_signal(&p->ready);
	pthread_mutex_unlock(&p->lock);
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->closing = 1;
	pthread_cond_broadcast(&p->ready);
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < p->n; i++)
		pthread_join(p->threads[i], NULL);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->ready);
	free(p);
}

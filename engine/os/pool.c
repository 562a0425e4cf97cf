#include "os/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

struct work {
	struct work *next;
	void (*fn)(void *);
	void *arg;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t ready, idle;
	struct work *first, **last;
	size_t left; /* submitted and not done yet */
	int closing;
	bool (*take)(void *); /* or NULL: no limit */
	void (*give)(void *);
	void *self;
	bool one_is_free; /* works without having asked */
	int n;
	pthread_t threads[];
};

enum leave_to_work { NOT_ASKED, FREE, TAKEN };

/* Whoever is refused waits: one thread at least goes on until nothing is left. */
static bool may_work(struct pool *p, enum leave_to_work *has)
{
	if (!p->take || *has != NOT_ASKED)
		return true;
	if (!p->one_is_free) {
		p->one_is_free = true;
		*has = FREE;
	} else if (p->take(p->self)) {
		*has = TAKEN;
	}
	return *has != NOT_ASKED;
}

static void end_work(struct pool *p, enum leave_to_work *has)
{
	if (*has == FREE)
		p->one_is_free = false;
	else if (*has == TAKEN)
		p->give(p->self);
	*has = NOT_ASKED;
}

static void *worker(void *arg)
{
	struct pool *p = arg;
	enum leave_to_work has = NOT_ASKED;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct work *w = p->first;

		if (!w)
			end_work(p, &has);
		if (!w && p->closing)
			break;
		if (!w || !may_work(p, &has)) {
			if (p->closing)
				break; /* the rest is done by another */
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
		if (--p->left == 0)
			pthread_cond_broadcast(&p->idle);
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
	pthread_cond_init(&p->idle, NULL);
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

void pool_limit(struct pool *p, bool (*take)(void *self), void (*give)(void *self),
                void *self)
{
	pthread_mutex_lock(&p->lock);
	p->take = take;
	p->give = give;
	p->self = self;
	pthread_mutex_unlock(&p->lock);
}

static void enqueue(struct pool *p, void (*fn)(void *arg), void *arg)
{
	struct work *w = mem_alloc(sizeof(*w));

	w->fn = fn;
	w->arg = arg;
	pthread_mutex_lock(&p->lock);
	*p->last = w;
	p->last = &w->next;
	p->left++;
	pthread_cond_signal(&p->ready);
	pthread_mutex_unlock(&p->lock);
}

void pool_submit(struct pool *p, void (*fn)(void *arg), void *arg)
{
	if (p->n)
		enqueue(p, fn, arg);
	else
		fn(arg); /* no thread could be had: slower, but right */
}

void pool_wait(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	while (p->left)
		pthread_cond_wait(&p->idle, &p->lock);
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
	pthread_cond_destroy(&p->idle);
	free(p);
}

/* One pool_each under way. Helpers that a busy pool starts after its end must not touch
 * what it was for, so it outlives the call: the last user frees it. */
struct round {
	pthread_mutex_t lock;
	pthread_cond_t idle;
	struct pool_each what;
	size_t next;
	int active; /* helpers at work */
	int users;  /* the caller, and helpers that were submitted */
	bool over, failed;
	struct err err;
};

/* The lock is held before and after. */
static void take_turns(struct round *x)
{
	struct err e;

	while (x->next < x->what.n) {
		size_t i = x->next++;
		int rc;

		pthread_mutex_unlock(&x->lock);
		rc = x->what.fn(x->what.self, i, &e);
		pthread_mutex_lock(&x->lock);
		if (rc == 0)
			continue;
		if (!x->failed)
			x->err = e;
		x->failed = true;
		x->next = x->what.n;
	}
}

/* With the lock held; gives it up. */
static void leave(struct round *x)
{
	bool last = --x->users == 0;

	pthread_mutex_unlock(&x->lock);
	if (!last)
		return;
	pthread_cond_destroy(&x->idle);
	pthread_mutex_destroy(&x->lock);
	free(x);
}

static void help(void *arg)
{
	struct round *x = arg;

	pthread_mutex_lock(&x->lock);
	if (!x->over) {
		x->active++;
		take_turns(x);
		if (--x->active == 0)
			pthread_cond_signal(&x->idle);
	}
	leave(x);
}

static int helpers_for(const struct pool *p, const struct pool_each *what)
{
	int most = what->n < (size_t)what->threads ? (int)what->n : what->threads;

	if (!p || most < 2)
		return 0;
	return p->n < most - 1 ? p->n : most - 1;
}

int pool_each(struct pool *p, const struct pool_each *what, struct err *e)
{
	struct round *x = mem_alloc(sizeof(*x));
	int helpers = helpers_for(p, what), rc;

	pthread_mutex_init(&x->lock, NULL);
	pthread_cond_init(&x->idle, NULL);
	x->what = *what;
	x->users = 1 + helpers;
	for (int i = 0; i < helpers; i++)
		enqueue(p, help, x);
	pthread_mutex_lock(&x->lock);
	take_turns(x);
	while (x->active)
		pthread_cond_wait(&x->idle, &x->lock);
	x->over = true;
	rc = x->failed ? -1 : 0;
	if (rc < 0)
		*e = x->err;
	leave(x);
	return rc;
}

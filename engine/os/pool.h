#ifndef OS_POOL_H
#define OS_POOL_H

/* A fixed number of threads that run small pieces of work. Signals are blocked in them.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct pool;

struct pool *pool_new(int threads); /* 1 or more */
void pool_wait(struct pool *p);     /* until all that was submitted is done */
void pool_free(struct pool *p);     /* waits for what was submitted; NULL is fine */
int pool_threads(const struct pool *p);

/* From then on only one thread works as it likes: any further one asks `take` before it
 * begins, and stays idle when that says no; `give` is called when it has nothing to do
 * any more. Both must not block. Before the first pool_submit. */
void pool_limit(struct pool *p, bool (*take)(void *self), void (*give)(void *self),
                void *self);

/* Runs fn(arg) some time, on some thread. Never blocks. */
void pool_submit(struct pool *p, void (*fn)(void *arg), void *arg);

/* The same work for each i < n. */
struct pool_each {
	size_t n;
	int threads; /* at most, with the caller's */
	int (*fn)(void *self, size_t i, struct err *e);
	void *self;
};

/* Calls fn(self, i) for all, begun in this order but side by side: on this thread and on
 * those of the pool that are free. Returns when all are done. After a failure no more are
 * begun; -1 and the first failure. `p` may be NULL. A busy pool slows it down, but cannot
 * stop it. */
MUST_CHECK int pool_each(struct pool *p, const struct pool_each *what, struct err *e);

#endif

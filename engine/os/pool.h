#ifndef OS_POOL_H
#define OS_POOL_H

/* A fixed number of threads that run small pieces of work. Signals are blocked in them.
 */
#include "base/err.h"

struct pool;

struct pool *pool_new(int threads); /* 1 or more */
void pool_free(struct pool *p);     /* waits for what was submitted; NULL is fine */
int pool_threads(const struct pool *p);

/* Runs fn(arg) some time, on some thread. Never blocks. */
void pool_submit(struct pool *p, void (*fn)(void *arg), void *arg);

#endif

#include "os/pool.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void count(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

static void all_that_was_submitted_is_done_before_the_end(void **state)
{
	atomic_int done = 0;
	struct pool *p = pool_new(3);

	(void)state;
	assert_int_equal(pool_threads(p), 3);
	for (int i = 0; i < 10000; i++)
		pool_submit(p, count, &done);
	pool_free(p);
	assert_int_equal(done, 10000);
	pool_free(NULL);
}

struct meeting {
	pthread_barrier_t all;
	atomic_int blocked;
};

/* Gets on only when as many threads as there are have come: they do run side by side. */
static void meet(void *arg)
{
	struct meeting *m = arg;
	sigset_t mask;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	atomic_fetch_add(&m->blocked, sigismember(&mask, SIGINT));
	pthread_barrier_wait(&m->all);
}

static void work_runs_side_by_side_with_signals_blocked(void **state)
{
	struct meeting m = { .blocked = 0 };
	struct pool *p = pool_new(4);

	(void)state;
	assert_int_equal(pthread_barrier_init(&m.all, NULL, 4), 0);
	for (int i = 0; i < 8; i++)
		pool_submit(p, meet, &m);
	pool_free(p);
	assert_int_equal(m.blocked, 8);
	pthread_barrier_destroy(&m.all);
}

struct chain {
	struct pool *pool;
	atomic_int left;
	pthread_mutex_t lock;
	pthread_cond_t over;
};

static void next_link(void *arg)
{
	struct chain *c = arg;

	if (atomic_fetch_sub(&c->left, 1) > 1) {
		pool_submit(c->pool, next_link, c);
		return;
	}
	pthread_mutex_lock(&c->lock);
	pthread_cond_signal(&c->over);
	pthread_mutex_unlock(&c->lock);
}

static void work_may_submit_work(void **state)
{
	struct chain c = { pool_new(1), 1000, PTHREAD_MUTEX_INITIALIZER,
		           PTHREAD_COND_INITIALIZER };

	(void)state;
	pthread_mutex_lock(&c.lock);
	pool_submit(c.pool, next_link, &c);
	while (atomic_load(&c.left) > 0)
		pthread_cond_wait(&c.over, &c.lock);
	pthread_mutex_unlock(&c.lock);
	pool_free(c.pool);
	assert_int_equal(c.left, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_was_submitted_is_done_before_the_end),
		cmocka_unit_test(work_runs_side_by_side_with_signals_blocked),
		cmocka_unit_test(work_may_submit_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

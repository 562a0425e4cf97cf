#include "os/pool.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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
	pool_wait(p);
	assert_int_equal(done, 10000);
	for (int i = 0; i < 10000; i++)
		pool_submit(p, count, &done);
	pool_free(p);
	assert_int_equal(done, 20000);
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

enum { ITEMS = 1000 };

struct items {
	pthread_barrier_t both;
	atomic_int seen[ITEMS];
	size_t bad; /* this one fails */
};

static int visit(void *self, size_t i, struct err *e)
{
	struct items *x = self;

	atomic_fetch_add(&x->seen[i], 1);
	return i == x->bad ? err_set(e, ERR_INVALID, "item %zu", i) : 0;
}

/* The first two get on only together: on two threads. */
static int meet_first(void *self, size_t i, struct err *e)
{
	struct items *x = self;

	if (i < 2)
		pthread_barrier_wait(&x->both);
	return visit(self, i, e);
}

static void each_visits_all_once_side_by_side(void **state)
{
	struct items x = { .bad = ITEMS };
	struct pool_each what = { ITEMS, 2, meet_first, &x };
	struct pool *p = pool_new(1);
	struct err e;

	(void)state;
	pthread_barrier_init(&x.both, NULL, 2);
	assert_int_equal(pool_each(p, &what, &e), 0);
	what.fn = visit;
	assert_int_equal(pool_each(NULL, &what, &e), 0);
	what.n = 0;
	assert_int_equal(pool_each(p, &what, &e), 0);
	pool_free(p);
	for (int i = 0; i < ITEMS; i++)
		assert_int_equal(x.seen[i], 2);
	pthread_barrier_destroy(&x.both);
}

static void each_begins_no_more_after_a_failure(void **state)
{
	struct items x = { .bad = 10 };
	struct pool_each what = { ITEMS, 1, visit, &x };
	struct pool *p = pool_new(2);
	struct err e;

	(void)state;
	assert_int_equal(pool_each(p, &what, &e), -1);
	assert_string_equal(e.msg, "item 10");
	assert_int_equal(x.seen[10], 1);
	assert_int_equal(x.seen[11], 0);
	what.threads = 3;
	assert_int_equal(pool_each(p, &what, &e), -1);
	assert_string_equal(e.msg, "item 10");
	pool_free(p);
}

struct busy {
	pthread_mutex_t gate;
	struct pool *pool;
	struct items items;
};

static void wait_at_gate(void *arg)
{
	struct busy *b = arg;

	pthread_mutex_lock(&b->gate);
	pthread_mutex_unlock(&b->gate);
}

static void each_needs_no_thread_of_a_busy_pool(void **state)
{
	struct busy b = { PTHREAD_MUTEX_INITIALIZER, pool_new(2), { .bad = ITEMS } };
	struct pool_each what = { ITEMS, 3, visit, &b.items };
	struct err e;

	(void)state;
	pthread_mutex_lock(&b.gate);
	pool_submit(b.pool, wait_at_gate, &b);
	pool_submit(b.pool, wait_at_gate, &b);
	assert_int_equal(pool_each(b.pool, &what, &e), 0);
	for (int i = 0; i < ITEMS; i++)
		assert_int_equal(b.items.seen[i], 1);
	/* What was submitted for it comes too late now, and must find that out. */
	memset(&b.items, 0xff, sizeof(b.items));
	pthread_mutex_unlock(&b.gate);
	pool_free(b.pool);
	for (int i = 0; i < ITEMS; i++)
		assert_int_equal(b.items.seen[i], -1);
}

/* A pool of four that may use `left` threads beyond the first. */
struct limited {
	struct pool *pool;
	pthread_mutex_t lock;
	atomic_int left, running, most, done;
};

static bool take(void *self)
{
	struct limited *l = self;

	if (atomic_fetch_sub(&l->left, 1) > 0)
		return true;
	atomic_fetch_add(&l->left, 1);
	return false;
}

static void give(void *self)
{
	atomic_fetch_add(&((struct limited *)self)->left, 1);
}

static void work_limited(void *arg)
{
	struct limited *l = arg;
	int n, most;

	pthread_mutex_lock(&l->lock);
	n = atomic_fetch_add(&l->running, 1) + 1;
	most = atomic_load(&l->most);
	if (n > most)
		atomic_store(&l->most, n);
	pthread_mutex_unlock(&l->lock);
	for (volatile int i = 0; i < 20000; i++)
		continue;
	atomic_fetch_sub(&l->running, 1);
	atomic_fetch_add(&l->done, 1);
}

static void a_limited_pool_keeps_to_its_limit_and_does_all_work(void **state)
{
	(void)state;
	for (int allowed = 0; allowed < 3; allowed++) {
		struct limited l = { .pool = pool_new(4),
			             .lock = PTHREAD_MUTEX_INITIALIZER,
			             .left = allowed };

		pool_limit(l.pool, take, give, &l);
		for (int i = 0; i < 500; i++)
			pool_submit(l.pool, work_limited, &l);
		pool_free(l.pool);
		assert_int_equal(l.done, 500);
		assert_true(l.most <= allowed + 1);
		assert_int_equal(l.left, allowed); /* all given back */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_was_submitted_is_done_before_the_end),
		cmocka_unit_test(work_runs_side_by_side_with_signals_blocked),
		cmocka_unit_test(work_may_submit_work),
		cmocka_unit_test(each_visits_all_once_side_by_side),
		cmocka_unit_test(each_begins_no_more_after_a_failure),
		cmocka_unit_test(each_needs_no_thread_of_a_busy_pool),
		cmocka_unit_test(a_limited_pool_keeps_to_its_limit_and_does_all_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

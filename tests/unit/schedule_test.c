#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "build/schedule.h"

/* A chain and a fan: 0 <- 1 <- 2, and 0 <- 3, 0 <- 4. */
struct probe {
	struct job job;
	struct job *needs[2];
	atomic_int *clock;
	int ran_at;
	bool fails;
};

static int run(struct job *j, struct err *e)
{
	struct probe *p = (struct probe *)j;

	p->ran_at = atomic_fetch_add(p->clock, 1) + 1;
	return p->fails ? err_set(e, ERR_FAILED, "probe failed") : 0;
}

enum { PROBES = 5 };

static int run_all(struct probe *p, int threads, bool keep_going, struct err *e)
{
	static atomic_int clock;
	struct job *jobs[PROBES];

	atomic_store(&clock, 0);
	for (int i = 0; i < PROBES; i++) {
		p[i].job.run = run;
		p[i].job.needs = p[i].needs;
		p[i].job.n_needs = i > 0;
		p[i].needs[0] = i == 2 ? &p[1].job : &p[0].job;
		p[i].clock = &clock;
		jobs[PROBES - 1 - i] = &p[i].job; /* the order given is not the order run
		                                   */
	}
	return schedule_run(jobs, PROBES, threads, keep_going, NULL, NULL, e);
}

static void a_job_runs_after_what_it_needs(void **state)
{
	struct err e;

	(void)state;
	for (int threads = 1; threads < 9; threads++) {
		struct probe p[PROBES] = { 0 };

		assert_int_equal(run_all(p, threads, false, &e), 0);
		assert_int_equal(p[0].ran_at, 1);
		assert_true(p[2].ran_at > p[1].ran_at);
		for (int i = 0; i < PROBES; i++)
			assert_int_equal(p[i].job.state, JOB_DONE);
	}
}

static void keep_going_skips_only_what_needs_the_failed_job(void **state)
{
	struct probe p[PROBES] = { 0 };
	struct err e;

	(void)state;
	p[1].fails = true;
	assert_int_equal(run_all(p, 2, true, &e), -1);
	assert_string_equal(e.msg, "probe failed");
	assert_int_equal(p[1].job.state, JOB_FAILED);
	assert_int_equal(p[2].job.state, JOB_SKIPPED);
	assert_int_equal(p[3].job.state, JOB_DONE);
	assert_int_equal(p[4].job.state, JOB_DONE);
}

static void the_first_failure_stops_new_starts(void **state)
{
	struct probe p[PROBES] = { 0 };
	struct err e;

	(void)state;
	p[0].fails = true;
	assert_int_equal(run_all(p, 4, false, &e), -1);
	for (int i = 1; i < PROBES; i++)
		assert_int_equal(p[i].ran_at, 0);
}

static bool always(void *self)
{
	(void)self;
	return true;
}

static void a_cancelled_run_starts_nothing(void **state)
{
	struct probe p = { .fails = false };
	struct job *one = &p.job;
	struct err e;

	(void)state;
	p.job.run = run;
	assert_int_equal(schedule_run(&one, 1, 2, false, always, NULL, &e), -1);
	assert_int_equal(e.code, ERR_CANCELLED);
	assert_int_equal(p.ran_at, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_runs_after_what_it_needs),
		cmocka_unit_test(keep_going_skips_only_what_needs_the_failed_job),
		cmocka_unit_test(the_first_failure_stops_new_starts),
		cmocka_unit_test(a_cancelled_run_starts_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

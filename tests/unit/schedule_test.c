#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "build/schedule.h"
#include "os/jobserver.h"

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

static struct schedule_options places(int n)
{
	return (struct schedule_options){ .places = { n, n, n } };
}

static int run_all(struct probe *p, int threads, bool keep_going, struct err *e)
{
	static atomic_int clock;
	struct job *jobs[PROBES];
	struct schedule_options o = places(threads);

	int rc;

	o.keep_going = keep_going;
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
	rc = schedule_run(jobs, PROBES, &o, e);
	for (int i = 0; i < PROBES; i++)
		job_fini(&p[i].job);
	return rc;
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
	struct schedule_options o = places(2);
	struct err e;

	(void)state;
	p.job.run = run;
	o.cancelled = always;
	assert_int_equal(schedule_run(&one, 1, &o, &e), -1);
	assert_int_equal(e.code, ERR_CANCELLED);
	assert_int_equal(p.ran_at, 0);
}

/* Jobs that write down in which order they start, one at a time. */
enum { NAMED = 6 };

struct named {
	struct job job;
	struct job *needs[2];
	char name;
	struct buf *log;
};

static int log_start(struct job *j, struct err *e)
{
	struct named *p = (struct named *)j;

	(void)e;
	buf_addc(p->log, p->name);
	return 0;
}

static void need(struct named *all, int of, int what)
{
	struct job *j = &all[of].job;

	all[of].needs[j->n_needs++] = &all[what].job;
}

/* With durations in milliseconds; 0: not known. */
static void starts_in(const char *expected, struct named *p, const int64_t *ms)
{
	struct schedule_options o = places(1);
	AUTO_BUF log = BUF_INIT;
	struct job *jobs[NAMED];
	struct err e;

	for (int i = 0; i < NAMED; i++) {
		p[i].name = (char)('a' + i);
		p[i].log = &log;
		p[i].job.run = log_start;
		p[i].job.needs = p[i].needs;
		p[i].job.expected = ms[i] * 1000000;
		jobs[i] = &p[i].job;
	}
	assert_int_equal(schedule_run(jobs, NAMED, &o, &e), 0);
	assert_string_equal(log.s, expected);
}

static void the_longest_way_to_the_end_starts_first(void **state)
{
	/* b and c wait for a, f for e; d for nobody. */
	const int64_t chain[] = { 10, 500, 20, 300, 100, 250 };
	const int64_t other[] = { 10, 5, 20, 300, 100, 250 };
	struct named p[NAMED] = { 0 }, q[NAMED] = { 0 };

	(void)state;
	need(p, 1, 0);
	need(p, 2, 0);
	need(p, 5, 4);
	starts_in("abedfc", p, chain); /* 510: a; 500: b; 350: e; 300: d; 250: f; 20: c */
	need(q, 1, 0);
	need(q, 2, 0);
	need(q, 5, 4);
	starts_in("edfacb", q, other);
}

static void what_was_never_measured_counts_as_average(void **state)
{
	const int64_t some[] = { 100, 0, 300, 150, 400, 50 }; /* b: 200 */
	const int64_t none[NAMED] = { 0 };
	struct named p[NAMED] = { 0 }, q[NAMED] = { 0 };

	(void)state;
	starts_in("ecbdaf", p, some);
	need(q, 5, 4); /* the longest chain first, and else the order given */
	need(q, 4, 2);
	starts_in("ceabdf", q, none);
}

/* Jobs that go through lanes, and see how many are where. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int in[LANES], most[LANES], all, want_all;
	int failed;
} lanes = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void enter(enum lane l)
{
	pthread_mutex_lock(&lanes.lock);
	if (++lanes.in[l] > lanes.most[l])
		lanes.most[l] = lanes.in[l];
	pthread_mutex_unlock(&lanes.lock);
}

static void leave(enum lane l)
{
	pthread_mutex_lock(&lanes.lock);
	lanes.in[l]--;
	pthread_mutex_unlock(&lanes.lock);
}

/* Waits until as many as want_all are here at once. */
static void meet(void)
{
	pthread_mutex_lock(&lanes.lock);
	lanes.all++;
	pthread_cond_broadcast(&lanes.changed);
	while (lanes.all < lanes.want_all)
		pthread_cond_wait(&lanes.changed, &lanes.lock);
	pthread_mutex_unlock(&lanes.lock);
}

static int travel(struct job *j, struct err *e)
{
	(void)j;
	enter(LANE_CPU);
	leave(LANE_CPU);
	if (lane_move(LANE_NETWORK, e) < 0)
		return -1;
	enter(LANE_NETWORK);
	meet();
	leave(LANE_NETWORK);
	if (lane_move(LANE_SANDBOX, e) < 0)
		return -1;
	enter(LANE_SANDBOX);
	leave(LANE_SANDBOX);
	if (lane_move(LANE_CPU, e) < 0)
		return -1;
	enter(LANE_CPU);
	leave(LANE_CPU);
	return 0;
}

static void each_lane_has_its_own_places(void **state)
{
	enum { N = 40 };
	struct schedule_options o = { .places = { 2, 8, 3 } };
	struct job jobs[N] = { { 0 } }, *list[N];
	struct err e;

	(void)state;
	lanes.want_all = 8; /* eight on the network at once, though two have a processor
	                     */
	for (int i = 0; i < N; i++) {
		jobs[i].run = travel;
		list[i] = &jobs[i];
	}
	assert_int_equal(schedule_run(list, N, &o, &e), 0);
	assert_true(lanes.most[LANE_CPU] <= 2);
	assert_int_equal(lanes.most[LANE_NETWORK], 8);
	assert_true(lanes.most[LANE_SANDBOX] <= 3);
}

/* Every job counts how many run, and waits for `meeting` of them where that is set. */
static atomic_int now_running, most_running;
static int meeting;

static int count(struct job *j, struct err *e)
{
	int n = atomic_fetch_add(&now_running, 1) + 1, most = atomic_load(&most_running);

	(void)j, (void)e;
	while (n > most && !atomic_compare_exchange_weak(&most_running, &most, n))
		continue;
	while (atomic_load(&most_running) < meeting)
		sched_yield();
	atomic_fetch_sub(&now_running, 1);
	return 0;
}

static void count_jobs(const struct schedule_options *o, int n)
{
	struct job *all = mem_alloc(sizeof(*all) * (size_t)n);
	struct job **list = mem_alloc(sizeof(struct job *) * (size_t)n);
	struct err e;

	atomic_store(&now_running, 0);
	atomic_store(&most_running, 0);
	for (int i = 0; i < n; i++) {
		all[i].run = count;
		list[i] = &all[i];
	}
	assert_int_equal(schedule_run(list, (size_t)n, o, &e), 0);
	free(list);
	free(all);
}

static void a_high_load_lets_one_run_and_no_more(void **state)
{
	struct schedule_options o = places(4);

	(void)state;
	o.limit_load = true;
	o.max_load = 0; /* every load is as high */
	meeting = 0;
	count_jobs(&o, 200);
	assert_int_equal(atomic_load(&most_running), 1);
	o.max_load = 1e9;
	meeting = 4;
	count_jobs(&o, 200);
	assert_int_equal(atomic_load(&most_running), 4);
}

static int tokens_in(struct jobserver *j)
{
	int n = 0;

	while (jobserver_take(j))
		n++;
	for (int i = 0; i < n; i++)
		jobserver_give(j);
	return n;
}

static void jobs_take_tokens_and_give_them_back(void **state)
{
	struct schedule_options o = places(8);
	struct jobserver *j;
	struct err e;

	(void)state;
	assert_int_equal(jobserver_new(&j, 3, NULL, &e), 0);
	o.tokens = j;
	meeting = 3; /* two tokens and the free one */
	count_jobs(&o, 300);
	assert_int_equal(atomic_load(&most_running), 3);
	assert_int_equal(tokens_in(j), 2);
	assert_true(jobserver_take(j));
	meeting = 2;
	count_jobs(&o, 300);
	assert_int_equal(atomic_load(&most_running), 2);
	assert_int_equal(tokens_in(j), 1);
	jobserver_close(j);
}

static int fail_after_moves(struct job *j, struct err *e)
{
	return travel(j, e) < 0 ? -1 : err_set(e, ERR_FAILED, "probe failed");
}

static void tokens_come_back_after_failures_and_moves(void **state)
{
	enum { N = 30 };
	struct schedule_options o = { .places = { 8, 8, 8 },
		                      .tokens_for_sandboxes = true };
	struct job jobs[N] = { { 0 } }, *list[N];
	struct err e;

	(void)state;
	assert_int_equal(jobserver_new(&o.tokens, 3, NULL, &e), 0);
	for (int keep_going = 0; keep_going < 2; keep_going++) {
		memset(&lanes.in, 0, sizeof(lanes.in));
		memset(&lanes.most, 0, sizeof(lanes.most));
		lanes.want_all = 0;
		for (int i = 0; i < N; i++) {
			jobs[i] =
				(struct job){ .run = i % 3 ? travel : fail_after_moves };
			list[i] = &jobs[i];
		}
		o.keep_going = keep_going;
		assert_int_equal(schedule_run(list, N, &o, &e), -1);
		assert_string_equal(e.msg, "probe failed");
		assert_true(lanes.most[LANE_SANDBOX] <= 3);
		assert_int_equal(tokens_in(o.tokens), 2);
		for (int i = 0; i < N; i++)
			job_fini(&jobs[i]);
	}
	jobserver_close(o.tokens);
}

static atomic_int most_threads;

static int count_threads(struct job *j, struct err *e)
{
	DIR *d = opendir("/proc/self/task");
	int n = 0;

	(void)j;
	if (!d)
		return err_sys(e, "open /proc/self/task");
	while (readdir(d))
		n++;
	closedir(d);
	if (n > atomic_load(&most_threads))
		atomic_store(&most_threads, n);
	return 0;
}

static void short_jobs_make_no_more_threads_than_places(void **state)
{
	enum { N = 2000 };
	struct schedule_options o = { .places = { 2, 8, 2 } };
	AUTO_FREE struct job *jobs = mem_alloc(N * sizeof(*jobs));
	struct job *list[N];
	struct err e;
	int before;

	(void)state;
	atomic_store(&most_threads, 0);
	assert_int_equal(count_threads(NULL, &e), 0);
	before = atomic_load(&most_threads);
	for (int i = 0; i < N; i++) {
		jobs[i].run = count_threads;
		list[i] = &jobs[i];
	}
	assert_int_equal(schedule_run(list, N, &o, &e), 0);
	assert_true(atomic_load(&most_threads) <= before + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_runs_after_what_it_needs),
		cmocka_unit_test(keep_going_skips_only_what_needs_the_failed_job),
		cmocka_unit_test(the_first_failure_stops_new_starts),
		cmocka_unit_test(a_cancelled_run_starts_nothing),
		cmocka_unit_test(the_longest_way_to_the_end_starts_first),
		cmocka_unit_test(what_was_never_measured_counts_as_average),
		cmocka_unit_test(each_lane_has_its_own_places),
		cmocka_unit_test(a_high_load_lets_one_run_and_no_more),
		cmocka_unit_test(jobs_take_tokens_and_give_them_back),
		cmocka_unit_test(tokens_come_back_after_failures_and_moves),
		cmocka_unit_test(short_jobs_make_no_more_threads_than_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

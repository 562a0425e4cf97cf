#include "build/schedule.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/vec.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/jobserver.h"

/* How soon a wait that nobody ends is looked at again: for a lower load, an interrupt. */
enum { LOOK_AGAIN_MS = 250 };

/* What tells which is before which stands beside the job: there may be thousands. */
struct ready {
	int64_t way;
	size_t order;
	struct job *job;
};

struct board {
	const struct schedule_options *o;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	VEC(struct ready) ready; /* a heap: the one to start next is the first */
	size_t left;             /* neither done, failed nor skipped */
	size_t running, idle;    /* jobs; threads that wait for one */
	size_t starting;         /* threads that were made, and are not there yet */
	int used[LANES];
	size_t returning[LANES]; /* running jobs that wait for a place there */
	size_t holders, tokens;  /* jobs that hold a token; tokens, the free one too */
	bool polling;            /* a thread waits for a token, and for `wake` */
	int wake;                /* eventfd */
	time_t second;           /* for the load: what started in it and before it */
	unsigned started, started_before;
	bool stopping, cancelled;
	struct job *first_failed;
	VEC(pthread_t) threads;
	size_t threads_max;
};

static bool before(const struct ready *a, const struct ready *b)
{
	return a->way != b->way ? a->way > b->way : a->order < b->order;
}

static void heap_add(struct board *b, struct job *j)
{
	struct ready r = { j->way, j->order, j };
	size_t i = b->ready.len;

	vec_push(&b->ready, r);
	for (; i && before(&r, &b->ready.at[(i - 1) / 2]); i = (i - 1) / 2)
		b->ready.at[i] = b->ready.at[(i - 1) / 2];
	b->ready.at[i] = r;
}

static struct job *heap_take(struct board *b)
{
	struct ready first = b->ready.at[0], last = b->ready.at[--b->ready.len];
	size_t n = b->ready.len, i = 0, child;

	for (; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && before(&b->ready.at[child + 1], &b->ready.at[child]))
			child++;
		if (!before(&b->ready.at[child], &last))
			break;
		b->ready.at[i] = b->ready.at[child];
	}
	if (n)
		b->ready.at[i] = last;
	return first.job;
}

/* Everything that needs a job which will not be done cannot be done either. */
static void doom_users(struct board *b, struct job *failed)
{
	VEC(struct job *) todo = { 0 };

	vec_push(&todo, failed);
	while (todo.len) {
		struct job *j = todo.at[--todo.len];

		for (size_t i = 0; i < j->n_users; i++) {
			if (j->users[i]->state != JOB_WAITING)
				continue;
			j->users[i]->state = JOB_SKIPPED;
			b->left--;
			vec_push(&todo, j->users[i]);
		}
	}
	vec_fini(&todo);
}

static void free_users(struct board *b, struct job *done)
{
	for (size_t i = 0; i < done->n_users; i++) {
		struct job *u = done->users[i];

		if (--u->missing == 0 && u->state == JOB_WAITING)
			heap_add(b, u);
	}
}

static bool needs_token(const struct board *b, enum lane lane)
{
	return b->o->tokens &&
	       (lane == LANE_CPU || (lane == LANE_SANDBOX && b->o->tokens_for_sandboxes));
}

/* The load average lags behind: what was started lately is not in it yet. The weights are
 * GNU make's (job.c, load_too_high). */
static bool load_is_high(struct board *b)
{
	time_t now = (time_t)(clock_ns() / 1000000000);
	double load;

	if (!b->o->limit_load || !b->running)
		return false;
	if (now != b->second) {
		b->started_before = now == b->second + 1 ? b->started : 0;
		b->started = 0;
		b->second = now;
	}
	if (getloadavg(&load, 1) != 1)
		return false;
	return load + 0.25 * (b->started + 0.25 * b->started_before) >= b->o->max_load;
}

static void give_back_spare_tokens(struct board *b)
{
	while (b->tokens > 1 && b->tokens > b->holders) {
		jobserver_give(b->o->tokens);
		b->tokens--;
	}
}

static bool has_token(struct board *b)
{
	if (b->holders == b->tokens && jobserver_take(b->o->tokens))
		b->tokens++;
	return b->holders < b->tokens;
}

static void occupy(struct board *b, struct job *j, enum lane lane)
{
	j->lane = lane;
	j->since = clock_ns();
	if (lane == LANE_NONE)
		return;
	b->used[lane]++;
	b->holders += needs_token(b, lane);
}

static void leave(struct board *b, struct job *j)
{
	enum lane lane = j->lane;

	j->lane = LANE_NONE;
	if (lane == LANE_NONE)
		return;
	j->took += clock_ns() - j->since;
	b->used[lane]--;
	b->holders -= needs_token(b, lane);
}

/* Wakes whoever waits, for a place as for a token. */
static void tell(struct board *b)
{
	if (b->idle || b->returning[LANE_CPU] || b->returning[LANE_NETWORK] ||
	    b->returning[LANE_SANDBOX])
		pthread_cond_broadcast(&b->changed);
	if (b->polling && eventfd_write(b->wake, 1) < 0)
		return; /* only when it is full, and then it is readable */
}

static bool is_cancelled(struct board *b)
{
	if (!b->cancelled && b->o->cancelled && b->o->cancelled(b->o->self)) {
		b->cancelled = b->stopping = true;
		tell(b);
	}
	return b->cancelled;
}

static void wait_for_token(struct board *b)
{
	struct pollfd p[2] = {
		{ .fd = jobserver_fd(b->o->tokens), .events = POLLIN },
		{ .fd = b->wake, .events = POLLIN },
	};
	eventfd_t told;

	b->polling = true;
	pthread_mutex_unlock(&b->lock);
	poll(p, 2, LOOK_AGAIN_MS);
	pthread_mutex_lock(&b->lock);
	b->polling = false;
	if (eventfd_read(b->wake, &told) < 0)
		told = 0;
	/* Another may have to take over the waiting. */
	pthread_cond_broadcast(&b->changed);
}

/* `timed`: nobody may tell when what it waits for has come. */
static void wait_for_change(struct board *b, bool timed)
{
	struct timespec until;

	if (!timed) {
		pthread_cond_wait(&b->changed, &b->lock);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)LOOK_AGAIN_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&b->changed, &b->lock, &until);
}

enum entry { MAY_ENTER, NO_PLACE, NO_TOKEN, LOAD_IS_HIGH };

static enum entry entry(struct board *b, enum lane lane, bool fresh)
{
	if (b->used[lane] >= b->o->places[lane] || (fresh && b->returning[lane]))
		return NO_PLACE;
	if (fresh && load_is_high(b))
		return LOAD_IS_HIGH;
	return needs_token(b, lane) && !has_token(b) ? NO_TOKEN : MAY_ENTER;
}

static void wait_to_enter(struct board *b, enum entry why)
{
	if (why == NO_TOKEN && !b->polling)
		wait_for_token(b);
	else
		wait_for_change(b, why != NO_PLACE);
}

static void *enter(void *arg);

/* Threads are made when there is something for one to do: most builds need few. Many jobs
 * may be over before one that was made is there. */
static void add_thread(struct board *b)
{
	sigset_t all, old;
	pthread_t id;

	if (b->idle || b->starting || b->threads.len >= b->threads_max)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	if (pthread_create(&id, NULL, enter, b) == 0) {
		vec_push(&b->threads, id);
		b->starting++;
	} else {
		b->threads_max = b->threads.len;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* So that what fetches or runs need not know for which job it does. */
static _Thread_local struct job *on_this_thread;

static _Thread_local int staying;

void lane_stay(bool stay)
{
	staying += stay ? 1 : -1;
}

enum lane lane_now(void)
{
	return on_this_thread ? on_this_thread->lane : LANE_NONE;
}

int lane_back(enum lane lane, int rc, struct err *e)
{
	struct err own;

	return lane_move(lane, rc < 0 ? &own : e) < 0 ? -1 : rc;
}

int lane_move(enum lane lane, struct err *e)
{
	struct job *j = on_this_thread;
	struct board *b = j ? j->board : NULL;
	enum entry may = MAY_ENTER;

	if (!j || staying || lane == j->lane)
		return 0;
	pthread_mutex_lock(&b->lock);
	leave(b, j);
	tell(b);
	if (b->ready.len && !b->stopping)
		add_thread(b);
	if (lane != LANE_NONE) {
		b->returning[lane]++;
		while (!is_cancelled(b) && (may = entry(b, lane, false)) != MAY_ENTER)
			wait_to_enter(b, may);
		b->returning[lane]--;
	}
	if (!b->cancelled)
		occupy(b, j, lane);
	give_back_spare_tokens(b);
	tell(b);
	pthread_mutex_unlock(&b->lock);
	return b->cancelled ? err_set(e, ERR_CANCELLED, "interrupted") : 0;
}

static void start(struct board *b, struct job *j)
{
	j->state = JOB_RUNNING;
	b->running++;
	b->started++;
	occupy(b, j, LANE_CPU);
	if (b->ready.len && b->used[LANE_CPU] < b->o->places[LANE_CPU])
		add_thread(b);
}

static void finish(struct board *b, struct job *j, int rc)
{
	leave(b, j);
	b->running--;
	b->left--;
	j->state = rc < 0 ? JOB_FAILED : JOB_DONE;
	if (rc == 0)
		free_users(b, j);
	else
		doom_users(b, j);
	if (rc < 0 && !b->first_failed)
		b->first_failed = j;
	if (rc < 0 && !b->o->keep_going)
		b->stopping = true;
	tell(b);
}

/* The next job to run, or NULL when there will be none any more. */
static struct job *next_job(struct board *b)
{
	while (b->left && !b->stopping && !is_cancelled(b)) {
		enum entry may = b->ready.len ? entry(b, LANE_CPU, true) : NO_PLACE;

		if (may == MAY_ENTER)
			return heap_take(b);
		give_back_spare_tokens(b);
		b->idle++;
		wait_to_enter(b, may);
		b->idle--;
	}
	return NULL;
}

void job_fini(struct job *j)
{
	free(j->err);
	j->err = NULL;
}

static void keep_error(struct job *j, const struct err *e)
{
	free(j->err);
	j->err = mem_alloc(sizeof(*j->err));
	*j->err = *e;
}

/* With the lock held. */
static void work(struct board *b)
{
	struct job *j;
	struct err e;
	int rc;

	while ((j = next_job(b))) {
		start(b, j);
		pthread_mutex_unlock(&b->lock);
		on_this_thread = j;
		rc = j->run(j, &e);
		on_this_thread = NULL;
		if (rc < 0)
			keep_error(j, &e);
		pthread_mutex_lock(&b->lock);
		finish(b, j, rc);
	}
	give_back_spare_tokens(b);
	pthread_cond_broadcast(&b->changed);
}

static void *enter(void *arg)
{
	struct board *b = arg;

	pthread_mutex_lock(&b->lock);
	b->starting--;
	work(b);
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

/* What nobody has measured is taken for average; if nothing was measured, the longest
 * chain comes first. */
static int64_t guess(struct job *const *jobs, size_t n)
{
	int64_t sum = 0, known = 0;

	for (size_t i = 0; i < n; i++) {
		sum += jobs[i]->expected;
		known += jobs[i]->expected > 0;
	}
	return known ? sum / known + 1 : 1;
}

/* Links each job to those that need it; *order becomes one in which each comes after what
 * it needs. The memory of all `users` is returned; caller frees. */
static struct job **link_jobs(struct board *b, struct job **jobs, size_t n,
                              struct job **order)
{
	struct job **users;
	size_t total = 0, filled = 0, at = 0;

	for (size_t i = 0; i < n; i++) {
		jobs[i]->board = b;
		jobs[i]->order = i;
		jobs[i]->state = JOB_WAITING;
		jobs[i]->lane = LANE_NONE;
		jobs[i]->took = 0;
		jobs[i]->n_users = jobs[i]->missing = 0;
	}
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < jobs[i]->n_needs; k++)
			if (jobs[i]->needs[k]->state == JOB_WAITING) {
				jobs[i]->needs[k]->n_users++;
				jobs[i]->missing++;
				total++;
			}
	users = mem_alloc((total + 1) * sizeof(struct job *));
	for (size_t i = 0; i < n; i++) {
		jobs[i]->users = users + at;
		at += jobs[i]->n_users;
		jobs[i]->n_users = 0;
		if (!jobs[i]->missing)
			order[filled++] = jobs[i];
	}
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < jobs[i]->n_needs; k++) {
			struct job *need = jobs[i]->needs[k];

			if (need->state == JOB_WAITING)
				need->users[need->n_users++] = jobs[i];
		}
	for (size_t i = 0; i < filled; i++)
		for (size_t k = 0; k < order[i]->n_users; k++)
			if (--order[i]->users[k]->missing == 0)
				order[filled++] = order[i]->users[k];
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < jobs[i]->n_users; k++)
			jobs[i]->users[k]->missing++;
	return users;
}

static void find_ways(struct job *const *jobs, size_t n, struct job **order)
{
	int64_t unknown = guess(jobs, n);

	for (size_t i = n; i--;) {
		struct job *j = order[i];
		int64_t longest = 0;

		for (size_t k = 0; k < j->n_users; k++)
			if (j->users[k]->way > longest)
				longest = j->users[k]->way;
		j->way = longest + (j->expected > 0 ? j->expected : unknown);
	}
}

/* Those that need nothing more are ready; those whose needs have failed before never are.
 */
static void fill_board(struct board *b, struct job *const *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < jobs[i]->n_needs; k++)
			if (jobs[i]->state == JOB_WAITING &&
			    (jobs[i]->needs[k]->state == JOB_FAILED ||
			     jobs[i]->needs[k]->state == JOB_SKIPPED)) {
				jobs[i]->state = JOB_SKIPPED;
				b->left--;
				doom_users(b, jobs[i]);
			}
	for (size_t i = 0; i < n; i++)
		if (!jobs[i]->missing && jobs[i]->state == JOB_WAITING)
			heap_add(b, jobs[i]);
}

static void run_all(struct board *b)
{
	for (int i = 0; i < LANES; i++)
		b->threads_max += (size_t)b->o->places[i];
	pthread_mutex_lock(&b->lock);
	work(b);
	while (b->threads.len) {
		pthread_t id = b->threads.at[--b->threads.len];

		pthread_mutex_unlock(&b->lock);
		pthread_join(id, NULL);
		pthread_mutex_lock(&b->lock);
	}
	pthread_mutex_unlock(&b->lock);
}

int schedule_run(struct job **jobs, size_t n, const struct schedule_options *o,
                 struct err *e)
{
	struct board b = { .o = o, .left = n, .tokens = 1, .wake = -1 };
	AUTO_FREE struct job **order = mem_alloc((n + 1) * sizeof(struct job *));
	AUTO_FREE struct job **users = link_jobs(&b, jobs, n, order);
	pthread_mutexattr_t spins;

	b.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b.wake < 0)
		return err_sys(e, "make an event descriptor");
	/* Where jobs are short, so is the wait for the lock: too short to sleep. */
	pthread_mutexattr_init(&spins);
	pthread_mutexattr_settype(&spins, PTHREAD_MUTEX_ADAPTIVE_NP);
	pthread_mutex_init(&b.lock, &spins);
	pthread_mutexattr_destroy(&spins);
	pthread_cond_init(&b.changed, NULL);
	find_ways(jobs, n, order);
	fill_board(&b, jobs, n);
	run_all(&b);
	for (size_t i = 0; i < n; i++)
		jobs[i]->board = NULL;
	vec_fini(&b.ready);
	vec_fini(&b.threads);
	pthread_cond_destroy(&b.changed);
	pthread_mutex_destroy(&b.lock);
	fd_close(&b.wake);
	if (b.first_failed) {
		*e = *b.first_failed->err;
		return -1;
	}
	return b.left ? err_set(e, ERR_CANCELLED, "interrupted") : 0;
}

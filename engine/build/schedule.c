#include "build/schedule.h"

#include <pthread.h>
#include <signal.h>

struct board {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job **jobs;
	size_t n, left, running;
	bool keep_going, stopping;
	bool (*cancelled)(void *);
	void *self;
	struct job *first_failed;
};

enum readiness { READY, BLOCKED, DOOMED };

static enum readiness readiness(const struct job *j)
{
	enum readiness r = READY;

	for (size_t i = 0; i < j->n_needs; i++) {
		if (j->needs[i]->state == JOB_FAILED || j->needs[i]->state == JOB_SKIPPED)
			return DOOMED;
		if (j->needs[i]->state != JOB_DONE)
			r = BLOCKED;
	}
	return r;
}

/* The next job that may start, in the given order; marks those that no longer can. */
static struct job *pick(struct board *b)
{
	for (size_t i = 0; i < b->n; i++) {
		struct job *j = b->jobs[i];

		if (j->state != JOB_WAITING)
			continue;
		switch (readiness(j)) {
		case READY: return j;
		case DOOMED:
			j->state = JOB_SKIPPED;
			b->left--;
			i = (size_t)-1; /* those that need this one are doomed as well */
			break;
		case BLOCKED: break;
		}
	}
	return NULL;
}

static void finish(struct board *b, struct job *j, int rc)
{
	b->running--;
	b->left--;
	j->state = rc < 0 ? JOB_FAILED : JOB_DONE;
	if (rc < 0 && !b->first_failed)
		b->first_failed = j;
	if (rc < 0 && !b->keep_going)
		b->stopping = true;
	pthread_cond_broadcast(&b->changed);
}

static void *work(void *arg)
{
	struct board *b = arg;

	pthread_mutex_lock(&b->lock);
	while (b->left && !b->stopping) {
		struct job *j = pick(b);
		int rc;

		if (!j) {
			if (!b->running)
				break; /* nothing can start any more */
			pthread_cond_wait(&b->changed, &b->lock);
			continue;
		}
		if (b->cancelled && b->cancelled(b->self)) {
			b->stopping = true;
			break;
		}
		j->state = JOB_RUNNING;
		b->running++;
		pthread_mutex_unlock(&b->lock);
		rc = j->run(j, &j->err);
		pthread_mutex_lock(&b->lock);
		finish(b, j, rc);
	}
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

static void run_threads(struct board *b, int threads)
{
	pthread_t *ids = mem_alloc(sizeof(*ids) * (size_t)threads);
	sigset_t all, before;
	int n = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	while (n < threads - 1 && pthread_create(&ids[n], NULL, work, b) == 0)
		n++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	work(b);
	while (n)
		pthread_join(ids[--n], NULL);
	free(ids);
}

int schedule_run(struct job **jobs, size_t n, int threads, bool keep_going,
                 bool (*cancelled)(void *self), void *self, struct err *e)
{
	struct board b = { .jobs = jobs,
		           .n = n,
		           .left = n,
		           .keep_going = keep_going,
		           .cancelled = cancelled,
		           .self = self };

	pthread_mutex_init(&b.lock, NULL);
	pthread_cond_init(&b.changed, NULL);
	if ((size_t)threads > n)
		threads = n ? (int)n : 1;
	run_threads(&b, threads);
	pthread_mutex_destroy(&b.lock);
	pthread_cond_destroy(&b.changed);
	if (b.first_failed) {
		*e = b.first_failed->err;
		return -1;
	}
	if (b.left)
		return err_set(e, ERR_CANCELLED, "interrupted");
	return 0;
}

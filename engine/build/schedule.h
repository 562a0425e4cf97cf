#ifndef BUILD_SCHEDULE_H
#define BUILD_SCHEDULE_H

/* Runs jobs that depend on each other, on threads of its own: of those that may start,
 * the one first that the longest way to the end begins with. A running job occupies a
 * place in one lane at a time; how many a lane has is what limits what runs at once. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum lane {
	LANE_CPU,
	LANE_NETWORK,
	LANE_SANDBOX,
	LANES,
	LANE_NONE = LANES, /* of a job that waits for something outside, such as a lock
	                      that another may hold: it must not keep a place */
};

struct board;
struct jobserver;

struct job {
	int (*run)(struct job *self, struct err *e);
	struct job **needs; /* borrowed */
	size_t n_needs;
	int64_t expected; /* ns that it took the last time; 0: not known */
	/* Filled in: */
	enum { JOB_WAITING, JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_SKIPPED } state;
	struct err *err; /* of a failed one, until job_fini */
	int64_t took;    /* ns, without waiting for a place in a lane */
	/* Of the scheduler's own: */
	struct board *board;
	struct job **users;
	size_t n_users, missing, order;
	int64_t way; /* ns from its start to the end of all that needs it */
	enum lane lane;
	int64_t since;
};

void job_fini(struct job *j); /* after all runs; of one that was zeroed, too */

struct schedule_options {
	int places[LANES]; /* 1 or more each */
	bool keep_going;
	bool limit_load; /* while others run, none starts at a load average of max_load */
	double max_load;
	struct jobserver *tokens;  /* whose tokens jobs hold, beyond the first; or NULL */
	bool tokens_for_sandboxes; /* in LANE_SANDBOX too, not in LANE_CPU only */
	bool (*cancelled)(void *self); /* asked before each start; or NULL */
	void *self;
};

/* Every job of `jobs` runs once, after all that it needs (in `jobs`, or done before), and
 * begins in LANE_CPU. The first failure stops new starts, unless `keep_going`: then only
 * what needs the failed one is skipped. Returns 0 if all are done, else -1 with the first
 * failure. */
MUST_CHECK int schedule_run(struct job **jobs, size_t n, const struct schedule_options *o,
                            struct err *e);

/* Where the job is that runs on this thread; LANE_NONE also if there is none. */
enum lane lane_now(void);
/* The job that runs on this thread gives up its place, and waits for one in `lane`;
 * nothing if none runs here. ERR_CANCELLED; the job has no place then. */
MUST_CHECK int lane_move(enum lane lane, struct err *e);
/* While it holds a lock that other jobs may wait for in their places, a thread's job must
 * not wait for a place: lane_move does nothing until it is allowed again. Nests. */
void lane_stay(bool stay);
/* The same after a piece of work that came to `rc`: its error stays. */
MUST_CHECK int lane_back(enum lane lane, int rc, struct err *e);

#endif

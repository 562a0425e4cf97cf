#ifndef BUILD_SCHEDULE_H
#define BUILD_SCHEDULE_H

/* Runs jobs that depend on each other on a number of threads. */
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct job {
	int (*run)(struct job *self, struct err *e);
	struct job **needs; /* borrowed */
	size_t n_needs;
	/* Filled in: */
	enum { JOB_WAITING, JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_SKIPPED } state;
	struct err err; /* of a failed one */
};

/* Every job of `jobs` runs once, after all that it needs (all in `jobs`). The first
 * failure stops new starts, unless `keep_going`: then only what needs the failed one is
 * skipped. `cancelled` (may be NULL) is asked before each start. Returns 0 if all are
 * done, else -1 with the first failure. */
MUST_CHECK int schedule_run(struct job **jobs, size_t n, int threads, bool keep_going,
                            bool (*cancelled)(void *self), void *self, struct err *e);

#endif

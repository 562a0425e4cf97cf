#ifndef SANDBOX_PROCS_H
#define SANDBOX_PROCS_H

/* Processes of a command without a pid namespace: found through /proc. Allocates
 * nothing. */
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* What all processes of a command have, and no others: two hard limits that change
 * nothing (of locks, which Linux no longer counts, and of the time of real-time
 * processes). From one command to the next, one falls and the other rises. A process may
 * lower its limits and has no right to raise them, so none gets to those of another
 * command. */
struct procs_mark {
	uint64_t falling, rising;
};

/* A new one: no two of those that live have the same. ERR_LIMIT where our own limits
 * leave no room. */
MUST_CHECK int procs_mark_new(struct procs_mark *m, struct err *e);
/* For us, and all that we start from now on. */
MUST_CHECK int procs_mark_take(const struct procs_mark *m, struct err *e);

struct procs {
	int proc;  /* /proc, open for reading */
	dev_t dev; /* those whose root directory this is */
	ino_t ino;
	struct procs_mark mark; /* and of those that do not let us see it, who has this */
};

/* Sends it to all there are at the moment; how many that were. */
int procs_signal(const struct procs *p, int sig);

#endif

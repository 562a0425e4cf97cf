#ifndef OS_JOBSERVER_H
#define OS_JOBSERVER_H

/* The tokens that GNU make shares with what it starts (GNU make manual, "Job Slots"): a
 * process may always run one job, and takes a token out of a pipe for each further one.
 * From any thread. */
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct jobserver;

enum jobserver_found {
	JOBSERVER_NONE,
	JOBSERVER_JOINED,
	JOBSERVER_SHUT, /* make runs one, but did not let us in: one job at a time */
};

/* Joins the one that `makeflags` ($MAKEFLAGS, or NULL) tells of. *jobs becomes make's -j
 * where it says one (-j1 has no jobserver), else 0. Descriptors that make handed on are
 * not inherited by what we start from then on. */
enum jobserver_found jobserver_join(struct jobserver **out, const char *makeflags,
                                    int *jobs);
/* A new one for `jobs` jobs in all. With `fifo` (a path that does not exist yet; copied)
 * it has a name there, for make from 4.4 on, until it is closed; NULL: a pipe only. */
MUST_CHECK int jobserver_new(struct jobserver **out, int jobs, const char *fifo,
                             struct err *e);
/* Gives back what was taken. NULL is fine. */
void jobserver_close(struct jobserver *j);

/* A token, if there is one at once. Every one that was taken is given back, by the latest
 * by jobserver_close. */
bool jobserver_take(struct jobserver *j);
void jobserver_give(struct jobserver *j);
/* All at once, and none can be taken any more: before _exit. */
void jobserver_give_all(struct jobserver *j);
/* Readable while there are tokens. */
int jobserver_fd(const struct jobserver *j);

/* What a command has to be given to take part: appends the value of MAKEFLAGS, which is
 * `makeflags` (ours, or NULL) with other words for the jobserver; fds[0] and fds[1] are
 * to be its descriptors 3 and 4, or -1 where it needs none. `by_name` where it knows
 * fifos: GNU make from 4.4 on. j NULL: without one. */
void jobserver_offer(const struct jobserver *j, const char *makeflags, bool by_name,
                     struct buf *out, int fds[2]);

#endif

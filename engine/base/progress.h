#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

/* How the engine tells what it is doing. It never prints: cmd/ gives it a sink. Calls
 * come from any thread; the sink locks. A NULL `struct progress *` says nothing. */
#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

enum progress_kind {
	PROGRESS_BEGIN, /* a piece of work that may take long: `what`, `total` bytes or -1
	                 */
	PROGRESS_BYTES, /* `done` so far of the same `what` */
	PROGRESS_END,   /* it is over; `done` bytes */
	PROGRESS_STEP,  /* one line worth showing: a layer made, a blob mounted, a tag
	                   moved */
	PROGRESS_OUTPUT,     /* output of a command that a target runs, whole lines */
	PROGRESS_OUTPUT_END, /* that is all of it; `done` is 1 if the command failed */
	PROGRESS_WARNING,
	PROGRESS_HOLD,    /* the terminal belongs to a command of the user's, for the
	                     reason in `what`: nothing is written before… */
	PROGRESS_RELEASE, /* …it is ours again */
};

struct progress_event {
	enum progress_kind kind;
	const char *target; /* target it belongs to, or NULL */
	const char *what;   /* for people: "push registry.example/x sha256:1234…" */
	int64_t done, total;
};

struct progress {
	void (*emit)(struct progress *self, const struct progress_event *ev);
};

void progress_begin(struct progress *p, const char *target, const char *what,
                    int64_t total);
void progress_bytes(struct progress *p, const char *target, const char *what,
                    int64_t done, int64_t total);
void progress_end(struct progress *p, const char *target, const char *what, int64_t done);
void progress_step(struct progress *p, const char *target, const char *fmt, ...)
	PRINTF(3, 4);
void progress_warning(struct progress *p, const char *fmt, ...) PRINTF(2, 3);
void progress_output(struct progress *p, const char *target, const char *text);
/* `target` tells outputs apart that come at once. */
void progress_output_end(struct progress *p, const char *target, bool failed);
void progress_hold(struct progress *p, const char *target, const char *why);
void progress_release(struct progress *p);

#endif

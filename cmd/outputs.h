#ifndef CMD_OUTPUTS_H
#define CMD_OUTPUTS_H

/* The output of commands that run at once, each shown whole: that of the first one as it
 * comes, that of the others when those before them are over. */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/vec.h"

enum { OUTPUT_LAST = 40 }; /* lines of a failure that are shown again */

struct output {
	char *name;              /* whose it is; no two at once have the same */
	struct buf waiting;      /* lines that wait for others */
	char *last[OUTPUT_LAST]; /* a ring, with newlines */
	size_t lines;            /* that have been */
	bool ended, failed;
	uint64_t seen; /* the count of writes when its last line was written */
};

struct outputs {
	VEC(struct output *) all; /* in the order in which they began */
	struct output *live;      /* the one that is shown as it comes, or NULL */
	uint64_t writes;          /* all that was written to the terminal so far */
	void (*show)(void *self, const struct buf *lines); /* counts in `writes` */
	void *self;
};

/* A line, with its newline, of the output `name`. */
void outputs_line(struct outputs *l, const char *name, const char *line);
/* A line about `name` that is no output: false if nothing of that waits, and it is the
 * caller's to show. */
bool outputs_wait(struct outputs *l, const char *name, const char *line);
void outputs_end(struct outputs *l, const char *name, bool failed);
void outputs_show_all(struct outputs *l); /* that wait */
/* Shows what still waits, and again the last lines of failures that something else was
 * written after. */
void outputs_fail(struct outputs *l);
void outputs_fini(struct outputs *l); /* shows what still waits */

#endif

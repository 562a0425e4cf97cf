#ifndef CMD_ONGOING_H
#define CMD_ONGOING_H

/* The pieces of work that have begun and are not over, and how they read. */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/progress.h"
#include "base/vec.h"

struct ongoing {
	char *target, *what; /* target may be NULL */
	int64_t done, total;
	int64_t began, said; /* monotonic ns; said: when it last got a line */
};

struct ongoing_list {
	VEC(struct ongoing) works; /* oldest first */
};

void ongoing_begin(struct ongoing_list *l, const struct progress_event *ev, int64_t now);
struct ongoing *ongoing_find(struct ongoing_list *l, const struct progress_event *ev);
/* Takes it off the list; the caller ends it with ongoing_fini. */
struct ongoing ongoing_take(struct ongoing_list *l, struct ongoing *o);
void ongoing_fini(struct ongoing *o);
void ongoing_list_fini(struct ongoing_list *l);

/* "web: TEXT", foreign text made harmless. */
void ongoing_add_titled(struct buf *b, const char *target, const char *text);
/* "12.3 MB of 77.4 MB, 10.2 MB/s" */
void ongoing_add_amount(struct buf *b, const struct ongoing *o, int64_t now);
/* The oldest one and how many more there are, in at most `width` columns. */
void ongoing_add_status(struct buf *b, const struct ongoing_list *l, size_t width,
                        int64_t now);

#endif

#ifndef STORE_FSCK_H
#define STORE_FSCK_H

/* Looks at all that the store holds, and mends it: what is damaged is put aside and
 * forgotten, so that the next build makes it anew. Others may build meanwhile. */
#include "base/progress.h"
#include "store/gc.h"

struct fsck_finding {
	const char *kind; /* "blob", "record", "unpacked layer", "leftover", "mode",
	                     "file" */
	const char *name;
	const char *problem;
	bool repaired;
};

struct fsck;
/* For those who look: tells the finding. */
void fsck_tell(struct fsck *f, const struct fsck_finding *finding);

/* What higher rooms look at, beside gc's. */
struct fsck_rooms {
	const struct gc_rooms *gc;
	void *self;
	/* A blob that a record in STATE_LAYERS names: is it a table of contents? */
	bool (*is_table)(void *self, const struct digest *d);
	/* Unpacked layers against their tables of contents; removes bad ones to repair.
	 */
	int (*unpacked)(void *self, struct fsck *f, bool repair, struct err *e);
};

struct fsck_options {
	bool repair;
	int threads; /* 1 or more */
	const struct fsck_rooms *rooms;
	struct progress *progress; /* or NULL */
	const atomic_bool *stop;   /* as in gc_options */
	void (*found)(void *self, const struct fsck_finding *finding); /* one at a time */
	void *self;
};

struct fsck_report {
	int64_t blobs, bytes, records; /* looked at */
	int64_t findings, repaired;
};

/* ERR_CANCELLED if it was stopped. */
MUST_CHECK int fsck_run(struct store *s, const struct fsck_options *o,
                        struct fsck_report *r, struct err *e);

#endif

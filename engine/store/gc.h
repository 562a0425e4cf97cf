#ifndef STORE_GC_H
#define STORE_GC_H

/* Keeps the store within bounds of size and age: what was not used for longest goes
 * first, images that have a name last. Records go before the blobs that they name, so
 * that whenever gc is killed every record names whole blobs, or is treated as missing.
 *
 * Other processes may build meanwhile. Then nothing goes that was used in the last hour,
 * or since the oldest of those processes began. Alone, gc keeps others waiting and takes
 * whatever is over the bounds. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/vec.h"
#include "store/state.h"
#include "store/store.h"

enum gc_kind {
	GC_BLOBS,
	GC_UNPACKED,  /* rootfs/ */
	GC_CACHES,    /* cache/ */
	GC_ROTTEN,    /* blobs that were put aside */
	GC_LEFTOVERS, /* of killed processes: tmp/ */
	GC_KINDS,
};

struct gc_count {
	int64_t n, bytes;
};

struct gc_report {
	struct gc_count had[GC_KINDS], removed[GC_KINDS];
	struct gc_count in_use[GC_KINDS]; /* over the bounds, and left */
	int64_t state;                    /* bytes of the records, afterwards */
	int64_t records;                  /* removed */
	bool others;                      /* were using the store */
	bool stopped;                     /* time was up, or somebody interrupted */
};

/* The blobs of a record: those that it is worth nothing without, and those that gc is to
 * take last. Of a result, layer and table of contents follow each other. */
struct gc_names {
	VEC(struct digest) needed;
	VEC(struct digest) kept;
	bool told; /* gc notes when it took the record: gc_when */
	bool unreadable;
};

struct gc_list;
/* One more thing that takes room. `name` is copied; `size` in bytes, `used` in seconds
 * since 1970. */
void gc_list_add(struct gc_list *l, enum gc_kind kind, const char *name, int64_t size,
                 int64_t used);

/* What higher rooms know. */
struct gc_rooms {
	void *self;
	/* Of records in STATE_RESULTS, STATE_LAYERS and STATE_IMAGES. */
	void (*names)(void *self, enum state_table t, const struct state_record *r,
	              struct gc_names *out);
	/* GC_UNPACKED and GC_CACHES. */
	int (*list)(void *self, struct gc_list *l, struct err *e);
	/* Removes those, or GC_LEFTOVERS, of `names` that nobody is using and nobody did
	 * since `before` (INT64_MAX: whenever). gone[i] says which are away now. */
	int (*remove)(void *self, enum gc_kind kind, const struct strlist *names,
	              int64_t before, bool *gone, struct err *e);
	/* Nobody else is there: removes lock files of what is gone. */
	void (*tidy)(void *self);
};

struct gc_options {
	int64_t max_size; /* bytes; -1: any */
	int64_t max_age;  /* seconds since the last use; -1: any */
	bool all;         /* whatever is not in use, and what is known of it */
	bool dry_run;
	bool on_exit;            /* after a build: its own things count as in use */
	int64_t deadline;        /* of clock_ns; 0: none */
	const atomic_bool *stop; /* set: stop soon; or NULL */
	const struct gc_rooms *rooms;
};

MUST_CHECK int gc_run(struct store *s, const struct gc_options *o, struct gc_report *r,
                      struct err *e);

/* Bytes: 20 GB or a tenth of the store's disk, the smaller. */
int64_t gc_default_size(const struct store *s);
enum { GC_DEFAULT_AGE = 60 * 24 * 60 * 60 };

/* For the end of a build: whether gc should look, from what the last gc found and what
 * has come since, at the cost of one record if this process added nothing. Notes what it
 * has added. */
bool gc_due(struct store *s, int64_t max_size);

/* 1: gc took the result with this key, at *when (seconds since 1970); 0: not known. */
MUST_CHECK int gc_when(struct store *s, const struct digest *key, int64_t *when,
                       struct err *e);

#endif

#ifndef STORE_STATE_H
#define STORE_STATE_H

/* Small records in LMDB (<store>/state.mdb): crash-safe, many processes, readers never
 * wait. A record is only ever written after the blobs that it names. */
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum state_table {
	STATE_RESULTS, /* key digest (32 bytes) → encoded result */
	STATE_TARGETS, /* "root\0target\0platform" → components of the last build, for
	                  `why` */
	STATE_IMAGES,  /* name → descriptor of an image that people can refer to */
	STATE_LAYERS,  /* diff ID → known blobs and table of contents */
	STATE_RULES,   /* "root\0output" → state of a host rule */
	STATE_CHECKS,  /* image digest and check key → passed, when; or what a document
	                  of an image depends on → its descriptor */
	STATE_SOURCES, /* blob digest → registry repositories known to hold it */
	STATE_FACTS,   /* name → what was found out about this machine by trying */
	STATE_GONE, /* key of a result that gc took → when, decimal seconds since 1970 */
	STATE_SIZES, /* path of a directory below the store → what it takes, see gc.c */
	STATE_FILES, /* directory → digests of its files, see stat_cache.h */
	STATE_USED, /* table and key → when the record was last read or written: private
	             */
	STATE_UPLOADS, /* digest of host, repository and blob → an upload that is under
	                * way, see uploads.h
	                */
	STATE_TIMES,   /* root → how long its targets took to be made */
	STATE_TABLES,
};

struct state;

MUST_CHECK int state_open(struct state **out, int store_dir, bool read_only,
                          struct err *e);
void state_close(struct state *s);

/* 1: found, *out replaced; 0: absent; -1. */
MUST_CHECK int state_get(struct state *s, enum state_table t, const void *key,
                         size_t key_len, struct buf *out, struct err *e);
/* data NULL deletes. One transaction: a process that is killed loses nothing that was
 * put, a power cut the last transaction at most, and none that deletes: what a record
 * named may go when it has gone. */
MUST_CHECK int state_put(struct state *s, enum state_table t, const void *key,
                         size_t key_len, const void *data, size_t n, struct err *e);
/* Several of them, of any tables, all or none. */
struct state_change {
	enum state_table table;
	const void *key;
	size_t key_len;
	const void *data; /* NULL deletes */
	size_t n;
};
MUST_CHECK int state_change(struct state *s, const struct state_change *list, size_t n,
                            struct err *e);

/* All tables as they were when the view was opened, without copies. For one thread at a
 * time, and not for long: pages that it shows cannot be used again. */
struct state_view;
MUST_CHECK int state_view_open(struct state_view **out, struct state *s, struct err *e);
void state_view_close(struct state_view *v); /* NULL is fine */
/* 1: *out and *n, borrowed from the view; 0: absent; -1. Does not count as use. */
MUST_CHECK int state_view_get(struct state_view *v, enum state_table t, const void *key,
                              size_t key_len, const void **out, size_t *n, struct err *e);

/* Of the records in tables up to STATE_SOURCES it is known when they were last used, to
 * STATE_USE_GRAIN seconds: noted when that has passed since the last time, all at once in
 * state_close. */
enum { STATE_USE_GRAIN = 24 * 60 * 60 };

struct state_record {
	const void *key, *data; /* borrowed */
	size_t key_len, n;
	int64_t used; /* seconds since 1970, at least; 0: not known, and noted as now */
};
/* Every record in key order; fn returns nonzero to stop, which is returned. It may not
 * write. Keys longer than LMDB takes come as their digests, and may be given so. */
int state_each(struct state *s, enum state_table t,
               int (*fn)(void *self, const struct state_record *r), void *self,
               struct err *e);

/* See store_try_state. */
MUST_CHECK int state_try(struct state *s, struct err *e);

/* Bytes of its file. */
int64_t state_size(const struct state *s);
/* Writes the file anew without its free pages, if they are most of a large one. Nobody
 * else may have the store open. *s is another one then; after an error it is NULL, or as
 * it was.
 */
MUST_CHECK int state_compact(struct state **s, int store_dir, struct err *e);

#endif

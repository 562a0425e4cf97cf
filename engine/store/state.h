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
	STATE_CHECKS,  /* image digest and check key → passed, when */
	STATE_SOURCES, /* blob digest → registry repositories known to hold it */
	STATE_FACTS,   /* name → what was found out about this machine by trying */
	STATE_TABLES,
};

struct state;

MUST_CHECK int state_open(struct state **out, int store_dir, bool read_only,
                          struct err *e);
void state_close(struct state *s);

/* 1: found, *out replaced; 0: absent; -1. */
MUST_CHECK int state_get(struct state *s, enum state_table t, const void *key,
                         size_t key_len, struct buf *out, struct err *e);
/* data NULL deletes. One durable transaction. */
MUST_CHECK int state_put(struct state *s, enum state_table t, const void *key,
                         size_t key_len, const void *data, size_t n, struct err *e);
/* Every record in key order; fn returns nonzero to stop, which is returned. */
int state_each(struct state *s, enum state_table t,
               int (*fn)(void *self, const void *key, size_t key_len, const void *data,
                         size_t n),
               void *self, struct err *e);

#endif

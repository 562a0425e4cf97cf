#ifndef PUBLISH_REMOTE_CACHE_H
#define PUBLISH_REMOTE_CACHE_H

/* Results kept in repositories of a registry: an entry is a manifest whose tag is its key
 * and whose layers are the blobs that it names, so that the registry keeps them with it.
 * The text is an annotation: one request tells all. A repository that fails or is missing
 * costs a warning and is left alone from then on; an entry that lies costs one, and is as
 * good as none. */
#include "build/remote.h"
#include "registry/client.h"
#include "store/store.h"

struct remote_cache_options {
	struct store *store;
	struct registry *registry;
	struct progress *progress;  /* or NULL */
	const char *repo;           /* read and written; NULL: none */
	const struct strlist *read; /* read only, after it */
	const char *key; /* PEM file: see remote_sign.h; NULL: nothing is signed */
	bool dry_run;    /* nothing is written */
};

struct remote_cache_counts {
	size_t asked, found, put;
	int64_t bytes_sent;
};

struct remote_cache;

/* A name or a key that cannot be is an error; that nobody answers is none. */
MUST_CHECK int remote_cache_open(struct remote_cache **out,
                                 const struct remote_cache_options *o, struct err *e);
struct build_remote *remote_cache_build(struct remote_cache *c);
/* Until all that was put is there. */
void remote_cache_wait(struct remote_cache *c);
void remote_cache_counts(struct remote_cache *c, struct remote_cache_counts *out);
void remote_cache_close(struct remote_cache *c); /* waits; NULL is fine */

const char *remote_kind_name(enum remote_kind kind);
/* The tag of an entry: "step-" and 64 hex digits. */
enum { REMOTE_TAG = 80 };
const char *remote_tag(enum remote_kind kind, const struct digest *key,
                       char out[REMOTE_TAG]);

#endif

#ifndef BUILD_REMOTE_H
#define BUILD_REMOTE_H

/* Results that other machines made (2-architecture.md, "Remote cache"), as the build sees
 * them: texts under keys, and repositories that have the blobs that they name. How they
 * are kept is publish/remote_cache.c's. */
#include "base/vec.h"
#include "image/descriptor.h"

enum remote_kind {
	REMOTE_RESULT, /* a target's, by plan key */
	REMOTE_STEP,   /* a step's, by plan key or result key */
	REMOTE_TABLE,  /* a layer's table of contents, by diff ID */
	REMOTE_CHECK,  /* when a check passed, by its key: seconds since 1970; or a
	                  document  of an image, by what it depends on: its descriptor */
	REMOTE_MOUNT,  /* a run step's cache directory, as it was when it was last put */
	REMOTE_KINDS,
};

struct remote_entry {
	enum remote_kind kind;
	struct digest key;
	const char *text; /* JSON */
	/* What the text names and others need: in the store, or where an entry came from.
	 */
	const struct descriptor *blobs;
	size_t n;
};

/* From any thread. Neither fails: a cache that cannot be had costs a warning, never the
 * build. */
struct build_remote {
	/* 1: *text is what was put under the key; 0. */
	int (*get)(struct build_remote *self, enum remote_kind kind,
	           const struct digest *key, struct buf *text);
	/* Some time soon; copies the entry. */
	void (*put)(struct build_remote *self, const struct remote_entry *entry);
	struct strlist repos; /* "host/repo" */
	bool writes;          /* put does something */
};

#endif

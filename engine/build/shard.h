#ifndef BUILD_SHARD_H
#define BUILD_SHARD_H

/* What a complete tree becomes: one layer, or several of a large one, its shards. A
 * layer's packed bytes are a function of its entries alone, so the digest of the entries
 * is its result key, and a shard whose entries are the old ones is not packed again.
 *
 * The number of shards does not grow with the tree, and a file's shard is picked by its
 * path's hash alone, from those for large files (SHARD_LARGE) or from those for all
 * others. Names of one file are with the first of them. A directory is repeated in every
 * shard that has something below it; those with no file below them are all in one shard.
 *
 * So of one edit (a file is written, added, removed or renamed, and the directories that
 * come and go with it) at most two of the resulting layers are new. Two things come to
 * more: where the edit leaves a directory behind empty, or fills one, the shard of those
 * is new as well; and where the bytes of all but the large files pass `least`, these
 * become several layers of one, or one of several. */
#include <stdatomic.h>

#include "base/progress.h"
#include "build/tree.h"
#include "image/pack.h"

enum { SHARDS_MAX = 60, SHARD_LARGE = 8 << 20 };

struct shard {
	struct tree_entry **at; /* in packing order */
	size_t n;
	unsigned number; /* the bit in tree_entry.shards */
	int64_t size;    /* bytes of its tar, about */
};

struct shards {
	struct shard *at; /* in the order of the layers: large files' first, since what
	                     is above a changed layer is unpacked anew by readers */
	size_t n;         /* 0: the tree is empty */
	struct tree_entry **entries; /* of all, owned */
};

struct shard_rule {
	unsigned layers; /* at most, SHARDS_MAX at most; 0 and 1: one whatever its size */
	int64_t least;   /* bytes of tar below which there is only one */
};

/* Completes the tree: of each file with several names, all but the first become hard
 * links to that. The shards borrow from it. */
void tree_cut(struct tree *t, const struct shard_rule *r, struct shards *out);
void shards_fini(struct shards *s);

/* Digest of all that the layer's bytes depend on. */
void shard_key(const struct shard *s, enum codec codec, struct digest *out);

/* Told of bytes packed, by several threads; the sum is what people see. */
struct pack_meter {
	struct progress *progress; /* or NULL */
	const char *target;
	int64_t total;
	_Atomic int64_t done;
};

struct pack_options {
	struct blobs *store;
	enum codec codec;
	struct pool *pool;        /* to compress; or NULL */
	struct pack_meter *meter; /* or NULL */
};

/* ERR_CHANGED if a project file's bytes are no longer those of its digest. Shards of one
 * tree may be packed side by side. */
MUST_CHECK int shard_pack(const struct shard *s, const struct pack_options *o,
                          struct layer *out, struct err *e);

#endif

#ifndef BUILD_TREE_H
#define BUILD_TREE_H

/* A layer in the making: what steps put into it, resolved against the layers below. When
 * it is complete, shard.h cuts and packs it. */
#include "base/map.h"
#include "base/vec.h"
#include "image/toc.h"

/* Where a file's bytes are. */
struct content {
	enum { CONTENT_NONE, CONTENT_PATH, CONTENT_FD, CONTENT_MEMORY } kind;
	int fd; /* PATH: directory that `path` is below; FD: file. Borrowed. */
	const char *path;
	int64_t offset; /* of FD */
	const void *memory;
};

struct tree_entry {
	struct toc_entry toc;
	struct content content;
	const void *inode; /* files with the same one are names of one file; NULL: it has
	                      one name */
	unsigned step;     /* of which step of the layer it is */
	bool opaque;       /* a directory that hides what is below */
	uint64_t shards;   /* once it is cut: a bit for each shard that has it */
};

struct tree {
	struct arena *arena;           /* borrowed */
	VEC(const struct toc *) below; /* layers below; the last is `own` once sealed */
	size_t n_parents;
	struct toc own;
	struct map by_path; /* → struct tree_entry *, whiteouts too */
	unsigned step;
	/* Files come directory by directory: where the last one was put, if all
	 * directories above it are ours, and whether no layer below shows anything there.
	 */
	const char *last;
	bool last_is_new;
	int64_t mtime; /* of directories that are only repeated or implied */
};

void tree_init(struct tree *t, struct arena *a, const struct toc *const *parents,
               size_t n, int64_t mtime);
void tree_fini(struct tree *t);
/* Begins the next step: it sees what the ones before it did. */
void tree_next_step(struct tree *t);
struct toc_view tree_view(const struct tree *t);

/* Resolves `path` ("/app/x") through the symlinks of the image so far; toc_view_resolve's
 * contract. */
MUST_CHECK int tree_resolve(const struct tree *t, const char *path, bool last,
                            struct buf *out, const struct toc_entry **entry,
                            struct err *e);

/* Puts an entry at its (resolved) path, with the directories above it: those that exist
 * are repeated with their own metadata, missing ones get `dir_mode`, and the entry's
 * owner. A directory over a file, a file over a directory, and two different files of one
 * step at one path are ERR_INVALID. The entry's strings are borrowed and must live as
 * long as the arena. Names of one file are put as files with the same `inode`: which of
 * them has the content is only known when the layer is complete. */
MUST_CHECK int tree_put(struct tree *t, const struct toc_entry *entry,
                        const struct content *content, uint32_t dir_mode, struct err *e);
/* What this layer has at a resolved path, a whiteout too; NULL if it says nothing of it.
 */
struct tree_entry *tree_own(const struct tree *t, const char *path);
/* Takes `path` (resolved, exists) out of the image. */
MUST_CHECK int tree_remove(struct tree *t, const char *path, struct err *e);

#endif

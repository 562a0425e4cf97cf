#ifndef IMAGE_TOC_H
#define IMAGE_TOC_H

/* A layer's table of contents: what its tar stream holds, without the bytes. Entries are
 * sorted bytewise by path and unique. */
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"

enum toc_type {
	TOC_FILE = 'f',
	TOC_DIR = 'd',
	TOC_SYMLINK = 'l',
	TOC_HARDLINK = 'h', /* `link` is the path of an entry of the same layer, or of one
	                       below */
	TOC_CHAR = 'c',
	TOC_BLOCK = 'b',
	TOC_FIFO = 'p',
	TOC_WHITEOUT = 'w', /* `path` is what it hides, without ".wh." */
	TOC_OPAQUE = 'o',   /* `path` is the directory whose lower content it hides */
};

struct toc_xattr {
	const char *name; /* "security.capability" */
	const void *value;
	size_t size;
};

struct toc_entry {
	const char *path; /* "usr/bin/env": no leading or trailing slash; "" is the root
	                   */
	enum toc_type type;
	uint32_t mode; /* 07777 */
	uint32_t uid, gid;
	uint32_t dev_major, dev_minor;
	int64_t size;         /* of a file, else 0 */
	int64_t mtime;        /* seconds */
	struct digest digest; /* of a file's content, else zero */
	const char *link;     /* of symlinks (verbatim) and hard links, else NULL */
	const struct toc_xattr *xattrs; /* sorted by name */
	size_t n_xattrs;
	int64_t offset; /* of a file's data in the tar stream; -1: sparse, not in one
	                   piece */
};

struct toc {
	struct arena arena; /* holds entries' strings and xattrs */
	struct toc_entry *at;
	size_t n, cap;
	int64_t tar_size; /* bytes of the tar stream */
};

#define TOC_INIT                                                                         \
	{                                                                                \
		ARENA_INIT, NULL, 0, 0, 0                                                \
	}

void toc_fini(struct toc *t);
/* Copies the entry with all it points to. Order is not yet looked at. */
struct toc_entry *toc_add(struct toc *t, const struct toc_entry *entry);
/* Sorts; of entries with the same path the last added wins (tar semantics). Whiteouts
 * never hide what is in their own layer, so beside an entry a whiteout or opaque mark of
 * the same path is dropped, unless the entry is a TOC_DIR: then one TOC_OPAQUE stays
 * (path equal, 'd' before 'o'). */
void toc_sort(struct toc *t);
const struct toc_entry *toc_find(const struct toc *t, const char *path); /* not whiteouts
                                                                          */
/* Names and values are equal. */
bool toc_xattrs_same(const struct toc_entry *a, const struct toc_entry *b);
/* What they say is equal but for path and time: of a hard link, the name that it links.
 */
bool toc_entry_same(const struct toc_entry *a, const struct toc_entry *b);
/* Index of the first entry whose path is not below the n bytes at `path` in bytewise
 * order; t->n if there is none. */
size_t toc_lower_bound(const struct toc *t, const char *path, size_t n);

/* Whether the n bytes may be an entry's path: "" or components of 1 to 255 bytes, none of
 * them ".",
 * ".." or beginning with ".wh.", no NUL, at most 4095 bytes in all. */
bool toc_path_valid(const char *path, size_t n);

/* File format: documented at the top of toc_file.c; starts with "imgmake-toc 1\n". The
 * table is sorted. */
void toc_encode(const struct toc *t, struct buf *out);
/* `t` is TOC_INIT; after an error it is so again. Hostile bytes are fine: what is
 * accepted is sorted, unique, keeps every rule above, and encodes to the very same bytes.
 */
MUST_CHECK int toc_decode(struct toc *t, const void *data, size_t n, struct err *e);

/* Several layers seen as one file system, lowest first. Borrows the tables. What a layer
 * says of a path replaces what lower layers say; its whiteouts, its opaque marks, and
 * what it puts in the place of a directory hide lower layers, never itself (OCI
 * image-spec 1.1, layer.md). Paths are taken lexically but for toc_view_resolve. */
struct toc_view {
	const struct toc *const *layers;
	size_t n;
};

/* What toc_view_find returns for a directory, the root also, that no layer has an entry
 * for but that exists by what is in it: 0755, owner 0:0, path "". */
extern const struct toc_entry toc_implied_dir;

/* The visible entry at exactly `path` (symlinks not followed), or NULL. *layer (may be
 * NULL) gets the index of the layer that it comes from. A TOC_HARDLINK entry is returned
 * as it is. */
const struct toc_entry *toc_view_find(const struct toc_view *v, const char *path,
                                      size_t *layer);

/* Resolves symlinks inside the root as a kernel would after chroot; components that do
 * not exist are appended lexically. `out` gets the canonical path without leading slash.
 * With `last`, or a slash behind it, the final component is followed too. *entry (may be
 * NULL) is what is there, or NULL. More than 40 links, or a component that is no
 * directory, is ERR_INVALID. */
MUST_CHECK int toc_view_resolve(const struct toc_view *v, const char *path, bool last,
                                struct buf *out, const struct toc_entry **entry,
                                struct err *e);

/* Calls fn for each visible entry at or below `path` in bytewise order; fn returns
 * nonzero to stop, which is returned. `layer` is the index of the entry's layer. Implied
 * directories have no entry, so they do not come. */
int toc_view_walk(const struct toc_view *v, const char *path,
                  int (*fn)(void *self, const struct toc_entry *entry, size_t layer),
                  void *self);

#endif

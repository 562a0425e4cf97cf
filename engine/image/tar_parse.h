#ifndef IMAGE_TAR_PARSE_H
#define IMAGE_TAR_PARSE_H

/* Inside of the tar reader: our own strict parser of tar headers. What it does not fully
 * understand, or what tar readers in the field understand differently, it refuses.
 * Formats: v7, POSIX ustar and pax (POSIX.1-2017, pax), GNU (tar manual, "Basic Tar
 * Format"). */
#include "base/vec.h"
#include "image/codec.h"
#include "image/toc.h"

enum { TAR_BLOCK = 512 };

/* A source with a buffer, a position and a limit on how much may come. */
struct tar_input {
	struct source *in;
	char *buf;
	size_t pos, len;
	int64_t offset;   /* bytes taken so far */
	int64_t expanded; /* bytes of holes so far, which count too */
	int64_t limit;
};

void tar_input_init(struct tar_input *in, struct source *source, int64_t limit);
void tar_input_fini(struct tar_input *in);
/* Bytes that can be had at buf + pos: 1 or more, 0 at the end, -1. */
MUST_CHECK ssize_t tar_input_fill(struct tar_input *in, struct err *e);
void tar_input_take(struct tar_input *in, size_t n); /* at most what fill said */
/* 1: a block, 0: the stream ends here, -1: error or a part of a block. */
MUST_CHECK int tar_input_block(struct tar_input *in, char block[TAR_BLOCK],
                               struct err *e);
/* Appends `size` bytes; the padding to a full block is read and dropped. */
MUST_CHECK int tar_input_body(struct tar_input *in, int64_t size, struct buf *out,
                              struct err *e);
MUST_CHECK int tar_input_skip(struct tar_input *in, int64_t n, struct err *e);
/* Reads to the very end, where only zeros may be. */
MUST_CHECK int tar_input_drain(struct tar_input *in, struct err *e);
int64_t tar_input_padding(int64_t size); /* to a full block */

enum tar_format { TAR_V7, TAR_USTAR, TAR_GNU };

struct tar_header {
	enum tar_format format;
	char type;
	int64_t size, mtime;
	uint32_t mode, uid, gid, dev_major, dev_minor;
	char name[257]; /* prefix, slash, name */
	char link[101];
};

/* Checksum, format, type and size: all that matters for a header that describes another.
 */
MUST_CHECK int tar_header_begin(struct tar_header *h, const char block[TAR_BLOCK],
                                struct err *e);
/* The rest, of a header that is an entry's own. */
MUST_CHECK int tar_header_rest(struct tar_header *h, const char block[TAR_BLOCK],
                               struct err *e);
/* A numeric field: octal, or base 256 as GNU writes it. */
bool tar_number(const char *field, size_t n, int64_t *out);
bool tar_decimal(const char *s, size_t n, int64_t *out); /* 0…2^63-1, digits only */
bool tar_block_is_zero(const char block[TAR_BLOCK]);

struct tar_region {
	int64_t offset, size;
};

/* Where the stored bytes of a sparse file belong. */
struct tar_sparse {
	bool on;
	bool old;                               /* GNU type 'S' */
	int64_t major, minor, realsize, blocks; /* -1: not said */
	int64_t at; /* GNU.sparse.offset that waits for its numbytes, or -1 */
	bool map;   /* GNU.sparse.map was there */
	VEC(struct tar_region) regions;
	size_t max_regions;
};

void tar_sparse_reset(struct tar_sparse *s);
MUST_CHECK int tar_sparse_add(struct tar_sparse *s, int64_t offset, int64_t size,
                              struct err *e);
MUST_CHECK int tar_sparse_map(struct tar_sparse *s, const char *text,
                              struct err *e); /* pax 0.1 */
/* Maps outside of pax headers: in `block` and those after it (old GNU), or in front of
 * the data (pax 1.0; *stored shrinks by it). Then all kinds: ascending, inside the file,
 * *stored in sum. */
MUST_CHECK int tar_sparse_finish(struct tar_sparse *s, const char block[TAR_BLOCK],
                                 struct tar_input *in, int64_t *stored, struct err *e);

/* Extended attributes, SCHILY.xattr.* and LIBARCHIVE.xattr.* of pax headers. libarchive
 * writes each in both forms; the former, which is plain, wins. Marks of overlayfs are
 * dropped. */
struct tar_xattrs {
	VEC(struct toc_xattr) list;
	VEC(bool) encoded; /* whether the one at the same index came in the latter form */
	struct arena arena; /* what had to be decoded */
};

void tar_xattrs_reset(struct tar_xattrs *x);
void tar_xattrs_fini(struct tar_xattrs *x);
/* 1: the record was an extended attribute, which stays borrowed; 0: it is something else;
 * -1. */
MUST_CHECK int tar_xattrs_read(struct tar_xattrs *x, const char *key, const char *value,
                               size_t n, struct err *e);
void tar_xattrs_sort(struct tar_xattrs *x);

/* What pax headers and GNU long names say of the next entry. */
struct tar_ext {
	unsigned seen;   /* bits of the keys read */
	struct buf body; /* of the pax header; values below point into it */
	struct buf long_name, long_link;
	const char *path, *link, *sparse_name; /* NULL: not said */
	int64_t size, uid, gid;                /* -1: not said */
	int64_t mtime;
	int32_t mtime_nsec; /* beyond the whole seconds */
	bool has_mtime;
	struct tar_xattrs xattrs;
	struct tar_sparse sparse;
};

void tar_ext_init(struct tar_ext *x, size_t max_regions);
void tar_ext_fini(struct tar_ext *x);
void tar_ext_reset(struct tar_ext *x);
/* Parses x->body. */
MUST_CHECK int tar_pax_read(struct tar_ext *x, struct err *e);
/* A global header: only what changes no entry is accepted. */
MUST_CHECK int tar_pax_global(const struct buf *body, struct err *e);

/* One entry, as the stream says it: the parser's result. */
struct tar_member {
	struct toc_entry entry; /* path is set from `path` or what a whiteout hides */
	struct buf name;        /* cleaned, with ".wh." */
	struct buf hides;       /* of whiteouts */
	struct buf link;
	struct tar_ext ext;
	int64_t stored; /* bytes that follow, without padding */
	bool ignored;   /* AUFS's own files, which mean nothing to us */
};

struct tar_rules {
	struct image_limits limits;
	bool layer;
	int64_t entries; /* so far */
};

void tar_member_init(struct tar_member *m, const struct image_limits *l);
void tar_member_fini(struct tar_member *m);
/* 1: *m is the next entry and `in` stands at its stored bytes; 0: the archive has ended,
 * and so has the stream; -1. */
MUST_CHECK int tar_member_next(struct tar_member *m, struct tar_input *in,
                               struct tar_rules *rules, struct err *e);

#endif

#ifndef IMAGE_TAR_READER_H
#define IMAGE_TAR_READER_H

/* Reads tar streams of strangers (layers, archives): headers are parsed and judged by us,
 * then read by libarchive with all filters off; 5-safety.md, "Hostile input", lists what
 * is refused. Formats: v7, ustar, pax, GNU; sparse files are expanded. Names are bytes,
 * whatever the locale. Of extended attributes, SCHILY.xattr.* and LIBARCHIVE.xattr.* are
 * read; ACLs as text, user names, atime and ctime are not. ERR_LIMIT: larger than `l`
 * allows; ERR_INVALID: refused; ERR_CORRUPT: damaged. */
#include "image/codec.h"
#include "image/toc.h"

struct tar_reader;
/* `in` is borrowed and gives the plain tar stream. `layer`: ".wh." names are whiteouts;
 * otherwise such names are refused. `l` may be NULL for the defaults. */
struct tar_reader *tar_reader_new(struct source *in, bool layer,
                                  const struct image_limits *l);
/* 1: *entry is the next (borrowed until the next call; its digest is zero); 0: the end,
 * with the stream read to its last byte and only zeros behind the archive; -1: error, and
 * so at every later call. */
MUST_CHECK int tar_reader_next(struct tar_reader *t, struct toc_entry *entry,
                               struct err *e);
/* Bytes of the current file: count, 0 at its end, -1. */
MUST_CHECK ssize_t tar_reader_data(struct tar_reader *t, void *data, size_t n,
                                   struct err *e);
/* By how many nanoseconds the current entry is younger than its whole seconds say. */
int32_t tar_reader_nsec(const struct tar_reader *t);
int64_t tar_reader_offset(const struct tar_reader *t); /* of the stream, so far */
void tar_reader_free(struct tar_reader *t);

/* Reads a whole layer: its table of contents (sorted, with digests of all files) and its
 * diff ID. `in` gives the bytes as stored, on another thread; at their end nothing may be
 * left. */
MUST_CHECK int layer_scan(struct source *in, enum codec codec,
                          const struct image_limits *l, struct toc *out,
                          struct digest *diff_id, struct err *e);
/* The same, with the files put beside. */
struct layer_files;
MUST_CHECK int layer_scan_files(struct source *in, enum codec codec,
                                struct layer_files *files, struct toc *out,
                                struct digest *diff_id, struct err *e);

#endif

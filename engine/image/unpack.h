#ifndef IMAGE_UNPACK_H
#define IMAGE_UNPACK_H

/* The file system of an image, its layers merged, as a tar file or a directory. All
 * layers are read to their ends and checked against their diff IDs before anything is
 * written, and each file's bytes again as they are written; memory does not grow with
 * files' sizes. A name is resolved as it would be on applying one layer after the other:
 * with "lib" a symlink to "usr/lib" in a lower layer, "lib/x" of an upper one is
 * "usr/lib/x", and ".wh.x" beside it hides that. */
#include "image/image.h"

/* Writes `path` (relative to `dir`), whole or not at all: a plain tar file, a function of
 * the image alone, sorted bytewise, in which directories that no layer has an entry for
 * are 0755, owned by 0:0. Files that share their content through a hard link still do. */
MUST_CHECK int unpack_tar(struct blobs *store, const struct image *im, int dir,
                          const char *path, struct err *e);

/* What could not be made as it should be, for want of rights or because the file system
 * has no such thing. All else was. An entry without its owner loses setuid and setgid. */
struct unpack_report {
	size_t owners_skipped;  /* entries that belong to us instead */
	size_t devices_skipped; /* not there */
	size_t xattrs_skipped;  /* extended attributes */
};

/* Fills the directory `path`, which must be empty or not exist (ERR_EXISTS). After an
 * error it is so again. `report` may be NULL. */
MUST_CHECK int unpack_dir(struct blobs *store, const struct image *im, int dir,
                          const char *path, struct unpack_report *report, struct err *e);

#endif

#ifndef IMAGE_PLACE_H
#define IMAGE_PLACE_H

/* Makes what a layer's entry says, below a directory known by its fd, whoever wrote the
 * entry: nothing outside of that directory is read, made or changed. Directories above an
 * entry are opened by openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), so that a
 * symlink, as a chroot would have it, leads nowhere else; the last name is never
 * followed. Nothing is replaced: what stands in the way is an error, but for a directory
 * where a directory should be. A symlink's text is kept as it is, and not judged. Until
 * place_dir_end, directories are ours alone (0700). Order: chown, chmod, extended
 * attributes, times (2-architecture.md, "Layers"); "user." attributes come before chmod,
 * which may take the right to set them from their owner. */
#include "image/toc.h"
#include "image/unpack.h"

struct place {
	int root;                     /* borrowed */
	struct unpack_report *report; /* borrowed; is added to */
	int32_t nsec; /* what is placed is so much younger than its whole seconds say */
};

/* A directory (without its metadata), symlink, device or FIFO. Of a device we may not
 * make, only the report tells. Whiteouts, hard links and character device 0:0 are
 * ERR_INVALID. Missing directories above are made, 0755. */
MUST_CHECK int place_entry(struct place *p, const struct toc_entry *t, struct err *e);

/* A file: the fd to write its content to, for place_file_end to close, or -1. */
MUST_CHECK int place_file(struct place *p, const struct toc_entry *t, struct err *e);
/* The content is written: metadata, and `fd` is closed, also after an error. */
MUST_CHECK int place_file_end(struct place *p, int fd, const struct toc_entry *t,
                              struct err *e);

/* A file with its content, from `name` below another directory, in which no symlink is:
 * moved here, with metadata. 1; 0: it is not there, or this file system cannot move it.
 */
MUST_CHECK int place_moved(struct place *p, int dir, const char *name,
                           const struct toc_entry *t, struct err *e);

/* A file that is here: its metadata. */
MUST_CHECK int place_settle(struct place *p, const struct toc_entry *t, struct err *e);

/* Another name for a regular file below the root. */
MUST_CHECK int place_link(struct place *p, const char *path, const char *target,
                          struct err *e);

/* All that is in the directory is there: its owner, mode, xattrs and time. */
MUST_CHECK int place_dir_end(struct place *p, const struct toc_entry *t, struct err *e);

/* Takes away what is at `path`, or an empty directory; nothing there is fine. Directories
 * that were closed to us are opened by place_dir_reopen first. */
MUST_CHECK int place_remove(struct place *p, const char *path, struct err *e);
void place_dir_reopen(struct place *p, const char *path);

#endif

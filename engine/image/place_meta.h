#ifndef IMAGE_PLACE_META_H
#define IMAGE_PLACE_META_H

/* Owner, mode, extended attributes and time of one inode. Inside of place.c. */
#include "image/toc.h"
#include "image/unpack.h"

enum { PROC_FD_MAX = 32 };

/* A path by which calls that know no O_PATH fds reach just that inode, a symlink itself
 * included. */
const char *proc_fd(char out[PROC_FD_MAX], int fd);

/* `fd` may be O_PATH. What we have no right to set is counted. */
MUST_CHECK int place_meta(struct unpack_report *report, int fd, const struct toc_entry *t,
                          struct err *e);

#endif

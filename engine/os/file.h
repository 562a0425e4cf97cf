#ifndef OS_FILE_H
#define OS_FILE_H

/* Files and directories below a directory fd. */
#include <stdbool.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"

/* Opens a path below `dir` following no symlink out of it (openat2 RESOLVE_BENEATH;
 * symlinks that stay inside are followed, magic links never). Returns the fd or -1 with
 * errno set. */
int file_open_beneath(int dir, const char *path, int flags, mode_t mode);

/* Opens for reading what must be a regular file: FIFOs and devices are refused unread.
 * Returns the fd (caller closes) or -1. `st` may be NULL. */
MUST_CHECK int file_open_regular(int dir, const char *path, struct stat *st,
                                 struct err *e);

/* Begins to read a file beneath `dir` that is wanted soon; does not wait for its bytes.
 */
void file_read_ahead(int dir, const char *path);

/* Appends the content of a regular file of at most `limit` bytes. ERR_NOT_FOUND if
 * absent. */
MUST_CHECK int file_read(int dir, const char *path, struct buf *out, size_t limit,
                         struct err *e);

/* Like it, with file_open_beneath. */
MUST_CHECK int file_read_beneath(int dir, const char *path, struct buf *out, size_t limit,
                                 struct err *e);

/* Replaces `path` (its directory exists) whole or not at all, and durably: temporary
 * file, fsync, rename, fsync of the directory. */
MUST_CHECK int file_replace(int dir, const char *path, const void *data, size_t n,
                            mode_t mode, struct err *e);

/* mkdir -p. */
MUST_CHECK int file_mkdirs(int dir, const char *path, mode_t mode, struct err *e);
/* rm -rf below `dir`, through fds; a missing path is fine. */
MUST_CHECK int file_remove_tree(int dir, const char *path, struct err *e);
bool file_exists(int dir, const char *path);

#endif

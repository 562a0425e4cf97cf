#ifndef OS_FD_H
#define OS_FD_H

/* File descriptors: closing, whole reads and writes. Every fd here is O_CLOEXEC. */
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

void fd_close(int *fd); /* -1 is fine; sets -1 */
#define AUTO_CLOSE AUTO(fd_close)

/* All of them retry on EINTR. `what` names the thing in messages. */
MUST_CHECK int fd_write(int fd, const void *data, size_t n, const char *what,
                        struct err *e);
/* Reads up to n bytes, short only at the end. Returns the count or -1. */
MUST_CHECK ssize_t fd_read(int fd, void *data, size_t n, const char *what, struct err *e);
/* Appends all that follows to `out`; more than `limit` bytes is ERR_LIMIT. */
MUST_CHECK int fd_read_all(int fd, struct buf *out, size_t limit, const char *what,
                           struct err *e);
MUST_CHECK int fd_sync(int fd, const char *what, struct err *e);
/* Reads what the system has in memory at `offset`, or where the file stands if that is
 * -1: bytes; -1: none, it would wait for a disk; 0: at the end, and where that cannot be
 * told or anything else is wrong, which who reads on meets again. */
ssize_t fd_read_cached(int fd, void *data, size_t n, int64_t offset);
/* The first `n` (1 or more) bytes are not read again soon: what is on disk of them leaves
 * the system's memory. Pages that were in use cost a tenth of new ones on a virtual
 * machine whose memory has not been touched yet, as those of CI are. */
void fd_forget(int fd, int64_t n);

#endif

#ifndef OS_LOCK_H
#define OS_LOCK_H

/* flock'd files: released by the kernel when their process dies, however it dies. */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Waits for the lock on `name` below `dir` (made if absent). Returns the fd that holds
 * it; closing it releases. */
MUST_CHECK int lock_take(int dir, const char *name, bool exclusive, struct err *e);
/* Like it, but returns -1 with ERR_EXISTS at once if another holds it. */
MUST_CHECK int lock_try(int dir, const char *name, bool exclusive, struct err *e);
/* Turns an exclusive lock into a shared one. */
MUST_CHECK int lock_share(int fd, struct err *e);
/* Turns a shared lock into an exclusive one if nobody else has it: 1; else it is shared
 * as before: 0. In between it is not held at all. */
MUST_CHECK int lock_raise(int fd, struct err *e);
/* Like lock_take, shared, but makes and changes nothing: -1 without an error if there is
 * no such file, or none that we may read. */
int lock_existing(int dir, const char *name);

/* A number beside the lock, shown to others for as long as `fd` is open: byte-range locks
 * (fcntl(2), F_OFD_SETLK), which are apart from flock's. */
MUST_CHECK int lock_show(int fd, int64_t number, struct err *e);
int64_t lock_lowest_shown(int fd); /* of all others; -1: there are none */

/* A number of the file `name`, for one alone: returns the fd that holds it, or -1 with
 * ERR_EXISTS at once if another does. */
MUST_CHECK int lock_number(int dir, const char *name, int64_t number, struct err *e);

#endif

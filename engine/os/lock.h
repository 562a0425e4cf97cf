#ifndef OS_LOCK_H
#define OS_LOCK_H

/* flock'd files: released by the kernel when their process dies, however it dies. */
#include <stdbool.h>

#include "base/err.h"

/* Waits for the lock on `name` below `dir` (made if absent). Returns the fd that holds
 * it; closing it releases. */
MUST_CHECK int lock_take(int dir, const char *name, bool exclusive, struct err *e);
/* Like it, but returns -1 with ERR_EXISTS at once if another holds it. */
MUST_CHECK int lock_try(int dir, const char *name, bool exclusive, struct err *e);
/* Turns an exclusive lock into a shared one. */
MUST_CHECK int lock_share(int fd, struct err *e);

#endif

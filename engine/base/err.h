#ifndef BASE_ERR_H
#define BASE_ERR_H

/* One error, made where it is noticed and wrapped with purpose on the way up.
 * It owns nothing, so nothing leaks across a longjmp. Functions that can fail
 * return 0 or -1 and take a `struct err *` last; it is only valid after -1. */
#include "base/mem.h"

enum err_code {
	ERR_SYS = 1, /* errno in `sys` */
	ERR_INVALID, /* bad input: recipe, option, reference, document */
	ERR_NOT_FOUND,
	ERR_EXISTS,  /* in the way: an immutable tag, a name taken */
	ERR_DENIED,  /* credentials or rights */
	ERR_NETWORK, /* unreachable, cut, timed out after all retries */
	ERR_CORRUPT, /* digest or size differs from what was promised */
	ERR_CHANGED, /* a file changed while it was used */
	ERR_LIMIT,   /* larger than we are willing to read */
	ERR_FAILED,  /* a command of the user's failed */
	ERR_CANCELLED,
};

struct err {
	enum err_code code;
	int sys;        /* errno when code is ERR_SYS, else 0 */
	char msg[1000]; /* "outermost: ... : innermost", cut in the middle if longer */
};

/* All return -1, so that a failing function can end in `return err_sys(...)`. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) PRINTF(3, 4);
int err_sys(struct err *e, const char *fmt, ...) PRINTF(2, 3);  /* adds ": "
                                                                   strerror(errno) */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF(2, 3); /* puts "context: " in
                                                                   front */

#endif

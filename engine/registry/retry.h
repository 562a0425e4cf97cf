#ifndef REGISTRY_RETRY_H
#define REGISTRY_RETRY_H

/* Asking again: 5 tries, backoff with jitter, Retry-After. */
#include "registry/host.h"

enum { RETRY_TRIES = 5, RETRY_AFTER_MAX = 300, SPARE_AFTER_MAX = 10 };

bool retry_status(long status); /* 408, 429, 5xx but 501 */
/* Seconds that a Retry-After header asks for, 0…300; -1: neither a number nor a date. */
int64_t retry_after(const char *value, int64_t wall_now);
/* Wait before try `n` + 1 (n from 0), in nanoseconds; `noise` is any random number. */
int64_t retry_backoff(int n, unsigned noise);
/* Waits that long. */
MUST_CHECK int retry_pause(struct registry *r, int n, struct err *e);

/* http_perform on behalf of `h`, at most `tries` times. A body is sent again from its
 * start; a sink never gets bytes twice: once it has some, a broken connection is the
 * caller's to resume. */
MUST_CHECK int retry_perform(struct registry *r, struct host *h,
                             const struct http_request *q, int tries,
                             struct http_answer *a, struct err *e);

#endif

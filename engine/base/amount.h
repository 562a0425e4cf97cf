#ifndef BASE_AMOUNT_H
#define BASE_AMOUNT_H

/* Times and sizes as people write them: "1h30m", "2g". */
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Numbers with s, m, h, d or w, one behind the other. ERR_INVALID unless it is 1 s or
 * more. */
MUST_CHECK int amount_duration(const char *text, int64_t *seconds, struct err *e);
/* A number with b, k, m, g or t, which are powers of 1024; "mb" and "MiB" are m, none is
 * b. ERR_INVALID unless it is 1 byte or more. */
MUST_CHECK int amount_size(const char *text, int64_t *bytes, struct err *e);

/* The shortest of the above that is the same. */
void amount_add_duration(struct buf *out, int64_t seconds);
void amount_add_size(struct buf *out, int64_t bytes);

enum { INT_TEXT = 21 };

/* A number's digits, without what printf costs for each of many thousand. Into `out`, not
 * always from its first byte. */
const char *int_text(int64_t v, char out[INT_TEXT]);

#endif

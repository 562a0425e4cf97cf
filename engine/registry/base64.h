#ifndef REGISTRY_BASE64_H
#define REGISTRY_BASE64_H

/* RFC 4648, for passwords: neither leaves copies behind. */
#include "base/buf.h"

void base64_encode(struct buf *out, const void *data, size_t n);
/* Both alphabets, padding optional. 0, or -1 when it is not base64. */
MUST_CHECK int base64_decode(struct buf *out, const char *s);

#endif

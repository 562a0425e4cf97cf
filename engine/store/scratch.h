#ifndef STORE_SCRATCH_H
#define STORE_SCRATCH_H

/* Small blobs in memory: what comes into a store that is only read, as in a dry run. Any
 * number of threads. */
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

struct scratch;

struct scratch *scratch_new(void);
void scratch_free(struct scratch *s); /* NULL is fine */
bool scratch_has(struct scratch *s, const struct digest *d, int64_t *size);
/* A file without a name, to be written from its beginning. */
MUST_CHECK int scratch_begin(struct err *e);
/* Keeps the file's bytes; ERR_LIMIT if they are more than documents have. */
MUST_CHECK int scratch_add(struct scratch *s, const struct digest *d, int fd,
                           struct err *e);
/* A file with the blob's bytes, for the caller to close. ERR_NOT_FOUND */
MUST_CHECK int scratch_get(struct scratch *s, const struct digest *d, struct err *e);

#endif

#ifndef STORE_BLOB_FOLLOW_H
#define STORE_BLOB_FOLLOW_H

/* Reads a blob while another thread writes it. What is read is not verified before the
 * writer has committed it. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct blob_follow;

struct blob_follow *blob_follow_new(void);
void blob_follow_free(struct blob_follow *f); /* when neither side uses it any more */

/* The writer's side; each takes NULL. `fd` (duplicated) is that of the blob's bytes. A
 * second beginning tells the reader that what it has read is of no use, an end without
 * any that the blob was there. */
void blob_follow_begin(struct blob_follow *f, int fd);
void blob_follow_grow(struct blob_follow *f, int64_t size); /* so many bytes are there */
void blob_follow_end(struct blob_follow *f);                /* no more will come */

/* The reader's: waits for bytes; 0 at the end, -1 when it is to be read
 * where it is. */
MUST_CHECK ssize_t blob_follow_read(struct blob_follow *f, void *data, size_t n,
                                    struct err *e);
bool blob_follow_again(struct blob_follow *f); /* it is */

#endif

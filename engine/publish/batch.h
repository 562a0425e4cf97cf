#ifndef PUBLISH_BATCH_H
#define PUBLISH_BATCH_H

/* Pieces of network work, several at a time. After a failure the pieces that have not
 * begun are left out. */
#include "base/err.h"

struct batch;

struct batch *batch_new(int threads);
void batch_free(struct batch *b); /* NULL is fine */
/* Runs fn(arg) some time, on some thread; fn may add more. */
void batch_add(struct batch *b, int (*fn)(void *arg, struct err *e), void *arg);
/* Waits until all is done. -1: the first failure; the batch is ready for more either way.
 */
MUST_CHECK int batch_wait(struct batch *b, struct err *e);

#endif

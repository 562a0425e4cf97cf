#ifndef IMAGE_TOC_STORE_H
#define IMAGE_TOC_STORE_H

/* Tables of contents as blobs of the store: compressed, since other machines fetch them.
 */
#include "image/toc.h"
#include "store/blobs.h"

/* The sorted table. *size (may be NULL) is the blob's. */
MUST_CHECK int toc_put(struct blobs *store, const struct toc *t, struct digest *blob,
                       int64_t *size, struct err *e);
/* Just before the layer's own blob: see blobs_put_first. */
MUST_CHECK int toc_put_first(struct blobs *store, const struct toc *t,
                             struct digest *blob, int64_t *size, struct err *e);
enum { TOC_MAX = 1 << 30 }; /* bytes, compressed or not */
/* `t` is TOC_INIT, also after an error. ERR_NOT_FOUND, ERR_CORRUPT, ERR_INVALID. */
MUST_CHECK int toc_get(struct blobs *store, const struct digest *blob, struct toc *t,
                       struct err *e);

#endif

#ifndef PUBLISH_IMAGE_TABLES_H
#define PUBLISH_IMAGE_TABLES_H

/* Tables of contents of an image that nobody builds here: pulled, imported, or made by
 * another recipe. */
#include "image/image.h"
#include "image/toc.h"
#include "store/store.h"

struct image_tables {
	struct toc *tables;        /* one a layer */
	const struct toc **layers; /* the same, for a view */
	size_t n;
};

/* 1: all could be had without the layers themselves, as image_tables_load will; 0; -1. */
MUST_CHECK int image_tables_known(struct store *s, const struct image *im, struct err *e);
/* Reads those that are known, and scans the other layers, which are in the store. End
 * with image_tables_fini, also after an error. */
MUST_CHECK int image_tables_load(struct image_tables *t, struct store *s,
                                 const struct image *im, struct err *e);
/* Reads those that are known; the others are empty, which no layer's is. */
MUST_CHECK int image_tables_load_known(struct image_tables *t, struct store *s,
                                       const struct image *im, struct err *e);
void image_tables_fini(struct image_tables *t);
struct toc_view image_tables_view(const struct image_tables *t);

#endif

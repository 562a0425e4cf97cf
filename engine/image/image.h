#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

/* An image in the store, opened for one platform: its manifest and its configuration,
 * which agree. */
#include "image/config.h"
#include "image/manifest.h"
#include "store/blobs.h"

struct image {
	struct descriptor manifest_desc;
	struct manifest manifest;
	struct image_config config; /* has as many diff IDs as the manifest has layers */
};

/* What stands under `d` in the store: media type, digest and size. Neither manifest nor
 * index is ERR_INVALID. */
MUST_CHECK int image_peek(struct blobs *store, const struct digest *d,
                          struct descriptor *out, struct err *e);

/* `root` is a manifest, or an index of which the entry that fits `want` best is taken.
 * NULL takes the only one. ERR_NOT_FOUND, with the platforms that there are, if none
 * fits. Layers are not looked at. End with image_fini. */
MUST_CHECK int image_open(struct image *im, struct blobs *store,
                          const struct descriptor *root, const struct platform *want,
                          struct err *e);
void image_fini(struct image *im);

/* image_open would find what it reads. */
bool image_can_open(struct blobs *store, const struct descriptor *root,
                    const struct platform *want);
/* And all layers are there too, in the right size. */
bool image_is_whole(struct blobs *store, const struct descriptor *root,
                    const struct platform *want);

/* The platforms of `root`, in its order. *out is the caller's to free. */
MUST_CHECK int image_list_platforms(struct blobs *store, const struct descriptor *root,
                                    struct platform **out, size_t *n, struct err *e);

/* Calls fn for every blob of the image, each after all that it refers to, the root last;
 * the same one may come twice. fn returns 0 or -1 with *e set. ERR_NOT_FOUND if a
 * manifest, an index or a configuration is missing. */
MUST_CHECK int image_each_blob(struct blobs *store, const struct descriptor *root,
                               int (*fn)(void *self, const struct descriptor *d,
                                         struct err *e),
                               void *self, struct err *e);

#endif

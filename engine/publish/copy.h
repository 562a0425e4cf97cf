#ifndef PUBLISH_COPY_H
#define PUBLISH_COPY_H

/* Images between registries and the store, byte for byte: `imgmake copy`, `push` and
 * `pull`. */
#include "publish/ship.h"

/* Registry to registry, all platforms, or `only` one (else NULL). A digest in `to` must
 * be the image's. */
MUST_CHECK int image_copy(struct deploy_result *out, const char *from, const char *to,
                          const struct platform *only, const struct ship_options *o,
                          struct err *e);
/* Store to registry. `name` is what the image is called in messages. */
MUST_CHECK int image_push(struct deploy_result *out, const char *name,
                          const struct descriptor *root, const char *to,
                          const struct ship_options *o, struct err *e);
/* Registry to store; records the name, as image_name writes it. *root is what was pulled.
 */
MUST_CHECK int image_pull(struct descriptor *root, const char *from,
                          const struct platform *only, const struct ship_options *o,
                          struct err *e);
/* Its manifests and configurations alone; where the layers are is remembered, for those
 * who push it. It gets no name: gc may take it. */
MUST_CHECK int image_pull_documents(struct descriptor *root, const char *from,
                                    const struct ship_options *o, struct err *e);

/* Fetches what an image's manifests in the store refer to and the store lacks: a base's
 * layers, that nobody needed so far, or what was put aside. It comes from where it is
 * known to be, or from `from` (or NULL). */
MUST_CHECK int image_complete(const struct descriptor *root, const struct reference *from,
                              const struct ship_options *o, struct err *e);

/* Names of pulled and imported images (STATE_IMAGES), by reference: "app" and
 * "docker.io/library/app:latest" are one. */
MUST_CHECK int image_name_put(struct store *s, const char *name,
                              const struct descriptor *d, struct err *e);
/* 1: found; 0: no such name; -1. */
MUST_CHECK int image_name_get(struct store *s, const char *name, struct descriptor *out,
                              struct err *e);

#endif

#ifndef IMAGE_MANIFEST_H
#define IMAGE_MANIFEST_H

/* Manifests and indexes, OCI and Docker schema 2 (OCI image-spec 1.1, manifest.md and
 * image-index.md). */
#include "base/arena.h"
#include "image/descriptor.h"
#include "image/limits.h"

struct manifest {
	struct arena arena;
	char media_type[128];
	struct descriptor config;
	struct descriptor *layers;
	size_t n_layers;
	json_t **layer_annotations; /* one a layer, or NULL; owned. NULL in whole: none */
	struct descriptor subject;  /* what it refers to; media_type "" if nothing */
	json_t *annotations;        /* object or NULL; owned */
	/* What an artifact is: `artifactType`, else the type of a config that is no
	 * image's; "" for images. */
	char artifact_type[128];
};

struct image_index {
	struct arena arena;
	char media_type[128];
	struct descriptor *manifests;
	json_t **entry_annotations; /* one an entry, or NULL; owned */
	size_t n;
	json_t *annotations; /* object or NULL; owned */
};

/* `media_type` is what the descriptor or Content-Type said, "" if nothing did; a body
 * that says or shows another kind is refused (CVE-2021-41190). Schema 1 is refused with
 * advice. */
int manifest_refuse_schema1(struct err *e);
MUST_CHECK int manifest_read(struct manifest *m, const char *media_type, const void *body,
                             size_t n, struct err *e);
MUST_CHECK int index_read(struct image_index *ix, const char *media_type,
                          const void *body, size_t n, struct err *e);
void manifest_fini(struct manifest *m);
void index_fini(struct image_index *ix);

/* Appends the bytes to push; the same value always gives the same bytes. */
void manifest_write(const struct manifest *m, struct buf *out);
void index_write(const struct image_index *ix, struct buf *out);

/* The entry that fits `want` best: exact, then the nearest variant. Entries of platform
 * unknown/unknown (attestations) never fit. NULL: none. */
const struct descriptor *index_select(const struct image_index *ix,
                                      const struct platform *want);

#endif

#ifndef IMAGE_LAYOUT_WRITE_H
#define IMAGE_LAYOUT_WRITE_H

/* Inside of layout export. */
#include "base/vec.h"
#include "image/layout.h"

#define LAYOUT_VERSION_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"
#define LAYOUT_REF_NAME "org.opencontainers.image.ref.name"

/* All blobs of an image, each once, sorted by digest. */
struct layout_blobs {
	struct descriptor *at;
	size_t len, cap;
};

MUST_CHECK int layout_blobs_collect(struct layout_blobs *list, struct blobs *store,
                                    const struct descriptor *root, struct err *e);

/* Takes pieces of a blob in order. */
typedef int layout_sink(void *self, const void *data, size_t n, struct err *e);
/* Reads a blob out of the store, checked as it goes: one whose bytes or size are not what
 * they should be is ERR_CORRUPT, after it was handed on, and put aside. */
MUST_CHECK int layout_blob_stream(struct blobs *store, const struct descriptor *d,
                                  layout_sink *sink, void *self, struct err *e);

/* index.json with one more entry: `index` (object; changed) gains `root` as `name` (may
 * be NULL), which nothing else in it is called any more. */
void layout_index_add(json_t *index, const char *name, const struct descriptor *root);
json_t *layout_index_new(void);

MUST_CHECK int layout_dir_export(struct blobs *store, int dir, const char *path,
                                 const char *name, const struct descriptor *root,
                                 struct err *e);
MUST_CHECK int layout_archive_export(struct blobs *store, int dir, enum layout_kind kind,
                                     const char *path, const char *name,
                                     const struct descriptor *root, struct err *e);

#endif

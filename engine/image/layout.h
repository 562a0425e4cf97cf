#ifndef IMAGE_LAYOUT_H
#define IMAGE_LAYOUT_H

/* OCI image layouts (image-layout.md), OCI archives (the same in a tar) and `docker save`
 * archives: read into the store, and written from it. Directories of strangers are read
 * with O_NOFOLLOW and regular files only. */
#include "image/descriptor.h"
#include "store/blobs.h"

enum layout_kind { LAYOUT_OCI_DIR, LAYOUT_OCI_ARCHIVE, LAYOUT_DOCKER_ARCHIVE };

/* Parses "oci:DIR[:TAG]", "oci-archive:FILE[:TAG]", "docker-archive:FILE[:REF]". *path
 * and *tag are the caller's to free; *tag may be NULL. Returns 1 if `text` has such a
 * prefix, 0 if not. */
int layout_parse(const char *text, enum layout_kind *kind, char **path, char **tag);

/* Copies the image into the store: manifest or index, configs, layers, all verified.
 * *root is the descriptor of what the tag (or the only entry) names. For docker archives
 * a manifest is made. Several entries and no tag is an error that lists them. */
MUST_CHECK int layout_import(struct blobs *store, int dir, enum layout_kind kind,
                             const char *path, const char *tag, struct descriptor *root,
                             struct err *e);

/* Only the root's descriptor: for keys, without copying. */
MUST_CHECK int layout_root(int dir, enum layout_kind kind, const char *path,
                           const char *tag, struct descriptor *root, struct err *e);

/* Writes the image with all it refers to; `name` is the tag or reference to record, may
 * be NULL. A file appears whole or not at all; a directory that is a layout gains the
 * image. */
MUST_CHECK int layout_export(struct blobs *store, int dir, enum layout_kind kind,
                             const char *path, const char *name,
                             const struct descriptor *root, struct err *e);

#endif

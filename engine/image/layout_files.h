#ifndef IMAGE_LAYOUT_FILES_H
#define IMAGE_LAYOUT_FILES_H

/* Inside of layout import: the files of a layout by name, whether they lie in a directory
 * or in a tar archive, both made by strangers. */
#include "base/map.h"
#include "base/vec.h"
#include "image/layout.h"

struct layout_file;

struct layout_files {
	int dir;          /* of a directory, else -1 */
	int archive;      /* of an archive, else -1 */
	char *what;       /* the path, for messages */
	struct map names; /* of an archive: cleaned name → struct layout_file */
};

/* Bytes of one file. Close with layout_extent_close. */
struct layout_extent {
	int fd;
	int64_t offset, size;
};

MUST_CHECK int layout_files_open(struct layout_files *f, int dir, bool archive,
                                 const char *path, struct err *e);
void layout_files_close(struct layout_files *f);

/* Symbolic links are refused in directories, and followed inside archives, where `docker
 * save` used to write them for layers that two images share. ERR_NOT_FOUND if there is no
 * such file. */
MUST_CHECK int layout_files_get(struct layout_files *f, const char *name,
                                struct layout_extent *out, struct err *e);
void layout_extent_close(struct layout_extent *x);
/* Up to n bytes at `at`: the count, short only where the extent ends; a file that became
 * shorter is ERR_CORRUPT. */
MUST_CHECK ssize_t layout_extent_read(const struct layout_extent *x, int64_t at,
                                      void *data, size_t n, struct err *e);

/* Appends a whole file. */
MUST_CHECK int layout_files_read(struct layout_files *f, const char *name, int64_t limit,
                                 struct buf *out, struct err *e);
MUST_CHECK int layout_files_digest(struct layout_files *f, const char *name,
                                   struct digest *d, struct err *e);
/* Into the store, if its size and digest are `expect`'s. */
MUST_CHECK int layout_files_store(struct layout_files *f, const char *name,
                                  const struct descriptor *expect, struct blobs *store,
                                  struct err *e);

/* The two forms. `store` NULL: only *root is found out. `tag` may be NULL. */
MUST_CHECK int layout_oci_import(struct layout_files *f, struct blobs *store,
                                 const char *tag, struct descriptor *root, struct err *e);
MUST_CHECK int layout_docker_import(struct layout_files *f, struct blobs *store,
                                    const char *tag, struct descriptor *root,
                                    struct err *e);

/* Two names of an image: equal as written, or as references. */
bool layout_same_name(const char *a, const char *b);

#endif

#ifndef BUILD_EXTRACT_H
#define BUILD_EXTRACT_H

/* Files out of layers, in constant memory: streamed once a layer into an unnamed file. */
#include "build/node.h"

/* A temporary file without a name: gone with its fd, however the process ends. */
struct spool {
	int fd; /* -1 until something is written */
	int64_t size;
	struct store *store;
};

void spool_init(struct spool *s, struct store *store);
void spool_fini(struct spool *s);
MUST_CHECK int spool_write(struct spool *s, const void *data, size_t n, struct err *e);

/* Everything that is left of `in`'s current file goes to the spool; *digest and *size may
 * be NULL. */
struct tar_reader;
MUST_CHECK int spool_tar_file(struct spool *s, struct tar_reader *in,
                              struct digest *digest, int64_t *size, struct err *e);

/* A file wanted from a layer. */
struct want {
	size_t layer;     /* index into the result's layers */
	const char *path; /* of a TOC_FILE there, as node_tocs has it */
	int64_t *offset;  /* out: where in the spool it begins */
};

/* Streams the layers that have wanted files. Sorts `wants`, and takes the names that the
 * layers have for them. */
MUST_CHECK int extract_files(const struct node *n, const struct result *r,
                             struct want *wants, size_t count, struct spool *out,
                             struct err *e);

/* The file (or symlink, or device) that a hard link stands for: the entry that has the
 * content, and its layer. Other entries stand for themselves. NULL for directories, and
 * if the layers contradict themselves. */
const struct toc_entry *link_target(const struct toc_view *v,
                                    const struct toc_entry *entry, size_t *layer);

/* The content of a file of the image, symlinks followed, to the end of the spool.
 * ERR_NOT_FOUND. */
MUST_CHECK int extract_to(const struct node *n, const struct result *r,
                          const struct toc_view *v, const char *path, struct spool *out,
                          struct err *e);
/* Appends the content of a file of at most `limit` bytes. */
MUST_CHECK int extract_read(const struct node *n, const struct result *r,
                            const struct toc_view *v, const char *path, size_t limit,
                            struct buf *out, struct err *e);

#endif

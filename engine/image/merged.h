#ifndef IMAGE_MERGED_H
#define IMAGE_MERGED_H

/* An image's layers as one list of what can be seen, and the files' bytes. Inside of
 * unpacking. */
#include "base/vec.h"
#include "image/codec.h"
#include "image/image.h"
#include "image/toc.h"

struct merged_entry {
	const char *path;
	/* Type, metadata, content; its own path may be another one. */
	const struct toc_entry *node;
	size_t layer; /* that has the node */
	size_t first; /* index of the first entry with the same file; else its own */
};

/* The tables of one layer. */
struct merged_layer {
	struct toc table; /* as it was read */
	/* With paths as they resolve; strings are borrowed. An entry's `offset` is its
	 * index in `table`. */
	struct toc real;
	/* By index in `table`: 1 + index of the first entry that shows the file. */
	size_t *shown;
	size_t files; /* that are shown */
};

struct merged_list {
	struct merged_entry *at;
	size_t len, cap;
};

struct merged {
	struct merged_layer *layers;
	size_t n_layers;
	/* Sorted bytewise; each but the root has its directory in it. */
	struct merged_list list;
	struct arena arena;
};

/* Reads and checks all layers. One that is rotten is put aside. End with merged_fini,
 * also after an error. */
MUST_CHECK int merged_open(struct merged *m, struct blobs *store, const struct image *im,
                           struct err *e);
/* The same from tables (given as m->layers[i].table), without bytes. */
MUST_CHECK int merged_make(struct merged *m, struct err *e);
void merged_fini(struct merged *m);

/* Resolves the directories in all paths and hard links of a layer's `real` table, the
 * last of the view. `arena` takes the new strings. */
MUST_CHECK int merged_settle(struct toc *real, const struct toc_view *upto,
                             struct arena *arena, struct err *e);

/* A file's bytes, to pull: count, 0 at the end, -1. */
struct merged_file;
MUST_CHECK ssize_t merged_file_read(struct merged_file *f, void *data, size_t n,
                                    struct err *e);

/* Calls fn once for each TOC_FILE that is the first of its kind (`first` is its own
 * index), in the order in which the layers have them; each layer is streamed once. fn
 * reads the file to its end; that they are the bytes that the table promised is only
 * known when merged_files returns 0. It works once. */
typedef int merged_file_fn(void *self, size_t i, struct merged_file *f, struct err *e);
MUST_CHECK int merged_files(struct merged *m, struct blobs *store, const struct image *im,
                            merged_file_fn *fn, void *self, struct err *e);

/* Opens a layer's plain stream for fn, and makes sure of the blob if that fails. */
typedef int merged_stream_fn(void *self, struct source *in, enum codec codec,
                             struct err *e);
MUST_CHECK int merged_stream(struct blobs *store, const struct image *im, size_t layer,
                             merged_stream_fn *fn, void *self, struct err *e);

#endif

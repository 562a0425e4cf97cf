#ifndef IMAGE_LAYER_KEEP_H
#define IMAGE_LAYER_KEEP_H

/* Hashes the files of a layer that is scanned, small ones on other threads, and puts them
 * beside if wanted. Inside of layer_scan.c. */
#include "image/layer_files.h"
#include "image/tar_reader.h"

struct keeper;
/* `files` may be NULL: nothing is put beside. Both are borrowed. */
struct keeper *keeper_new(struct layer_files *files, struct toc *table);
/* The table's last entry, of a file that the reader is at. */
MUST_CHECK int keeper_file(struct keeper *k, struct tar_reader *in, struct err *e);
/* The table's last entry, a directory. */
void keeper_dir(struct keeper *k);
/* All are there, and the table, not sorted yet, has their digests. */
MUST_CHECK int keeper_finish(struct keeper *k, struct err *e);
void keeper_free(struct keeper *k);

#endif

#ifndef IMAGE_LAYER_FILES_H
#define IMAGE_LAYER_FILES_H

/* The files of a layer, put beside while it is scanned for its table of contents, so that
 * unpacking it moves them into place instead of reading the layer once more. Each is
 * named by where its bytes are in the tar stream, and has the mode and time of its entry
 * if that has no more than these. What is not there (sparse files, those
 * that somebody else moved) is to be had from the layer still. */
#include <stdint.h>

#include "base/err.h"

struct layer_files;

/* Makes the directory `name` in `dir` (borrowed, while they live) and keeps them in it.
 */
MUST_CHECK int layer_files_new(struct layer_files **out, int dir, const char *name,
                               struct err *e);
void layer_files_free(struct layer_files *f); /* and what is left; NULL is fine */

/* A new empty file for what begins at `offset`; the caller closes it. Threads that are at
 * places far from each other do not wait for each other. */
MUST_CHECK int layer_files_create(const struct layer_files *f, int64_t offset,
                                  struct err *e);

/* Where the one that begins at `offset` is, if it is: a name in the directory. */
int layer_files_dir(const struct layer_files *f); /* its fd */
enum { LAYER_FILE_NAME = 24 };
const char *layer_file_name(char out[LAYER_FILE_NAME], int64_t offset);

#endif

#ifndef IMAGE_LAYER_FILES_H
#define IMAGE_LAYER_FILES_H

/* The files of a layer, put beside while it is scanned for its table of contents, so that
 * unpacking it moves them into place instead of reading the layer once more. They lie
 * under the names that the layer gives them, in its directories, so that a layer with
 * nothing odd is moved whole. Each has the mode and time of its entry if that has no more
 * than these (layer_file_plain). What is not there (sparse files, those that somebody
 * else moved) is to be had from the layer still. */
#include "image/toc.h"

struct layer_files;

/* Makes the directory `name` in `dir` (borrowed, while they live) and keeps them in it.
 */
MUST_CHECK int layer_files_new(struct layer_files **out, int dir, const char *name,
                               struct err *e);
void layer_files_free(struct layer_files *f); /* and what is left; NULL is fine */

/* While scanning; threads may. An entry whose name is taken by another makes all of it
 * of no use: then only the layer says which one counts. */
void layer_files_add_dir(struct layer_files *f, const char *path);
/* *fd: a new empty file, which the caller ends, or -1: not this one. */
MUST_CHECK int layer_files_create(struct layer_files *f, const char *path, int *fd,
                                  struct err *e);
/* Sets mode and time if the entry is plain, and closes. */
MUST_CHECK int layer_files_end(struct layer_files *f, int *fd, const struct toc_entry *t,
                               struct err *e);

/* True for the first who asks, of all threads: then they are his to move. Two who moved
 * them at once would each have a part. */
bool layer_files_take(struct layer_files *f);

/* No more metadata than owner, mode of nine bits and time. */
bool layer_file_plain(const struct toc_entry *t);

/* -1: they are of no use; else the fd of the directory that they are in. */
int layer_files_dir(const struct layer_files *f);
/* Whether they are the table's files and directories, each of them and no other. */
bool layer_files_mirror(const struct layer_files *f, const struct toc *table);
/* Moves all to the directory `to`. 1; 0: they are not there any more, or this file system
 * cannot move them. */
MUST_CHECK int layer_files_move(const struct layer_files *f, int to, struct err *e);

#endif

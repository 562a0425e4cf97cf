#ifndef IMAGE_PIPED_H
#define IMAGE_PIPED_H

/* A source that is read ahead by a thread of its own, in bounded memory, and hashed by
 * whoever reads it. Inside of image/. */
#include "image/codec.h"

struct piped;
/* `in` is borrowed, and the thread's alone until piped_end. Without a thread to be had it
 * works too, only slower. */
struct piped *piped_new(struct source *in);
struct source *piped_source(struct piped *p);
/* Stops the thread. *hash (may be NULL) is of all bytes, when they were read to the end
 * without an error; it is zero otherwise. */
void piped_end(struct piped *p, struct digest *hash);

#endif

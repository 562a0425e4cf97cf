#ifndef IMAGE_COMPARE_H
#define IMAGE_COMPARE_H

/* Two images, member by member and file by file: what whoever runs them can tell apart.
 * How files are divided into layers, how those are compressed, dates and history are no
 * difference. */
#include "image/image.h"
#include "image/toc.h"

struct compared {
	const struct image *image;
	struct toc_view files; /* tables of contents of all its layers */
};

/* One difference. `what` is "env PATH", "annotation org.example", or a path with a slash
 * in front; `was` and `is` are texts, NULL: absent. */
typedef void compare_fn(void *self, const char *what, const char *was, const char *is);

/* The configuration first, then annotations, then files in bytewise order. */
void image_compare(const struct compared *was, const struct compared *is, compare_fn *fn,
                   void *self);

#endif

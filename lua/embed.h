#ifndef LUA_EMBED_H
#define LUA_EMBED_H

/* The standard library as text: made by embed.sh from stdlib/, sorted by name. */
#include <stddef.h>

struct embedded {
	const char *name; /* as `require` wants it: "imgmake.step" */
	const unsigned char *text;
	size_t size;
};

extern const struct embedded embedded_modules[];
extern const size_t embedded_count;

/* What an Imagefile sees, annotated for editors (meta.sh). */
extern const unsigned char embedded_meta[];
extern const size_t embedded_meta_size;

#endif

#ifndef IMAGE_LIMITS_H
#define IMAGE_LIMITS_H

/* What we are willing to read from strangers (3-registry.md). Like a umask they are the
 * process's: set before there are threads, and then the same for all of it. */
#include <stdint.h>

#include "base/err.h"

struct image_limits {
	int64_t manifest;    /* bytes of a manifest or index */
	int64_t config;      /* bytes of an image configuration */
	int64_t layers;      /* layers of an image */
	int64_t unpacked;    /* bytes of one layer's tar, sparse holes counted */
	int64_t entries;     /* entries of one layer */
	int64_t path;        /* bytes of a path */
	int64_t pax;         /* bytes of one pax header */
	int64_t zstd_window; /* bytes */
	int64_t json_depth; /* objects and lists within each other, in whatever is JSON */
};

#define IMAGE_LIMITS_DEFAULT                                                             \
	{                                                                                \
		4 << 20, 8 << 20, 1024, (int64_t)16 << 30, 2000000, 4095, 1 << 20,       \
			128 << 20, 64                                                    \
	}

const struct image_limits *image_limits(void);
/* Sets one by what people call it: "manifest=8m", "entries=3000000". ERR_INVALID for
 * another name, and for more than we could read at all. */
MUST_CHECK int image_limits_say(const char *text, struct err *e);
void image_limits_reset(void); /* for tests */

/* What to do about it, behind a message of ERR_LIMIT. */
#define IMAGE_LIMIT_HINT(name) "; --limit " name "=AMOUNT allows more"

#endif

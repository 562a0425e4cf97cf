#ifndef IMAGE_LIMITS_H
#define IMAGE_LIMITS_H

/* What we are willing to read from strangers. */
#include <stdint.h>

struct image_limits {
	int64_t manifest;    /* bytes of a manifest or index */
	int64_t config;      /* bytes of an image configuration */
	int64_t layers;      /* layers of an image */
	int64_t unpacked;    /* bytes of one layer's tar, sparse holes counted */
	int64_t entries;     /* entries of one layer */
	int64_t path;        /* bytes of a path */
	int64_t pax;         /* bytes of one pax header */
	int64_t zstd_window; /* bytes */
};

#define IMAGE_LIMITS_DEFAULT                                                             \
	{                                                                                \
		4 << 20, 8 << 20, 1024, (int64_t)16 << 30, 2000000, 4095, 1 << 20,       \
			128 << 20                                                        \
	}

extern const struct image_limits image_limits_default;

#endif

#ifndef BUILD_RUN_EXPORT_H
#define BUILD_RUN_EXPORT_H

/* What a cache directory is in the remote cache: the tree (image/tree_tar.h) and the
 * record of times beside it (run_record.c), each a blob, named by the entry's text:
 * {"tree": DESCRIPTOR, "times": DESCRIPTOR}. Private to build/. */
#include "build/run.h"

#define MEDIA_CACHE_TREE "application/vnd.imgmake.cache-directory.v1.tar+zstd"
#define MEDIA_CACHE_TIMES "application/vnd.imgmake.cache-times.v1"
enum { CACHE_TIMES_MAX = 256 << 20 };

struct cache_entry {
	struct descriptor tree, times;
};

/* Whether the step wants the cache of that id brought to other machines. */
bool run_cache_travels(const struct step_run *r, const char *id);

#endif

#ifndef STORE_STAT_CACHE_H
#define STORE_STAT_CACHE_H

/* Digests of files that have not changed since they were read: one record a directory in
 * STATE_FILES, with each file's name, stamp and digest. os/stamp.h says when a digest may
 * be remembered, and why that is safe.
 *
 * A record counts only within the boot that wrote it, since after a loss of power a file
 * may have new bytes and its old stamp; and only while the clock is not before what it
 * was then. Nothing is written for a directory in which nothing has changed. */
#include <stdbool.h>

#include "base/digest.h"
#include "os/stamp.h"

struct state;
struct stat_cache;

/* The state is borrowed. A read-only one is read only. */
struct stat_cache *stat_cache_open(struct state *s);
void stat_cache_close(struct stat_cache *c); /* without writing; NULL is fine */

/* A directory that files are in. */
struct stat_place {
	uint64_t dev, ino;
	const char *path; /* absolute: where stat_cache_sweep looks for it */
};

/* What is remembered of a directory; borrowed until stat_cache_rest. `fd` is open on it,
 * or on something on its file system. NULL: nothing, or nothing that could be trusted.
 * From any thread. */
struct stat_dir;
const struct stat_dir *stat_cache_dir(struct stat_cache *c, int fd,
                                      const struct stat_place *at);

/* A file of it that still is what it was; borrowed as it is. NULL: not known. */
struct stat_file;
const struct stat_file *stat_dir_find(const struct stat_dir *d, const char *name,
                                      const struct stamp *s);
struct digest stat_file_digest(const struct stat_file *f);
/* The text of a symlink; NULL: it is a file. */
const char *stat_file_link(const struct stat_dir *d, const struct stat_file *f);

/* What was found out about a file. */
struct stat_news {
	const char *name;
	struct stamp stamp; /* the same before and after it was read */
	struct digest digest;
	const char *link; /* or NULL */
};
/* What is read of this file may be remembered, if nobody is writing to it. Asked before
 * it is read. */
bool stat_cache_wants(const struct stat_cache *c, const struct stat_place *at,
                      const struct stamp *s);
/* Takes note, for stat_cache_write. From any thread. */
void stat_cache_learn(struct stat_cache *c, const struct stat_place *at,
                      const struct stat_news *news);

/* Lets go of the store's memory: what was borrowed is no longer valid. */
void stat_cache_rest(struct stat_cache *c);
bool stat_cache_has_news(struct stat_cache *c);
/* Writes what was learned, in one transaction. That it cannot be written costs only
 * time. From any thread. */
void stat_cache_write(struct stat_cache *c);
/* From now on finds nothing: a file was not what was remembered of it. */
void stat_cache_distrust(struct stat_cache *c);

/* Forgets directories that are gone, and what an earlier boot has left. For gc. */
MUST_CHECK int stat_cache_sweep(struct state *s, struct err *e);

#endif

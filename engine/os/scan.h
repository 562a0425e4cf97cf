#ifndef OS_SCAN_H
#define OS_SCAN_H

/* What is below a directory, read by several threads into memory. No symlink below it is
 * followed, and the result does not depend on the threads. For trees that are looked at
 * whole and often; os/walk.h visits one entry at a time and holds none. */
#include "base/err.h"
#include "os/pool.h"
#include "os/stamp.h"

struct scan_entry {
	const char *path; /* relative to the `dir` of scan(): "src/a.c" */
	const char *name; /* its last component, within `path` */
	struct stamp stamp;
	int64_t mtime; /* seconds, whatever the stamp can hold */
	mode_t mode;
	bool linked;      /* a file of several names */
	bool taken;       /* by `choose`; else a directory that is only passed through */
	const void *note; /* from `look` */
	struct scan_dir *below; /* of a directory that was entered, else NULL */
};

struct scan_dir {
	const char *path;
	uint64_t dev, ino;
	size_t n;
	struct scan_entry *at; /* names sorted as bytes */
	const void *note;      /* from `open` */
	char *names;           /* memory of the entries' paths */
};

enum { SCAN_TAKE = 1, SCAN_ENTER = 2 };

/* All are called from several threads at a time. */
struct scan_options {
	/* What to do with an entry: SCAN_TAKE, SCAN_ENTER a directory, both, or 0. Asked
	 * before anything is read of it. */
	unsigned (*choose)(const void *self, const char *path, bool is_dir);
	/* May be NULL: of a directory that is open, before its entries are looked at;
	 * sets dir->note. */
	void (*open)(void *self, int fd, struct scan_dir *dir);
	/* May be NULL: of an entry that is taken; sets entry->note. */
	void (*look)(void *self, const struct scan_dir *dir, struct scan_entry *entry);
	void *self;
	struct pool *pool; /* NULL: no threads but the caller's */
};

/* Reads what is below `path` (relative to `dir`, which it stays beneath; "." is `dir`
 * itself), which must be a directory. Entries that vanish meanwhile are left out. */
MUST_CHECK int scan(struct scan_dir **out, int dir, const char *path,
                    const struct scan_options *o, struct err *e);
void scan_free(struct scan_dir *d); /* NULL is fine */

#endif

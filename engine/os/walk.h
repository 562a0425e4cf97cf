#ifndef OS_WALK_H
#define OS_WALK_H

/* Everything below a directory, in a fixed order, following no symlink. Names of all
 * levels on the way down are kept, but few directories open: trees as deep as paths allow
 * are fine. */
#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"

struct walk_entry {
	const char *path; /* below where the walk started; valid during the call */
	const char *name; /* its last component */
	int dir;          /* the directory that holds it: use with `name` */
	struct stat st;   /* lstat: also nlink, dev, ino, mtime and ctime in ns */
};

enum walk_next {
	WALK_ERROR = -1, /* stop; `e` was set */
	WALK_ON = 0,
	WALK_SKIP = 1, /* do not enter this directory */
};

struct walk_options {
	/* Called for each entry, a directory before what is in it. */
	enum walk_next (*visit)(void *self, const struct walk_entry *entry,
	                        struct err *e);
	/* If set, asked first: false leaves the entry out, unread and unentered. This
	 * costs no system call where the file system tells types (else `is_dir` costs
	 * one). */
	bool (*want)(void *self, const char *path, bool is_dir);
	void *self;
};

/* Walks what is below `path` (relative to `dir`; "." is `dir` itself), which must be a
 * directory and is not reported. Entries that vanish meanwhile are left out. Messages
 * name `path` and the entry. Each directory's names are sorted as bytes. */
MUST_CHECK int walk(int dir, const char *path, const struct walk_options *o,
                    struct err *e);

#endif

#ifndef SANDBOX_TARGET_H
#define SANDBOX_TARGET_H

/* Places in the root, whose content is a stranger's: found as the kernel would with the
 * root as "/", but what is missing is made. Allocates nothing. */
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

enum target_kind { TARGET_DIRECTORY, TARGET_FILE };

struct target {
	int root;
	enum target_kind kind;
	/* Told the path, free of symlinks, of each thing made in the root's own file
	 * system. NULL: what is made is meant, and directories' times move on. */
	void (*made)(void *self, const char *path);
	void *self;
};

/* An O_PATH fd for the absolute `path`, or -1. */
int target_open(const struct target *t, const char *path, struct err *e);

#endif

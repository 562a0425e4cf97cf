#ifndef SANDBOX_MOUNT_CALL_H
#define SANDBOX_MOUNT_CALL_H

/* The system calls of the mount API, by fd, for C libraries that lack them or not, and
 * the few things done with them. Nothing here allocates. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum {
	ATTACH_READ_ONLY = 1,
	ATTACH_NOEXEC = 2,
	ATTACH_DEVICES = 4, /* else nodev */
	ATTACH_RECURSIVE = 8,
};

/* A new file system as a detached mount; `options` are key, value pairs (a NULL value is
 * a flag), ended by a NULL key. */
int mount_new(const char *type, const char *const *options, unsigned flags,
              struct err *e);
/* A detached copy of what is mounted at `path` below `dir` ("": dir itself). */
int mount_clone(int dir, const char *path, unsigned flags, struct err *e);
/* nosuid and what `flags` say. `what` is for messages. */
MUST_CHECK int mount_restrict(int tree, unsigned flags, const char *what, struct err *e);
/* Puts a detached mount over `target`, an fd. */
MUST_CHECK int mount_attach(int tree, int target, const char *what, struct err *e);

/* openat2, relative to `root` as if it were "/", never through links of /proc. -1 and
 * errno. */
int root_open(int root, const char *path, int flags);
/* The same for what no symlink may lead to. */
int root_open_plain(int root, const char *path, int flags);

#endif

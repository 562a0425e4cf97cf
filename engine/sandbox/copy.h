#ifndef SANDBOX_COPY_H
#define SANDBOX_COPY_H

/* A root file system without overlayfs: what unpacked layers show together, copied into
 * the upper directory. Layers share inodes with nobody's root: also names of one file
 * become files of their own, as writing to one of them under overlayfs parts them. */
#include "sandbox/sandbox.h"

struct copy_options {
	const char *const *lower; /* as in struct sandbox_spec */
	size_t n_lower;
	const char *upper; /* what is in it already hides what is below, as in overlayfs
	                    */
	bool no_devices;   /* they are left out: nothing would keep a step from using them
	                    */
};

/* Call it as those who own the files inside (sandbox_call). Blocks are shared with the
 * layers where the file system can. */
MUST_CHECK int copy_layers(const struct copy_options *o, struct err *e);

/* A directory with all that is in it, or a regular file; `from` may be O_PATH, `name` is
 * new in `dir`. Owners, modes and times are kept. ERR_INVALID if there are devices or
 * sockets. */
MUST_CHECK int copy_tree(int from, int dir, const char *name, struct err *e);

#endif

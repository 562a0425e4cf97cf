#ifndef SANDBOX_CHROOT_H
#define SANDBOX_CHROOT_H

/* What a sandbox mounts, without the right to mount: put into the copied root file system
 * before the command, and taken out again after it. What was at such a place waits in
 * the work directory meanwhile. Done by our process, while none of the command's runs. */
#include "base/vec.h"
#include "sandbox/setup.h"

struct covered;
struct chroot_place {
	int root, work;
	char *path;                  /* of the root, as the kernel tells it */
	VEC(struct covered) covered; /* in this order */
	struct procs_mark mark;      /* of the command's processes */
};

/* setup is prepared, and the layers are copied. ERR_INVALID for what cannot be had
 * without a mount, with what to do instead. chroot_close in any case. `stubs` as in
 * struct sandbox_result. */
MUST_CHECK int chroot_open(struct chroot_place *c, const struct setup *setup,
                           struct strlist *stubs, struct err *e);

/* Kills what is left of the command, and takes out what was put in. Caches go back to
 * where they were if nothing can be left: a process that hides from us (PR_SET_DUMPABLE)
 * in a directory that is moved out of the root could walk on to ours. Else they are
 * emptied. */
MUST_CHECK int chroot_close(struct chroot_place *c, bool alone, struct err *e);

#endif

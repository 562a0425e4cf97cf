#ifndef SANDBOX_STATE_H
#define SANDBOX_STATE_H

/* What sandbox_open found; read-only afterwards. Inside of the room only. */
#include <linux/filter.h>

#include "sandbox/sandbox.h"

struct sandbox {
	struct sandbox_probe probe;
	int userns;          /* -1: root, or nobody */
	bool initial_userns; /* we are in the machine's own user namespace */
	struct sock_fprog filter;
	int cgroup;  /* directory below which control groups may be made, or -1 */
	char *pasta; /* their paths, or NULL */
	char *fuse;
	struct runtime *runtime; /* NULL: our own */
};

/* run.c: sandbox_run, or all of it but the command. */
MUST_CHECK int sandbox_try(struct sandbox *s, const struct sandbox_spec *spec, bool trial,
                           struct sandbox_result *r, struct err *e);

#endif

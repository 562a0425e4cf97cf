#ifndef SANDBOX_FILTER_H
#define SANDBOX_FILTER_H

/* Which system calls a command may not make: those that reach the kernel's own state,
 * other namespaces or the terminal's input. */
#include <linux/filter.h>
#include <stdbool.h>

#include "base/json.h"

struct filter_options {
	bool flat;   /* every change of owner succeeds and does nothing */
	bool chroot; /* the host's processes and directories are near */
};

/* The filter as the kernel takes it; the caller frees out->filter. */
MUST_CHECK int filter_make(struct sock_fprog *out, const struct filter_options *o,
                           struct err *e);
/* The same as the OCI runtime-spec has it; a new reference. */
json_t *filter_json(bool flat);

#endif

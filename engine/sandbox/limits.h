#ifndef SANDBOX_LIMITS_H
#define SANDBOX_LIMITS_H

/* Control groups (version 2), where we may make some. */
#include "sandbox/state.h"

struct limits {
	int group;  /* the fd of its directory, or -1 */
	int parent; /* borrowed */
	char name[64];
};

/* Where control groups with the controllers `memory` and `pids` can be made: an fd of the
 * directory. -1 with the reason; to get one, we may have moved ourselves into a group
 * below ours. */
int limits_open(struct err *e);

/* Makes the group for a run, if that is how its limits are kept; l->group stays -1
 * otherwise. */
MUST_CHECK int limits_new(struct limits *l, const struct sandbox *s,
                          const struct sandbox_spec *spec, struct err *e);
bool limits_out_of_memory(const struct limits *l);
void limits_free(struct limits *l); /* removes the group; its processes are gone */

#endif

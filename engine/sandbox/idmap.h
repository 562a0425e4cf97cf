#ifndef SANDBOX_IDMAP_H
#define SANDBOX_IDMAP_H

/* User namespaces for those who are not root: which ids they may use, and making one. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum { IDMAP_RANGES_MAX = 64 };

struct idmap_range {
	uint32_t first, count; /* outside; inside they follow each other from 1 on */
};

struct idmap {
	struct idmap_range at[IDMAP_RANGES_MAX];
	size_t n;
};

/* The ranges that /etc/subuid or /etc/subgid gives to a user, by name or number
 * (subuid(5)). Malformed lines give none. */
void idmap_parse(struct idmap *out, const char *text, const char *name, uid_t uid);

/* The ranges of the calling user. ERR_NOT_FOUND, with the reason, if there are none. */
MUST_CHECK int idmap_of_user(struct idmap *uids, struct idmap *gids, struct err *e);

/* A user namespace, as an fd. NULL: 0 is the caller, and nobody else is. Else mapped by
 * newuidmap and newgidmap. */
int idmap_namespace(const struct idmap *uids, const struct idmap *gids, struct err *e);

#endif

#ifndef REGISTRY_MIRROR_H
#define REGISTRY_MIRROR_H

/* Where a pull may come from: the mirrors of the reference's host in their order, then
 * the host itself. */
#include "registry/host.h"

typedef int mirror_fn(void *self, const struct reference *at, struct host *host,
                      struct err *e);

/* Runs fn on each place until one does it. The host's own failure is the one that is
 * reported. A mirror that is unreachable is not asked again. */
MUST_CHECK int mirror_try(struct registry *r, const struct reference *ref, mirror_fn *fn,
                          void *self, struct err *e);
/* The name of `ref` at the mirror that "HOST=MIRROR[/prefix]" tells of. 1, or 0: not for
 * this host. */
int mirror_map(const char *rule, const struct reference *ref, struct reference *out);

#endif

#ifndef REGISTRY_MIRROR_H
#define REGISTRY_MIRROR_H

/* Where a pull may come from: the mirrors of the reference's host in their order, then
 * the host itself. */
#include "registry/host.h"

typedef int mirror_fn(void *self, const struct reference *at, struct host *host,
                      struct err *e);

/* Runs fn on each place until one does it. The host's own failure is the one that is
 * reported. A mirror that is unreachable is not asked again; one that falls silent, or is
 * busy, is not waited for as long as the host would be. */
MUST_CHECK int mirror_try(struct registry *r, const struct reference *ref, mirror_fn *fn,
                          void *self, struct err *e);
/* What `by` gave for `ref`, and could not be told at once to be wrong, was so (`why`).
 * True: it is a mirror, which is not asked again; false: it is the host itself. */
bool mirror_distrust(struct registry *r, const struct reference *ref, struct host *by,
                     const struct err *why);
/* The name of `ref` at the mirror that "HOST=MIRROR[/prefix]" tells of. 1, or 0: not for
 * this host. */
int mirror_map(const char *rule, const struct reference *ref, struct reference *out);

#endif

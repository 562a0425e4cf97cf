#ifndef REGISTRY_REFERRERS_H
#define REGISTRY_REFERRERS_H

/* Who refers to a manifest, where the registry does not keep the list itself: an index
 * under the tag "sha256-HEX" (OCI distribution-spec 1.1, "Unavailable Referrers API"). */
#include "registry/host.h"

/* The manifest `body` has just been put as `d`, and nobody took note of its subject: adds
 * it to the index. What has no subject is done at once. */
MUST_CHECK int referrers_add(struct registry *r, const struct reference *ref,
                             const struct descriptor *d, const void *body, struct err *e);

#endif

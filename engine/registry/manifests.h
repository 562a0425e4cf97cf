#ifndef REGISTRY_MANIFESTS_H
#define REGISTRY_MANIFESTS_H

/* What of manifests is not for everybody. */
#include "registry/call.h"

/* A request for a manifest, and what it is made of. */
struct manifest_call {
	struct call call;
	char name[DIGEST_TEXT];
	struct buf path, what;
	struct strlist scopes, headers;
};

/* `name` is a tag or digest. */
void manifest_call_init(struct manifest_call *w, const char *method,
                        const struct reference *ref, struct host *h, const char *name);
void manifest_call_fini(struct manifest_call *w);

/* The digest that the answer's header tells, if it is one of ours. 1, 0: none, -1: it
 * contradicts `ref`. */
MUST_CHECK int manifest_said_digest(const struct http_answer *a, const struct host *h,
                                    const struct reference *ref, struct digest *out,
                                    struct err *e);

#endif

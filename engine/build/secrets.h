#ifndef BUILD_SECRETS_H
#define BUILD_SECRETS_H

/* Values that run steps may see and nothing may keep: in no key, layer, log, history or
 * store. */
#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"

struct secret {
	char *id;
	struct buf value;
};

struct secrets {
	VEC(struct secret) list;
};

/* `given`: "ID=FILE", or "ID=env:NAME" for a variable of our own environment. At most 1
 * MiB each. */
MUST_CHECK int secrets_load(struct secrets *s, const struct strlist *given,
                            struct err *e);
void secrets_fini(struct secrets *s); /* wipes */

/* ERR_NOT_FOUND says how to give it. `s` may be NULL. */
MUST_CHECK int secrets_get(const struct secrets *s, const char *id,
                           const struct secret **out, struct err *e);
/* Appends `text` with every value, and every line of a value, that is long enough to be
 * one taken out. */
void secrets_redact(const struct secrets *s, const char *text, size_t n, struct buf *out);

#endif

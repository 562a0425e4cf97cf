#ifndef STORE_SOURCES_H
#define STORE_SOURCES_H

/* Which registry repositories ("host/repo") are known to hold a blob: where it can be
 * fetched from, and mounted from. Knowledge may be out of date; the most recent comes
 * first. */
#include "base/digest.h"
#include "base/vec.h"
#include "store/state.h"

enum { SOURCES_MAX = 16 };

MUST_CHECK int blob_sources_add(struct state *s, const struct digest *blob,
                                const char *repo, struct err *e);
MUST_CHECK int blob_sources_forget(struct state *s, const struct digest *blob,
                                   const char *repo, struct err *e);
MUST_CHECK int blob_sources_get(struct state *s, const struct digest *blob,
                                struct strlist *out, struct err *e);

#endif

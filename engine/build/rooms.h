#ifndef BUILD_ROOMS_H
#define BUILD_ROOMS_H

/* What gc and fsck must know of formats and directories that are not the store's own. */
#include "store/fsck.h"

struct rooms;

MUST_CHECK int rooms_open(struct rooms **out, struct store *s, struct err *e);
void rooms_close(struct rooms *r); /* NULL is fine */
/* What is not measured by then (of clock_ns) counts as nothing this time. */
void rooms_limit(struct rooms *r, int64_t deadline);
const struct gc_rooms *rooms_for_gc(const struct rooms *r);
const struct fsck_rooms *rooms_for_fsck(const struct rooms *r);

#endif

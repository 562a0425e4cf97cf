#ifndef BUILD_JOIN_H
#define BUILD_JOIN_H

/* Several layers over a result as one. Private to build/. */
#include "build/work.h"

/* Puts into the work's tree, still empty, what takes w->below to `upto`, which has the
 * same layers and more: with the contents of these, pending. A name that came and went
 * again is not in it. That directories were repeated with the build's own time is no
 * difference by itself. `upto` must live as long as the work. */
MUST_CHECK int work_join(struct work *w, const struct result *upto, struct err *e);

#endif

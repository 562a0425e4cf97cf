#ifndef BASE_MOBY_PATTERN_H
#define BASE_MOBY_PATTERN_H

/* One pattern of an ignore file. github.com/moby/patternmatcher turns it into a regular
 * expression of Go's; here it becomes a glob that accepts the same paths, odd cases
 * included. */
#include "base/err.h"
#include "base/glob.h"

/* `text` is cleaned and not empty. What moby refuses is ERR_INVALID, and so is the little
 * that only a regular expression could mean (`\b`, `\pL`). On failure too, glob_fini(g).
 */
MUST_CHECK int moby_pattern(struct glob *g, const char *text, struct err *e);

#endif

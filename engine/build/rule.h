#ifndef BUILD_RULE_H
#define BUILD_RULE_H

/* Host rules, seen from outside a build. */
#include "base/buf.h"
#include "recipe/recipe.h"

/* Removes the outputs of all `file` rules that are there (or, in a dry run, only tells);
 * appends a line for each to `told`. */
MUST_CHECK int rule_clean(const struct recipe *r, bool dry_run, struct buf *told,
                          struct err *e);

#endif

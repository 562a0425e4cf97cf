#ifndef RECIPE_GRAPH_H
#define RECIPE_GRAPH_H

/* Who needs whom. Checked once after evaluation, so that later code need not. */
#include "recipe/recipe.h"

/* Refuses cycles (naming the way round), duplicate names, names of commands (`reserved`,
 * NULL-terminated), a `from` or `copy.from` that is no file system, two rules for one
 * output. (Two targets that publish the same tag are found in publish/, which knows the
 * families.) */
MUST_CHECK int graph_check(const struct recipe *r, const char *const *reserved,
                           struct err *e);

/* Direct dependencies of t: from, copied-from targets, checked image, and the file rules
 * whose outputs its copies, archives or deps name. *out is in the recipe's order, without
 * repeats; caller frees. */
void graph_needs(const struct recipe *r, const struct target *t, struct target ***out,
                 size_t *n);

/* The file rule that makes `path` (relative to the root), or contains or is contained by
 * it; NULL if none. */
struct target *graph_rule_for(const struct recipe *r, const char *path);

#endif

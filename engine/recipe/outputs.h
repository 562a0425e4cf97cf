#ifndef RECIPE_OUTPUTS_H
#define RECIPE_OUTPUTS_H

/* The file rules by the path of what they make, so that a path's rules are found without
 * looking at all of them. */
#include "recipe/recipe.h"

/* Sorts r->rules. recipe_index calls it. */
void outputs_index(struct recipe *r);
/* Calls fn for each rule whose output is `path`, or holds it, or is below it. `path` is
 * relative to the root and cleaned; "." is the root. */
void outputs_near(const struct recipe *r, const char *path,
                  void (*fn)(void *self, struct target *rule), void *self);

#endif

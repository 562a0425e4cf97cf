#ifndef BUILD_DESCRIBE_H
#define BUILD_DESCRIBE_H

/* A step in one line, for an image's history: arguments as written, no secrets, no
 * places. */
#include "base/buf.h"
#include "recipe/recipe.h"

void step_describe(const struct step *s, struct buf *out);

#endif

#ifndef BUILD_CONFIGURE_H
#define BUILD_CONFIGURE_H

/* Steps that change the configuration only: env, workdir, user, config. */
#include "image/config.h"
#include "recipe/recipe.h"

/* `inherited_cmd`: the command is still the base's, so that a new entrypoint takes it
 * away, as in a Dockerfile; updated here. */
void configure(struct image_config *c, const struct step *s, bool *inherited_cmd);

/* Replaces ${NAME} by the environment so far; an unset name is empty, "$${" is a literal
 * "${". */
void expand_env(const struct image_config *c, const char *text, struct buf *out);

#endif

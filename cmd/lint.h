#ifndef CMD_LINT_H
#define CMD_LINT_H

/* imgmake lint: what is to be said of recipes, and of the images that were built from
 * them. */
#include "base/vec.h"
#include "cmd/session.h"

struct lint_rule {
	const char *id;      /* "root-user"; NULL ends the table */
	const char *what;    /* it finds, in a line */
	const char *why;     /* it is to be said */
	const char *instead; /* what to write */
};

/* lint_rules.c, sorted by id */
extern const struct lint_rule lint_rules[];
const struct lint_rule *lint_rule_find(const char *id, size_t n); /* or NULL */

struct finding {
	const struct lint_rule *rule;
	struct place place;          /* borrowed from the recipe */
	const struct target *target; /* NULL: of the recipe as a whole */
	char *message;
};

struct lint {
	struct session *s;
	VEC(struct finding) list;
	struct strlist not_seen; /* "web: is not built" */
};

/* Takes the message, unless that was said there already. */
void lint_add(struct lint *l, const char *rule, const struct place *p,
              const struct target *t, struct buf *message);

/* lint_image.c: what the layers of an image hold that the recipe's steps made. The image
 * is planned. */
MUST_CHECK int lint_image(struct lint *l, const struct target *t, struct err *e);

#endif

#ifndef CMD_COMPARE_H
#define CMD_COMPARE_H

/* Two images by name, compared: `imgmake diff`, and `why --against`. */
#include "cmd/session.h"

/* Appends a line for each difference, or to `list` an object; either may be NULL. A
 * target is made first if it is out of date. `target`, if not NULL, is what `was` may be
 * a bare digest of: in the store, or in a repository that it is published to. *n counts.
 */
struct comparison {
	const char *was, *is; /* names, as session_image takes them */
	const struct target *target;
	struct buf *text;
	const char *indent; /* of its lines */
	json_t *list;
	size_t n;
};

MUST_CHECK int compare_images(struct session *s, struct comparison *c, struct err *e);

/* why.c: {"input": …, "was": …, "is": …} (new reference). */
json_t *difference_json(const char *what, const char *was, const char *is);

#endif

#ifndef PUBLISH_TAGS_H
#define PUBLISH_TAGS_H

/* `imgmake tags`: the family as a registry holds it, and what a version would move. */
#include "publish/ship.h"

enum tag_kind {
	TAG_RELEASE,    /* 1.2.3 */
	TAG_PRERELEASE, /* 2.0.0-rc.1 */
	TAG_FLOAT,      /* 1.2, 1, latest: another tag of the series stands under it */
	TAG_OTHER,      /* edge */
};

struct tag_row {
	const char *tag;
	enum tag_kind kind;
	const char *series;    /* declared variant or alias, "" is the bare one */
	struct digest digest;  /* zero: gone since it was listed */
	const char *points_at; /* of a float: the highest release with this digest, or
	                          NULL */
};

struct tag_list {
	struct arena arena;
	const char *repo;   /* "host/repo" */
	struct tag_row *at; /* by series; in it floats, releases, prereleases, the highest
	                       first */
	size_t n;
};

/* One list and a HEAD a tag. `spelling` tells prefix and variants; NULL: none declared.
 */
MUST_CHECK int tags_list(struct tag_list *out, const struct reference *repo,
                         const struct family_options *spelling,
                         const struct ship_options *o, struct err *e);
void tag_list_fini(struct tag_list *l);

/* What publishing a version would do to the tags, whatever the image: a plan as of
 * deploy. */
MUST_CHECK int tags_would_move(struct deploy_result *out, const struct reference *repo,
                               const struct family_options *family,
                               const struct ship_options *o, struct err *e);

#endif

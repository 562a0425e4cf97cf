#ifndef PUBLISH_DEPLOY_H
#define PUBLISH_DEPLOY_H

/* `imgmake deploy`: images of a recipe into the repositories that they are published to.
 */
#include "publish/ship.h"
#include "recipe/recipe.h"

struct deploy_image {
	const char *name; /* the target's */
	const struct publish *publish;
	const struct descriptor *root; /* manifest or index in the store; NULL: not built
	                                  (plan_only) */
	/* Of one that is not built: the layers that it will have in any case. */
	const struct descriptor *layers;
	size_t n_layers;
	const char *base_name; /* or NULL */
	const char *unknown;   /* why no more of it is known */
	/* Manifests in the store of what is said of it, which go to its repositories
	 * without tags. */
	const struct descriptor *attached;
	size_t n_attached;
	bool more_attached; /* of a plan: something that is not known yet */
};

/* One deploy_repo for each repository of each image, in their order, and after them those
 * of what is attached. */
MUST_CHECK int deploy(struct deploy_result *out, const struct deploy_image *images,
                      size_t n, const struct ship_options *o, struct err *e);

/* Two targets that publish the same tag of the same repository are ERR_INVALID, naming
 * both places, as is a version that is none. Floats of different versions are no clash:
 * the higher one has them. */
MUST_CHECK int publish_check(const struct recipe *r, struct err *e);

/* What `p` says of the family. Borrows from `p`. False: it has no version, and plain tags
 * alone. */
bool publish_family(const struct publish *p, struct family_options *out);
/* Its version is a release, no prerelease. */
bool publish_is_release(const struct publish *p);
/* Its plain moving tags: "latest", if it has neither tags nor a version. */
struct strings publish_tags(const struct publish *p);

#endif

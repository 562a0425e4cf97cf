#ifndef PUBLISH_TAG_FAMILY_H
#define PUBLISH_TAG_FAMILY_H

/* Which tags a release gets, given what the registry holds (4-publishing.md, "Tag
 * family"). Pure: no registry is asked here. */
#include <stdbool.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/vec.h"

/* How a family is spelt and how far it reaches: `publish` of the recipe, or options of
 * `promote`. */
struct family_options {
	const char *version;        /* "1.2.3", "v1.2.3", "refs/tags/v1.2.3" */
	const char *rebuild;        /* "20261120" or NULL */
	const char *prefix;         /* "v" or NULL */
	const char *variant;        /* "alpine3.22" or NULL */
	const char *const *aliases; /* {"alpine"} */
	size_t n_aliases;
	const char *const *variants; /* other suffixes that the repository knows */
	size_t n_variants;
	const char *const *yanked; /* versions that do not count */
	size_t n_yanked;
	const char *const *levels; /* of "full" "minor" (1.2, and 1.2.3 of 1.2.3.4)
	                            * "major" "latest"; none: all */
	size_t n_levels;
	bool bare; /* default = true: this variant has the bare tags as well; without
	            * a variant they are all there is */
	bool zero_major;                  /* 0.x has a major tag */
	bool channels;                    /* prereleases move 2.0-rc 2-rc rc */
	const char *const *channel_names; /* only these: {"rc"} */
	size_t n_channel_names;
	bool immutable; /* full tags never change */
	enum { FAMILY_LATEST_ANY, FAMILY_LATEST_LINE, FAMILY_LATEST_NEVER } latest;
	const char *latest_line; /* "2" */
};

/* What the registry holds. */
struct held_tag {
	const char *tag;
	const char *version; /* its image's org.opencontainers.image.version, or NULL: not
	                        known */
	struct digest image; /* identity (config digest, or index of configs); zero: not
	                        known */
	struct digest root;  /* of its manifest or index, for people; zero: not known */
};

enum tag_action {
	TAG_CREATE, /* does not exist yet */
	TAG_MOVE,
	TAG_SAME, /* is this image already */
	TAG_KEEP, /* kept back: `reason` */
};

struct tag_decision {
	const char *tag;
	enum tag_action action;
	const char *reason; /* for people, never NULL: "1.3.0 is newer" */
	bool floating;      /* not a full tag: may be moved by later releases */
	const char *holder; /* kept back by a newer release: the tag that holds it; else
	                       NULL */
};

struct tag_plan {
	struct arena arena;
	struct tag_decision *at; /* in the order to publish: full, minor, major, latest */
	size_t n;
};

/* The tags of `held` whose image or version annotation the decision depends on: those
 * that would be published, and floats of the series that may hide a higher release.
 * Callers fetch just these manifests before family_plan. *out gains copies. */
MUST_CHECK int family_wants(const struct family_options *o, const struct held_tag *held,
                            size_t n, struct strlist *out, struct err *e);

/* `image` is the identity of what is being published. ERR_INVALID: no version, or options
 * that make no tag; ERR_EXISTS: a full tag holds another image. */
MUST_CHECK int family_plan(struct tag_plan *out, const struct family_options *o,
                           const struct digest *image, const struct held_tag *held,
                           size_t n, struct err *e);
void tag_plan_fini(struct tag_plan *p);

/* The tags of the family if nothing were held, in order: for finding two targets that
 * publish the same. */
MUST_CHECK int family_tags(const struct family_options *o, struct strlist *out,
                           struct err *e);

#endif

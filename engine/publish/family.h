#ifndef PUBLISH_FAMILY_H
#define PUBLISH_FAMILY_H

/* The private part of tag_family: which tags a version has, and what a tag of a registry
 * stands for. */
#include "base/buf.h"
#include "publish/tag_family.h"
#include "publish/version.h"

/* A tag that the version has, if nothing keeps it back. */
struct member {
	const char *tag;
	const char *suffix; /* its series: "" or a variant */
	int depth;          /* components in its name: 0 is "latest" */
	bool floating;
};

struct family {
	const struct family_options *o;
	struct arena arena;
	struct version version;
	struct span channel;        /* of a prerelease that moves floats, else empty */
	VEC(const char *) series;   /* own suffixes: variant, aliases, "" */
	VEC(const char *) suffixes; /* all declared ones, the longest first */
	VEC(struct member) members; /* in the order to publish */
};

MUST_CHECK int family_init(struct family *f, const struct family_options *o,
                           struct err *e);
void family_fini(struct family *f);

/* What a tag says by its name. */
struct reading {
	const char *suffix; /* its series, "" is bare; points into the options */
	bool numbered; /* `version` holds; else it is "latest", the suffix alone, or a
	                  channel */
	bool channel;  /* not numbered: the channel's own float, "rc" */
	struct version version;
	bool twin; /* of the series spelt with "v" where ours is not, or the reverse */
};

/* False: a tag of nobody that we know. */
bool family_read_tag(const struct family *f, const char *tag, struct reading *out);
/* A version annotation, with whatever of prefix and suffix it carries. */
bool family_read_note(const struct family *f, const char *text, struct version *out);
bool family_yanked(const struct family *f, const struct version *v);
bool family_has(const char *const *list, size_t n, const char *s);

#endif

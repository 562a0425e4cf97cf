#ifndef PUBLISH_SHIP_H
#define PUBLISH_SHIP_H

/* Brings images into repositories and gives them their tags: the way that deploy,
 * promote, copy and push have in common (4-publishing.md, "Deploy"). Nothing is tagged
 * before everything is up. */
#include "publish/closure.h"
#include "publish/tag_family.h"
#include "store/store.h"

struct ship_item {
	const char *name;               /* of the image, for people */
	struct reference to;            /* host and repository */
	const struct closure *image;    /* NULL, or without documents: not built yet, for
	                                   plans only */
	const char *unknown;            /* then why, for people; or NULL */
	const struct closure *about;    /* image of another item for the same repository,
	                                   which this is said of; or NULL */
	const struct reference *origin; /* repository that has all of it, or NULL: the
	                                   store */
	const struct family_options *family; /* or NULL */
	const char *const *tags;             /* plain moving tags */
	size_t n_tags;
};

struct ahead;

struct ship_options {
	struct store *store;
	struct registry *registry;
	struct progress *progress;    /* or NULL */
	const struct strlist *others; /* more repositories that may have blobs, or NULL */
	struct ahead *ahead;          /* what was sent before, or NULL */
	bool plan_only;               /* asks, and sends no write request */
	int connections;              /* 0: 8 */
};

struct deploy_tag {
	const char *tag;
	enum tag_action action; /* done, or of a plan: to be done */
	const char *reason;     /* never NULL */
	bool floating;
	bool has_old, has_now;
	struct digest old; /* what it held when we came */
	struct digest now; /* what it holds, or would hold, afterwards */
};

struct deploy_amount {
	size_t blobs;
	int64_t bytes;
};

/* One image in one repository. */
struct deploy_repo {
	struct arena arena;
	const char *image;
	const char *repo;       /* "host/repo" */
	bool has_root;          /* false: not built yet */
	struct descriptor root; /* what the tags are set to */
	const char *unknown;    /* see ship_item */
	/* Of a plan: what would be, as far as the image is known. Bytes sent hold what
	 * the repository lacks, manifests, too, each once: one goes out again for each
	 * tag that is set to it. */
	struct deploy_amount sent, mounted, present;
	struct deploy_tag *tags; /* in the order to publish */
	size_t n_tags;
};

struct deploy_result {
	struct deploy_repo *at;
	size_t n;
};

/* On failure *out is empty; each tag is then as it was or as it was to be. */
MUST_CHECK int ship(struct deploy_result *out, const struct ship_item *items, size_t n,
                    const struct ship_options *o, struct err *e);
void deploy_result_fini(struct deploy_result *r);
/* Whether the plan, or what was done, changes anything in the registry. */
bool deploy_repo_changed(const struct deploy_repo *r);

#endif

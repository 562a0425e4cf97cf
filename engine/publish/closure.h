#ifndef PUBLISH_CLOSURE_H
#define PUBLISH_CLOSURE_H

/* An image and all that it refers to, from a store or a registry: what must be there
 * before its root may be pushed, exported or named. */
#include "base/arena.h"
#include "base/vec.h"
#include "image/descriptor.h"
#include "image/reference.h"
#include "registry/client.h"
#include "store/blobs.h"

/* Where documents are read: from the store if it has them, else from `ref`'s repository
 * if given. */
struct content {
	struct blobs *store;       /* or NULL */
	struct registry *registry; /* or NULL */
	const struct reference *ref;
};

struct document {
	struct descriptor d;
	const void *body;    /* d.size bytes */
	struct digest image; /* identity, see closure.image */
	const char *version; /* annotation, or NULL */
};

struct closure {
	struct arena arena;
	struct descriptor root;
	VEC(struct document) documents; /* in the order to push: the root comes last */
	VEC(struct descriptor) layers;  /* each digest once */
	VEC(struct descriptor) configs;
	VEC(struct descriptor)
	foreign; /* layers that no registry need have; in none of
	          * the lists above */
	/* Identity: the config's digest, of an index the digest over those of its
	 * platforms in order. An artifact without a configuration of its own is its
	 * manifest. */
	struct digest image;
	const char *version;   /* org.opencontainers.image.version, or NULL */
	const char *base_name; /* org.opencontainers.image.base.name, or NULL */
};

/* Loads what `root` refers to. `only`: of an index, this platform's manifest alone, which
 * is then the root. On failure nothing is left to release. */
MUST_CHECK int closure_load(struct closure *c, const struct content *from,
                            const struct descriptor *root, const struct platform *only,
                            struct err *e);
/* The same, of what from->ref names. */
MUST_CHECK int closure_fetch(struct closure *c, const struct content *from,
                             const struct platform *only, struct err *e);
void closure_fini(struct closure *c);

/* A root as a registry's tag holds it, without its layers: for judging tags and for
 * setting others to it. Strings and body live in `a`. `image` is only found when asked
 * for (`deep`). */
MUST_CHECK int closure_peek(struct document *out, struct arena *a,
                            const struct content *from, bool deep, struct err *e);

#endif

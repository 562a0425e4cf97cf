#ifndef PUBLISH_AHEAD_H
#define PUBLISH_AHEAD_H

/* Layers on their way into the repositories of images that are still being made. Nothing
 * there refers to them before ship() has brought the rest. What goes wrong here is no
 * failure as long as ship() does not wait for it: it finds the layer missing, brings it,
 * and says what is wrong. */
#include "publish/ship.h"
#include "recipe/recipe.h"
#include "registry/client.h"

struct ahead;

/* `images` are those that will be deployed. Those that a check of the recipe may refuse
 * have nothing sent before it has passed; nor have releases whose version is taken
 * already. Borrows all but `images`. */
struct ahead *ahead_new(const struct recipe *r, struct target *const *images, size_t n,
                        const struct ship_options *o);
/* A layer of an image is made and in the store: for build_on_layer. */
void ahead_layer(void *ahead, const struct target *image, const struct descriptor *layer);
/* Whether it was that repository of its host that a layer was sent to. */
bool ahead_goes_to(struct ahead *a, const struct reference *to,
                   const struct digest *layer);
/* What became of it. */
struct arrival {
	bool there;            /* in that repository */
	enum push_outcome how; /* it came there */
	const struct err *why; /* it did not, while we waited; else NULL */
};
/* Waits, if it is under way. From then on none begins: the caller brings them. */
void ahead_wait(struct ahead *a, const struct reference *to, const struct digest *layer,
                struct arrival *out);
/* A blob that is found to be damaged on its way is put aside, and then others miss it: if
 * *e is of something that is missing, and there was one, it says so instead. Then
 * nothing is under way any more that would put aside what is made anew. */
void ahead_explain(struct ahead *a, struct err *e);
/* Waits for what is under way; leaves out what has not begun. NULL is fine. */
void ahead_free(struct ahead *a);

#endif

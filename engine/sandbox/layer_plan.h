#ifndef SANDBOX_LAYER_PLAN_H
#define SANDBOX_LAYER_PLAN_H

/* What the directory of one layer will hold, seen from the layers below it. Pure; inside
 * of layers.c. */
#include <stdbool.h>

#include "base/vec.h"
#include "image/toc.h"
#include "sandbox/layers.h"

/* A name that gets what some layer's table says. */
struct layer_name {
	struct toc_entry t; /* with the path that it gets; of hard links what they stand
	                       for */
	size_t layer;       /* of a file: which layer's stream has the bytes, and */
	size_t index;       /* where in that layer's table */
	size_t first; /* of several names of one file: the index of the first; else its
	                 own */
};

struct layer_plan {
	struct layers_item item;
	struct toc real; /* with settled paths; `offset` is the index in the item's table
	                  */
	VEC(struct layer_name)
	names; /* sorted by path, each with its directory; whiteouts too */
	VEC(const char *) opaque; /* directories */
	bool borrows;             /* files of layers below, through hard links */
	struct digest key;        /* the diff ID, or of it and what else decides */
	struct arena arena;
};

/* `reals` are the plans of the layers below, `n` of them, and then this one's `real`,
 * which is made. End with layer_plan_fini, also after an error. */
MUST_CHECK int layer_plan_make(struct layer_plan *p, const struct layers_item *item,
                               const struct toc **reals, size_t n, struct err *e);
void layer_plan_fini(struct layer_plan *p);
/* Keeps only what planning those above it takes: `real` and `key`. */
void layer_plan_strip(struct layer_plan *p);

/* layer_memory.c: what is known of the layer at the top of a chain, stripped, or NULL. */
const struct layer_plan *layers_memory_get(struct layers_memory *m,
                                           const struct digest *chain);
/* False if another thread was first; else it takes the plan (from the heap), stripped. */
bool layers_memory_put(struct layers_memory *m, const struct digest *chain,
                       struct layer_plan *p);

/* What a hard link, or chain of them, of the view's layer `*layer` is another name of:
 * the file, symlink or device, and its layer; else NULL. Other entries are returned. */
const struct toc_entry *layer_link_target(const struct toc_view *v,
                                          const struct toc_entry *t, size_t *layer);

/* Unpacks it into an empty directory (borrowed fd). `plans` are those of all layers,
 * since files that a layer links from one below are read there. layer_fill.c */
MUST_CHECK int layer_fill(int root, struct blobs *blobs,
                          const struct layer_plan *const *plans, size_t which,
                          struct unpack_report *report, struct err *e);

/* The lock of the directory `name` of rootfs/, for lock_share and close; without `wait`,
 * ERR_EXISTS if another has it. layers_sweep.c */
MUST_CHECK int layer_lock(int dir, const char *name, bool exclusive, bool wait,
                          struct err *e);

#endif

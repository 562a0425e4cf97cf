/* What several layers over a result come to as one: for steps of a `layer` that have to
 * see in the files what those before them did. Contents are fetched only if the layer
 * must be made. */
#include <stdlib.h>
#include <string.h>

#include "build/join.h"

/* A path that the layers say something of, and that can be seen. */
struct joined {
	const char *path;
	const struct toc_entry *is;  /* with hard links resolved */
	size_t layer;                /* that has it */
	const struct toc_entry *was; /* below, likewise; or NULL */
	bool shared;                 /* by another of them: names of one file */
};

struct joining {
	struct work *w;
	const struct result *upto;
	struct toc_view below, all;
	VEC(struct joined) seen;
	struct err *e;
};

/* --- What is gone
 * ----------------------------------------------------------------------- */

static bool is_mark(const struct toc_entry *t)
{
	return t->type == TOC_WHITEOUT || t->type == TOC_OPAQUE;
}

/* Of something that was below: is it, or a directory above it, gone? Then the topmost one
 * is removed. What is no longer a directory, or has become one, is removed as well: the
 * other takes its place later. */
static int find_gone(void *self, const struct toc_entry *t, size_t layer)
{
	struct joining *j = self;
	const char *end = *t->path ? strchr(t->path, '/') : NULL;

	(void)layer;
	for (; *t->path; end = strchr(end + 1, '/')) {
		size_t n = end ? (size_t)(end - t->path) : strlen(t->path);
		char *part = arena_strndup(&j->w->arena, t->path, n);
		const struct tree_entry *own = tree_own(&j->w->tree, part);
		const struct toc_entry *is;

		if (own && own->toc.type == TOC_WHITEOUT)
			return 0;
		is = toc_view_find(&j->all, part, NULL);
		if (!is || (is->type == TOC_DIR) != (end || t->type == TOC_DIR))
			return tree_remove(&j->w->tree, part, j->e);
		if (!end)
			return 0;
	}
	return 0;
}

/* Only marks, and what took the place of something else, can have hidden anything. */
static int remove_gone(struct joining *j)
{
	for (size_t i = j->below.n; i < j->all.n; i++) {
		const struct toc *table = j->all.layers[i];

		for (size_t k = 0; k < table->n; k++) {
			const struct toc_entry *t = &table->at[k];
			const struct toc_entry *was =
				toc_view_find(&j->below, t->path, NULL);

			if (!was || (!is_mark(t) &&
			             (was->type == TOC_DIR) == (t->type == TOC_DIR)))
				continue;
			if (toc_view_walk(&j->below, t->path, find_gone, j) != 0)
				return -1;
		}
	}
	return 0;
}

/* --- What is new or another
 * ------------------------------------------------------------- */

static const struct toc_entry *resolved(const struct toc_view *v,
                                        const struct toc_entry *t, size_t *layer)
{
	return t && t->type == TOC_HARDLINK ? link_target(v, t, layer) : t;
}

static int see_entry(struct joining *j, const struct toc_entry *t, size_t layer)
{
	struct joined x = { .path = t->path };
	const struct toc_entry *seen;
	size_t of;

	if (is_mark(t))
		return 0;
	seen = toc_view_find(&j->all, t->path, &x.layer);
	if (!seen || x.layer != layer)
		return 0;
	x.is = resolved(&j->all, seen, &x.layer);
	if (!x.is)
		return err_set(j->e, ERR_CORRUPT, "/%s is a link to no file", t->path);
	x.was = resolved(&j->below, toc_view_find(&j->below, t->path, &of), &of);
	vec_push(&j->seen, x);
	return 0;
}

static int by_file(const void *a, const void *b)
{
	const struct joined *x = a, *y = b;

	if (x->is != y->is)
		return (uintptr_t)x->is < (uintptr_t)y->is ? -1 : 1;
	return strcmp(x->path, y->path);
}

static int see_all(struct joining *j)
{
	for (size_t i = j->below.n; i < j->all.n; i++)
		for (size_t k = 0; k < j->all.layers[i]->n; k++)
			if (see_entry(j, &j->all.layers[i]->at[k], i) < 0)
				return -1;
	if (j->seen.len)
		qsort(j->seen.at, j->seen.len, sizeof(*j->seen.at), by_file);
	for (size_t i = 1; i < j->seen.len; i++) {
		struct joined *x = &j->seen.at[i - 1], *y = x + 1;

		if (x->is == y->is && x->is->type == TOC_FILE)
			x->shared = y->shared = true;
	}
	return 0;
}

/* Of a directory, its time apart: layers repeat the directories above what they have. */
static bool is_same(const struct joined *x)
{
	return x->was && !x->shared && toc_entry_same(x->is, x->was) &&
	       (x->is->type == TOC_DIR || x->is->mtime == x->was->mtime);
}

/* No reason to make a layer. */
static bool is_repeated(const struct joining *j, const struct joined *x)
{
	return is_same(x) && (x->is->mtime == x->was->mtime ||
	                      x->is->mtime == build_epoch(j->w->node->build));
}

/* Nor to be in one, if there is one for another reason. Directories above what is in it
 * are repeated with the epoch, so one that has another time has to be told. */
static bool is_left_out(const struct joining *j, const struct joined *x)
{
	return is_same(x) && x->is->mtime == x->was->mtime &&
	       (x->is->type != TOC_DIR || x->is->mtime == build_epoch(j->w->node->build));
}

static bool has_reason(const struct joining *j)
{
	for (size_t i = 0; i < j->seen.len; i++)
		if (!is_repeated(j, &j->seen.at[i]))
			return true;
	return j->w->tree.by_path.len > 0;
}

static int put(struct joining *j, const struct joined *x)
{
	struct tree *t = &j->w->tree;
	struct toc_entry entry = *x->is;
	struct pending content = { .from = j->w->node,
		                   .in = j->upto,
		                   .layer = x->layer,
		                   .source = x->is->path };

	entry.path = x->path;
	if (tree_put(t, &entry, NULL, 0755, j->e) < 0)
		return -1;
	if (entry.type != TOC_FILE)
		return 0;
	content.to = tree_own(t, x->path);
	content.to->inode = x->shared ? x->is : NULL;
	vec_push(&j->w->pending, content);
	return 0;
}

static int put_all(struct joining *j)
{
	tree_next_step(&j->w->tree);
	for (size_t i = 0; i < j->seen.len; i++)
		if (!is_left_out(j, &j->seen.at[i]) && put(j, &j->seen.at[i]) < 0)
			return -1;
	return 0;
}

int work_join(struct work *w, const struct result *upto, struct err *e)
{
	AUTO_FREE const struct toc **tocs = NULL;
	struct joining j = { .w = w, .upto = upto, .e = e };
	int rc;

	if (node_tocs(w->node, upto, &tocs, e) < 0)
		return -1;
	j.below = (struct toc_view){ tocs, w->below->layers.len };
	j.all = (struct toc_view){ tocs, upto->layers.len };
	rc = remove_gone(&j);
	if (rc == 0)
		rc = see_all(&j);
	if (rc == 0 && has_reason(&j))
		rc = put_all(&j);
	vec_fini(&j.seen);
	return rc;
}

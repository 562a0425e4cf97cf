#include "build/tree.h"

#include <string.h>

void tree_init(struct tree *t, struct arena *a, const struct toc *const *parents,
               size_t n, int64_t mtime)
{
	*t = (struct tree){
		.arena = a, .own = TOC_INIT, .by_path = MAP_INIT, .mtime = mtime
	};
	for (size_t i = 0; i < n; i++)
		vec_push(&t->below, parents[i]);
	t->n_parents = n;
}

void tree_fini(struct tree *t)
{
	vec_fini(&t->below);
	toc_fini(&t->own);
	map_fini(&t->by_path);
}

static struct tree_entry *at(const struct tree *t, size_t i)
{
	return t->by_path.at[i].value;
}

static bool gone(const struct tree_entry *x)
{
	return x->toc.path == NULL; /* a mark that was taken back */
}

struct tree_entry *tree_own(const struct tree *t, const char *path)
{
	struct tree_entry *x = map_get(&t->by_path, path);

	return x && !gone(x) ? x : NULL;
}

static void add_to_toc(struct toc *toc, const struct tree_entry *x)
{
	if (gone(x))
		return;
	toc_add(toc, &x->toc);
	if (x->opaque) {
		struct toc_entry mark = { .path = x->toc.path, .type = TOC_OPAQUE };

		toc_add(toc, &mark);
	}
}

void tree_next_step(struct tree *t)
{
	t->step++;
	t->last = NULL;
	if (!t->by_path.len)
		return;
	toc_fini(&t->own);
	for (size_t i = 0; i < t->by_path.len; i++)
		add_to_toc(&t->own, at(t, i));
	toc_sort(&t->own);
	if (t->below.len == t->n_parents)
		vec_push(&t->below, &t->own);
}

struct toc_view tree_view(const struct tree *t)
{
	return (struct toc_view){ t->below.at, t->below.len };
}

int tree_resolve(const struct tree *t, const char *path, bool last, struct buf *out,
                 const struct toc_entry **entry, struct err *e)
{
	struct toc_view v = tree_view(t);

	return toc_view_resolve(&v, path, last, out, entry, e);
}

static struct tree_entry *insert(struct tree *t, const struct toc_entry *entry)
{
	struct tree_entry *x = arena_alloc(t->arena, sizeof(*x));

	x->toc = *entry;
	x->step = t->step;
	map_put(&t->by_path, entry->path, x);
	return x;
}

/* The directories above `path`, so that the layer alone says what they are. */
static int put_parents(struct tree *t, const struct toc_entry *entry, uint32_t dir_mode,
                       struct err *e)
{
	struct toc_view v = tree_view(t);

	for (const char *s = strchr(entry->path, '/'); s; s = strchr(s + 1, '/')) {
		char *dir =
			arena_strndup(t->arena, entry->path, (size_t)(s - entry->path));
		struct tree_entry *own = map_get(&t->by_path, dir);
		const struct toc_entry *old;
		struct toc_entry made = { .path = dir,
			                  .type = TOC_DIR,
			                  .mode = dir_mode,
			                  .uid = entry->uid,
			                  .gid = entry->gid,
			                  .mtime = t->mtime };

		if (own && !gone(own) && own->toc.type == TOC_DIR)
			continue;
		old = toc_view_find(&v, dir, NULL);
		if ((own && !gone(own) && own->toc.type != TOC_WHITEOUT) ||
		    (old && old->type != TOC_DIR))
			return err_set(e, ERR_INVALID,
			               "/%s is not a directory in the image", dir);
		if (old) {
			made.mode = old->mode;
			made.uid = old->uid;
			made.gid = old->gid;
			made.xattrs = old->xattrs;
			made.n_xattrs = old->n_xattrs;
		}
		insert(t, &made)->opaque = own && !gone(own);
	}
	return 0;
}

static int refuse_clash(const struct tree *t, const struct tree_entry *own,
                        const struct toc_entry *old, const struct toc_entry *entry,
                        struct err *e)
{
	bool dir = entry->type == TOC_DIR;

	if (own && !gone(own) && own->toc.type != TOC_WHITEOUT) {
		if (dir != (own->toc.type == TOC_DIR))
			return err_set(e, ERR_INVALID,
			               "/%s would be a directory and a file at once",
			               entry->path);
		if (!dir && own->step == t->step)
			return err_set(e, ERR_INVALID, "two sources would become /%s",
			               entry->path);
		return 0;
	}
	if (old && dir && old->type != TOC_DIR)
		return err_set(
			e, ERR_INVALID,
			"/%s is a file in the image, not a directory; remove it first",
			entry->path);
	if (old && !dir && old->type == TOC_DIR)
		return err_set(
			e, ERR_INVALID,
			"/%s is a directory in the image; remove it first, or end 'to' in /",
			entry->path);
	return 0;
}

static void note_last(struct tree *t, const char *path, size_t n)
{
	struct toc_view v = tree_view(t);

	t->last = arena_strndup(t->arena, path, n);
	t->last_is_new = !toc_view_find(&v, t->last, NULL);
}

int tree_put(struct tree *t, const struct toc_entry *entry, const struct content *content,
             uint32_t dir_mode, struct err *e)
{
	struct toc_view v = tree_view(t);
	struct tree_entry *own = map_get(&t->by_path, entry->path);
	const char *slash = strrchr(entry->path, '/');
	size_t n = slash ? (size_t)(slash - entry->path) : 0;
	bool as_last = t->last && !strncmp(t->last, entry->path, n) && !t->last[n];
	const struct toc_entry *old = NULL;
	struct tree_entry *x;

	if (!as_last || !t->last_is_new)
		old = toc_view_find(&v, entry->path, NULL);
	if (refuse_clash(t, own, old, entry, e) < 0 ||
	    (!as_last && put_parents(t, entry, dir_mode, e) < 0))
		return -1;
	if (!as_last)
		note_last(t, entry->path, n);
	x = insert(t, entry);
	if (content)
		x->content = *content;
	if (own && !gone(own))
		x->opaque = entry->type == TOC_DIR &&
		            (own->opaque || own->toc.type == TOC_WHITEOUT);
	return 0;
}

/* Takes what this layer itself put at or below `path` back. It has all directories above
 * what it has. */
static void forget(struct tree *t, const char *path)
{
	struct tree_entry *own = tree_own(t, path);
	size_t n = strlen(path);

	if (!own)
		return;
	if (own->toc.type != TOC_DIR) {
		own->toc.path = NULL;
		return;
	}
	for (size_t i = 0; i < t->by_path.len; i++) {
		struct tree_entry *x = at(t, i);

		if (!gone(x) && !strncmp(x->toc.path, path, n) &&
		    (x->toc.path[n] == '/' || x->toc.path[n] == '\0'))
			x->toc.path = NULL;
	}
}

int tree_remove(struct tree *t, const char *path, struct err *e)
{
	struct toc_view parents = { t->below.at, t->n_parents };
	struct toc_entry mark = { .path = path, .type = TOC_WHITEOUT };

	if (!*path)
		return err_set(e, ERR_INVALID, "the root directory cannot be removed");
	t->last = NULL;
	forget(t, path);
	if (!toc_view_find(&parents, path, NULL))
		return 0; /* it was only ever in this layer */
	if (put_parents(t, &mark, 0755, e) < 0)
		return -1;
	insert(t, &mark);
	return 0;
}

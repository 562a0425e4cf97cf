#include <string.h>

#include "base/vec.h"
#include "image/toc.h"

enum { LINKS_MAX = 40 }; /* as the kernel has it */

const struct toc_entry toc_implied_dir = { .path = "", .type = TOC_DIR, .mode = 0755 };

static bool is_mark(const struct toc_entry *e)
{
	return e->type == TOC_WHITEOUT || e->type == TOC_OPAQUE;
}

/* The first entry whose path is the n bytes at `path`, or NULL; a mark may follow it. */
static const struct toc_entry *at_path(const struct toc *t, const char *path, size_t n)
{
	size_t i = toc_lower_bound(t, path, n);

	if (i == t->n || strncmp(t->at[i].path, path, n) != 0 || t->at[i].path[n])
		return NULL;
	return &t->at[i];
}

/* Whether the layer hides what lower layers have below the path. */
static bool hides_below(const struct toc *t, const char *path, size_t n)
{
	const struct toc_entry *e = at_path(t, path, n);

	if (!e)
		return false;
	if (e->type != TOC_DIR)
		return true;
	return e + 1 < t->at + t->n && e[1].type == TOC_OPAQUE &&
	       !strcmp(e[1].path, e->path);
}

/* Whether the layer hides what lower layers have at `path`, by what it says of a
 * directory above. */
static bool hides(const struct toc *t, const char *path)
{
	if (*path && hides_below(t, "", 0))
		return true;
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/'))
		if (hides_below(t, path, (size_t)(slash - path)))
			return true;
	return false;
}

/* Index of the first entry below the directory. */
static size_t first_below(const struct toc *t, const char *path)
{
	AUTO_BUF dir = BUF_INIT;

	buf_adds(&dir, path);
	if (*path)
		buf_addc(&dir, '/');
	return toc_lower_bound(t, dir.s, dir.len);
}

static bool has_below(const struct toc *t, const char *path)
{
	size_t n = strlen(path);

	for (size_t i = first_below(t, path); i < t->n; i++) {
		const char *p = t->at[i].path;

		if (n && (strncmp(p, path, n) != 0 || p[n] != '/'))
			return false;
		if (!is_mark(&t->at[i]))
			return true;
	}
	return false;
}

const struct toc_entry *toc_view_find(const struct toc_view *v, const char *path,
                                      size_t *layer)
{
	const struct toc_entry *implied = *path ? NULL : &toc_implied_dir;
	size_t unused;

	layer = layer ? layer : &unused;
	*layer = 0;
	for (size_t i = v->n; i-- > 0;) {
		const struct toc *t = v->layers[i];
		const struct toc_entry *e = at_path(t, path, strlen(path));

		if (e && !is_mark(e)) {
			*layer = i;
			return e;
		}
		if (!implied && has_below(t, path)) {
			*layer = i;
			implied = &toc_implied_dir;
		}
		if ((e && e->type == TOC_WHITEOUT) || hides(t, path))
			break;
	}
	return implied;
}

/* Takes the last component off. */
static void to_parent(struct buf *path)
{
	const char *slash = strrchr(path->s, '/');

	buf_truncate(path, slash ? (size_t)(slash - path->s) : 0);
}

/* Puts the link's text in front of what is left to resolve. */
static void follow(const char *link, struct buf *out, struct buf *rest, size_t at)
{
	struct buf next = BUF_INIT;

	if (link[0] == '/')
		buf_reset(out);
	buf_adds(&next, link);
	buf_adds(&next, rest->s + at);
	buf_fini(rest);
	*rest = next;
}

int toc_view_resolve(const struct toc_view *v, const char *path, bool last,
                     struct buf *out, const struct toc_entry **entry, struct err *e)
{
	AUTO_BUF rest = BUF_INIT;
	const struct toc_entry *there;
	size_t at = 0, n, before;
	int links = 0;

	buf_reset(out);
	buf_adds(&rest, path);
	for (; at < rest.len; at += n) {
		const char *name = rest.s + at;

		n = strcspn(name, "/");
		if (n == 0 || (n == 1 && name[0] == '.')) {
			n += n == 0;
			continue;
		}
		if (n == 2 && name[0] == '.' && name[1] == '.') {
			to_parent(out);
			continue;
		}
		before = out->len;
		if (out->len)
			buf_addc(out, '/');
		buf_add(out, name, n);
		there = toc_view_find(v, out->s, NULL);
		if (!there)
			continue;
		if (there->type == TOC_SYMLINK && (last || name[n])) {
			if (++links > LINKS_MAX)
				return err_set(e, ERR_INVALID, "/%s: too many symlinks",
				               out->s);
			buf_truncate(out, before);
			follow(there->link, out, &rest, at + n);
			at = n = 0;
		} else if (there->type != TOC_DIR && name[n]) {
			return err_set(e, ERR_INVALID, "/%s is not a directory", out->s);
		}
	}
	if (entry)
		*entry = toc_view_find(v, out->s, NULL);
	return 0;
}

/* One layer's next entry. */
struct cursor {
	const struct toc_entry *at, *end;
	size_t layer;
};

/* A path below which layers under `floor` are hidden. */
struct curtain {
	const char *path;
	size_t len, floor;
};

/* A merge of the layers: a heap of cursors, and the curtains that the current path may be
 * behind. */
struct walk {
	struct cursor *heap;
	size_t n;
	VEC(struct curtain) curtains;
	size_t floor; /* below the path where the walk begins */
	int (*fn)(void *self, const struct toc_entry *entry, size_t layer);
	void *self;
};

/* By path, upper layers first. */
static bool comes_before(const struct cursor *a, const struct cursor *b)
{
	int c = strcmp(a->at->path, b->at->path);

	return c ? c < 0 : a->layer > b->layer;
}

static void sift_down(struct walk *w, size_t i)
{
	for (;;) {
		size_t child = 2 * i + 1, least = i;
		struct cursor swap = w->heap[i];

		for (size_t k = child; k < child + 2 && k < w->n; k++)
			if (comes_before(&w->heap[k], &w->heap[least]))
				least = k;
		if (least == i)
			return;
		w->heap[i] = w->heap[least];
		w->heap[least] = swap;
		i = least;
	}
}

static void advance(struct walk *w)
{
	if (++w->heap[0].at == w->heap[0].end)
		w->heap[0] = w->heap[--w->n];
	sift_down(w, 0);
}

/* The lowest layer of which something can be seen at `path`. The paths from a curtain's
 * own to the last one below it lie within each other or apart, so a stack is enough; but
 * "a-b", which comes between "a" and "a/b", is not behind the curtain of "a". */
static size_t floor_of(struct walk *w, const char *path)
{
	for (; w->curtains.len; w->curtains.len--) {
		const struct curtain *c = &w->curtains.at[w->curtains.len - 1];

		if (!strncmp(path, c->path, c->len) && path[c->len] <= '/')
			break;
	}
	for (size_t i = w->curtains.len; i-- > 0;)
		if (path[w->curtains.at[i].len] == '/')
			return w->curtains.at[i].floor;
	return w->floor;
}

/* Takes all layers' entries of the path that is next; gives the one that is seen. */
static int visit(struct walk *w)
{
	const char *path = w->heap[0].at->path;
	const struct toc_entry *seen = NULL;
	size_t floor = floor_of(w, path), below = floor, layer = 0;
	bool decided = false;

	for (; w->n && !strcmp(w->heap[0].at->path, path); advance(w)) {
		const struct cursor *c = &w->heap[0];

		if (c->layer < floor)
			continue;
		if (c->at->type != TOC_DIR && c->layer > below)
			below = c->layer;
		if (decided || c->at->type == TOC_OPAQUE)
			continue;
		decided = true;
		seen = c->at->type == TOC_WHITEOUT ? NULL : c->at;
		layer = c->layer;
	}
	if (below > floor && *path) {
		struct curtain c = { path, strlen(path), below };

		vec_push(&w->curtains, c);
	} else if (below > floor) {
		w->floor = below;
	}
	return seen ? w->fn(w->self, seen, layer) : 0;
}

static int walk_ranges(struct walk *w)
{
	int r = 0;

	for (size_t i = w->n; i-- > 0;)
		sift_down(w, i);
	while (w->n && !r)
		r = visit(w);
	return r;
}

static void add_range(struct walk *w, const struct toc *t, size_t from, size_t to,
                      size_t layer)
{
	if (from < to)
		w->heap[w->n++] = (struct cursor){ t->at + from, t->at + to, layer };
}

/* The path itself: others may come between it and what is below. */
static int walk_self(struct walk *w, const struct toc_view *v, const char *path)
{
	size_t n = strlen(path);

	for (size_t i = 0; i < v->n; i++) {
		const struct toc *t = v->layers[i];
		const struct toc_entry *e = at_path(t, path, n);
		size_t from = e ? (size_t)(e - t->at) : 0, to = e ? from + 1 : 0;

		if (e && to < t->n && !strcmp(t->at[to].path, path))
			to++;
		add_range(w, t, from, to, i);
	}
	return walk_ranges(w);
}

static int walk_below(struct walk *w, const struct toc_view *v, const char *path)
{
	AUTO_BUF end = BUF_INIT;

	buf_adds(&end, path);
	buf_addc(&end, '/' + 1);
	for (size_t i = 0; i < v->n; i++) {
		const struct toc *t = v->layers[i];
		size_t from = first_below(t, path);
		size_t to = *path ? toc_lower_bound(t, end.s, end.len) : t->n;

		while (!*path && from < to && !*t->at[from].path)
			from++;
		add_range(w, t, from, to, i);
	}
	return walk_ranges(w);
}

int toc_view_walk(const struct toc_view *v, const char *path,
                  int (*fn)(void *self, const struct toc_entry *entry, size_t layer),
                  void *self)
{
	struct walk w = { .heap = mem_alloc(v->n * sizeof(struct cursor)),
		          .fn = fn,
		          .self = self };
	int r;

	for (size_t i = 0; i < v->n; i++)
		if (hides(v->layers[i], path))
			w.floor = i;
	r = walk_self(&w, v, path);
	if (!r)
		r = walk_below(&w, v, path);
	free(w.heap);
	vec_fini(&w.curtains);
	return r;
}

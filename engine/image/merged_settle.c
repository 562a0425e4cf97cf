/* Where a layer's names lead. Applied in order, a layer's "lib/x" goes through whatever
 * "lib" is by then: in images whose /lib is a symlink, to "usr/lib/x". After settling, no
 * entry has a symlink above it, so that the merge can take paths as they are written. */
#include <string.h>

#include "base/map.h"
#include "image/merged.h"

enum { ROUNDS_MAX = 40 }; /* as many as the kernel follows symlinks */

/* The value of directories in `known` that are where they say they are. */
static const char unmoved[] = "";

struct settling {
	const struct toc_view *view;
	struct arena *arena;
	struct map known; /* directories, and where they lead */
};

static size_t parent_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) : 0;
}

/* Whether there may be something else than a directory: quick, as asking the view about
 * what no layer has an entry for is not. */
static bool may_lead_away(const struct toc_view *v, const char *path)
{
	for (size_t i = 0; i < v->n; i++) {
		const struct toc_entry *t = toc_find(v->layers[i], path);

		if (t && t->type != TOC_DIR)
			return true;
	}
	return false;
}

/* One step down: `path` is a directory's, whose parent leads to `above`. */
static int step(struct settling *s, const char *path, const char *above, const char **out,
                struct err *e)
{
	const char *name = path + parent_length(path);
	const struct toc_entry *there = NULL;
	AUTO_BUF at = BUF_INIT;
	AUTO_BUF to = BUF_INIT;

	buf_adds(&at, above == unmoved ? path : above);
	if (above != unmoved)
		buf_adds(&at, name + (!at.len && *name == '/'));
	if (may_lead_away(s->view, at.s))
		there = toc_view_find(s->view, at.s, NULL);
	if (!there || there->type == TOC_DIR) {
		*out = above == unmoved ? unmoved : arena_strdup(s->arena, at.s);
		return 0;
	}
	if (there->type != TOC_SYMLINK)
		return err_set(e, ERR_INVALID, "/%.300s is not a directory", at.s);
	buf_addc(&at, '/');
	if (toc_view_resolve(s->view, at.s, true, &to, NULL, e) < 0)
		return -1;
	*out = arena_strdup(s->arena, to.s);
	return 0;
}

/* Where the n bytes at `dir` lead; NULL: just there. Goes on from what is known of the
 * directories above, since a path may have 2,000 of them. */
static int settle_dir(struct settling *s, const char *dir, size_t n, const char **out,
                      struct err *e)
{
	AUTO_BUF path = BUF_INIT;
	const char *at = NULL;

	buf_add(&path, dir, n);
	while (path.len && !(at = map_get(&s->known, path.s)))
		buf_truncate(&path, parent_length(path.s));
	if (!path.len)
		at = unmoved;
	while (path.len < n) {
		size_t slash = path.len > 0;
		const char *name = dir + path.len + slash;
		size_t left = (size_t)(dir + n - name);
		const char *end = memchr(name, '/', left);

		buf_add(&path, name - slash, slash + (end ? (size_t)(end - name) : left));
		if (step(s, path.s, at, &at, e) < 0)
			return -1;
		map_put(&s->known, path.s, (char *)at);
	}
	*out = at == unmoved ? NULL : at;
	return 0;
}

/* 1: *path was made another one, 0: it was right, -1. With `whole` the last name is
 * followed too. */
static int settle_path(struct settling *s, const char **path, bool whole, struct err *e)
{
	size_t n = whole ? strlen(*path) : parent_length(*path);
	const char *dir = NULL, *name = *path + n + (n && !whole);
	AUTO_BUF made = BUF_INIT;

	if (settle_dir(s, *path, n, &dir, e) < 0)
		return -1;
	if (!dir || (strlen(dir) == n && !memcmp(dir, *path, n)))
		return 0;
	buf_adds(&made, dir);
	if (*dir && *name)
		buf_addc(&made, '/');
	buf_adds(&made, name);
	if (!toc_path_valid(made.s, made.len))
		return err_set(e, ERR_INVALID,
		               "'%.200s' leads to '%.200s', which is no path of a layer",
		               *path, made.s);
	*path = arena_strdup(s->arena, made.s);
	return 1;
}

static int settle_entry(struct settling *s, struct toc_entry *t, struct err *e)
{
	int changed = settle_path(s, &t->path, t->type == TOC_OPAQUE, e), link = 0;

	if (changed >= 0 && t->type == TOC_HARDLINK)
		link = settle_path(s, &t->link, false, e);
	if (changed < 0 || link < 0)
		return -1;
	return changed || link;
}

/* Makes the entries of the next round in `next`. 1 if one differs. */
static int settle_round(struct settling *s, const struct toc *from, struct toc *next,
                        struct err *e)
{
	int any = 0, changed;

	for (size_t i = 0; i < from->n; i++) {
		struct toc_entry t = from->at[i];

		changed = settle_entry(s, &t, e);
		/* What a mark could hide is not there if its directory is none. */
		if (changed < 0 && (t.type == TOC_WHITEOUT || t.type == TOC_OPAQUE)) {
			any = 1;
			continue;
		}
		if (changed < 0)
			return -1;
		any |= changed;
		next->at[next->n++] = t;
	}
	return any;
}

int merged_settle(struct toc *real, const struct toc_view *upto, struct arena *arena,
                  struct err *e)
{
	/* One round is not enough where a layer's own symlinks moved. */
	for (int round = 0; round < ROUNDS_MAX; round++) {
		struct settling s = { upto, arena, MAP_INIT };
		struct toc next = TOC_INIT;
		int any;

		next.cap = real->n;
		next.at = mem_grow(NULL, real->n ? real->n : 1, sizeof(*next.at));
		any = settle_round(&s, real, &next, e);
		map_fini(&s.known);
		if (any <= 0) {
			toc_fini(&next);
			return any;
		}
		toc_fini(real);
		*real = next;
		toc_sort(real);
	}
	return err_set(e, ERR_INVALID, "the layer's symlinks lead nowhere");
}

#include "sandbox/diff.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "base/path.h"
#include "os/walk.h"
#include "sandbox/diff_entry.h"
#include "sandbox/layer_plan.h"

static const char opaque_name[] = ".wh..wh..opq";

/* Names of one inode. */
struct names {
	struct toc_entry t;
	bool changed;
	VEC(const char *) at;
};

struct reading {
	const struct diff_options *o;
	struct diff *d;
	struct arena arena;
	struct map stubs;
	VEC(struct toc_entry) stub_dirs; /* seen, and not below */
	struct map gone;                 /* paths in d->removed */
	const char *whole; /* the directory we are in, of which nothing below shows */
	VEC(const char *) wholes; /* such directories that are below too */
	struct map there;         /* paths in such directories → &is_dir or &is_other */
	struct map inodes;        /* with several names: "dev:ino" → struct names */
};

static const char is_dir[] = "d", is_other[] = "o";

static void set(struct map *m, const char *path, const void *value)
{
	map_put(m, path, (void *)value); /* only compared */
}

/* What is below, with hard links resolved; or NULL. */
static const struct toc_entry *below(const struct reading *r, const char *path)
{
	size_t layer;
	const struct toc_entry *t = toc_view_find(&r->o->lower, path, &layer);

	return t ? layer_link_target(&r->o->lower, t, &layer) : NULL;
}

static void remove_path(struct reading *r, const char *path)
{
	struct toc_entry t = { .path = path, .type = TOC_WHITEOUT };

	if (map_get(&r->gone, path))
		return;
	set(&r->gone, path, is_other);
	toc_add(&r->d->removed, &t);
}

static void put(struct reading *r, const struct toc_entry *t)
{
	toc_add(&r->d->entries, t);
}

/* Owners inside are all ours: what was there keeps its own, and what unpacking took for
 * want of it. */
static void flatten(struct toc_entry *t, const struct toc_entry *old)
{
	t->uid = old ? old->uid : 0;
	t->gid = old ? old->gid : 0;
	if (old && (old->uid || old->gid) && t->mode == (old->mode & ~06000u))
		t->mode = old->mode;
}

static bool hides_directory(const struct toc_entry *t, const struct toc_entry *old)
{
	return old && (t->type == TOC_DIR) != (old->type == TOC_DIR);
}

/* A file that has other names too is part of the difference if any of them is, or if
 * there are two: they were made one by the step, since copying up parts them. */
static void add_name(struct reading *r, const struct stat *st, const struct toc_entry *t,
                     bool changed)
{
	char key[64];
	struct names *n;

	snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)st->st_dev,
	         (unsigned long long)st->st_ino);
	n = map_get(&r->inodes, key);
	if (!n) {
		n = arena_alloc(&r->arena, sizeof(*n));
		n->t = *t;
		map_put(&r->inodes, key, n);
	}
	n->changed |= changed;
	vec_push(&n->at, t->path);
}

static int visit_file(struct reading *r, const struct walk_entry *w, struct toc_entry *t,
                      const struct toc_entry *old, struct err *e)
{
	bool changed;

	if (t->type == TOC_FILE && diff_entry_hash(t, w->dir, w->name, e) < 0)
		return -1;
	if (hides_directory(t, old))
		remove_path(r, t->path);
	changed = !old || !diff_entry_same(t, old);
	if (t->type == TOC_FILE && w->st.st_nlink > 1)
		add_name(r, &w->st, t, changed);
	else if (changed)
		put(r, t);
	return 0;
}

static void visit_dir(struct reading *r, const struct toc_entry *t,
                      const struct toc_entry *old, bool opaque)
{
	bool merged = old && old->type == TOC_DIR;

	if (hides_directory(t, old))
		remove_path(r, t->path);
	if (!old || !diff_entry_same(t, old))
		put(r, t);
	if (r->whole || (merged && !opaque))
		return;
	r->whole = t->path;
	if (merged)
		vec_push(&r->wholes, t->path);
}

/* So that its bytes can be packed from outside. What it was is in the entry. */
static int open_up(const struct reading *r, const struct walk_entry *w,
                   enum toc_type type, struct err *e)
{
	mode_t mode = w->st.st_mode & 07777,
	       want = type == TOC_DIR ? 0755 : (mode & 0777) | 0444;

	if (!r->o->inside.call || mode == want || (type != TOC_DIR && type != TOC_FILE))
		return 0;
	if (fchmodat(w->dir, w->name, want, 0) < 0)
		return err_sys(e, "open /%s for packing", w->path);
	return 0;
}

static int refuse_name(const char *path, struct err *e)
{
	AUTO_BUF shown = BUF_INIT;

	buf_add_printable(&shown, path, strlen(path));
	return err_set(
		e, ERR_INVALID,
		"the step made /%.400s; in a layer, names that begin with .wh. remove files, so "
		"none may be made",
		shown.s);
}

/* 1: it is a mark of fuse-overlayfs, and done with. */
static int visit_wh_name(struct reading *r, const struct walk_entry *w, struct err *e)
{
	AUTO_BUF hidden = BUF_INIT;

	if (strncmp(w->name, ".wh.", 4) != 0)
		return 0;
	if (r->o->kind != DIFF_FUSE_OVERLAY || S_ISDIR(w->st.st_mode))
		return refuse_name(w->path, e);
	if (!strcmp(w->name, opaque_name))
		return 1;
	buf_add(&hidden, w->path, strlen(w->path) - strlen(w->name));
	buf_adds(&hidden, w->name + 4);
	if (!r->whole && toc_view_find(&r->o->lower, hidden.s, NULL))
		remove_path(r, hidden.s);
	return 1;
}

/* What is no entry: marks, stubs, sockets. 1: done with. */
static int visit_others(struct reading *r, const struct walk_entry *w,
                        const struct toc_entry *t, const struct toc_entry *old,
                        unsigned marks, struct err *e)
{
	bool null = t->type == TOC_CHAR && !t->dev_major && !t->dev_minor;

	if (marks & DIFF_REDIRECT)
		return err_set(
			e, ERR_INVALID,
			"/%s is in part elsewhere: overlayfs was mounted with redirect_dir or "
			"metacopy",
			t->path);
	if (null && r->o->kind == DIFF_COPY)
		return err_set(
			e, ERR_INVALID,
			"the step made /%s, a character device 0:0, which no layer can hold",
			t->path);
	if (null || (marks & DIFF_WHITEOUT) || !t->type) {
		if (old && !r->whole)
			remove_path(r, t->path);
		return 1;
	}
	if (old || !map_get(&r->stubs, t->path))
		return 0;
	if (t->type == TOC_DIR)
		vec_push(&r->stub_dirs, *t);
	return t->type == TOC_DIR ? open_up(r, w, TOC_DIR, e) < 0 ? -1 : 1 : 1;
}

static int is_opaque(const struct reading *r, const struct walk_entry *w, unsigned marks)
{
	AUTO_BUF mark = BUF_INIT;
	struct stat st;

	if (marks & DIFF_OPAQUE)
		return true;
	if (r->o->kind != DIFF_FUSE_OVERLAY || !S_ISDIR(w->st.st_mode))
		return false;
	buf_addf(&mark, "%s/%s", w->name, opaque_name);
	return fstatat(w->dir, mark.s, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static unsigned believed(const struct reading *r)
{
	switch (r->o->kind) {
	case DIFF_OVERLAY: return DIFF_TRUSTED;
	case DIFF_OVERLAY_USER: return DIFF_USER;
	case DIFF_FUSE_OVERLAY: return DIFF_TRUSTED | DIFF_USER | DIFF_FUSE;
	case DIFF_COPY: break;
	}
	return 0;
}

static int visit_entry(struct reading *r, const struct walk_entry *w, struct err *e)
{
	struct toc_entry t = { .path = arena_strdup(&r->arena, w->path),
		               .mtime = r->o->mtime };
	const struct diff_reader how = { believed(r), &r->arena };
	const struct toc_entry *old = below(r, t.path);
	unsigned marks;
	int rc = 0;

	if (!toc_path_valid(t.path, strlen(t.path)))
		return err_set(e, ERR_INVALID,
		               "the step made a path of %zu bytes, too long for a layer",
		               strlen(t.path));
	if (diff_entry_read(&t, w->dir, w->name, &w->st, &how, &marks, e) < 0)
		return -1;
	rc = visit_others(r, w, &t, old, marks, e);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (r->o->flat)
		flatten(&t, old);
	if (r->whole)
		set(&r->there, t.path, t.type == TOC_DIR ? is_dir : is_other);
	if (t.type == TOC_DIR)
		visit_dir(r, &t, old, is_opaque(r, w, marks));
	else if (visit_file(r, w, &t, old, e) < 0)
		return -1;
	return open_up(r, w, t.type, e);
}

static enum walk_next visit(void *self, const struct walk_entry *w, struct err *e)
{
	struct reading *r = self;
	int rc;

	if (r->whole && !path_below(w->path, r->whole))
		r->whole = NULL;
	rc = visit_wh_name(r, w, e);
	if (rc == 0)
		rc = visit_entry(r, w, e);
	return rc < 0 ? WALK_ERROR : WALK_ON;
}

/* The root, which the walk does not come to. */
static int visit_root(struct reading *r, struct err *e)
{
	struct walk_entry w = { .path = "", .name = ".", .dir = r->o->upper };
	struct toc_entry t = { .path = "", .mtime = r->o->mtime };
	const struct toc_entry *old = toc_view_find(&r->o->lower, "", NULL);
	const struct diff_reader how = { believed(r), &r->arena };
	unsigned marks;

	if (fstat(r->o->upper, &w.st) < 0)
		return err_sys(e, "stat /");
	if (diff_entry_read(&t, w.dir, w.name, &w.st, &how, &marks, e) < 0)
		return -1;
	if (r->o->flat)
		flatten(&t, old);
	visit_dir(r, &t, old, r->o->kind == DIFF_COPY || is_opaque(r, &w, marks));
	return open_up(r, &w, TOC_DIR, e);
}

/* Looks for one entry of below in a directory that hides them all. Of what is missing,
 * the topmost directory is removed. */
static int find_missing(void *self, const struct toc_entry *t, size_t layer)
{
	struct reading *r = self;
	const char *path = t->path, *end = path + strlen(r->whole);

	(void)layer;
	if (!*end)
		return 0;
	for (end = strchr(*r->whole ? end + 1 : end, '/');; end = strchr(end + 1, '/')) {
		AUTO_FREE char *part =
			end ? mem_strndup(path, (size_t)(end - path)) : mem_strdup(path);
		const char *there = map_get(&r->there, part);

		if (there == is_other || map_get(&r->gone, part))
			return 0; /* and whatever was below it is gone with it */
		if (!there && !end && r->o->no_devices &&
		    (t->type == TOC_CHAR || t->type == TOC_BLOCK))
			return 0;
		if (!there)
			remove_path(r, part);
		if (!there || !end)
			return 0;
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The first of a file's names in the order of the layer has the bytes. */
static void put_names(struct reading *r)
{
	for (size_t i = 0; i < r->inodes.len; i++) {
		struct names *n = r->inodes.at[i].value;
		struct toc_entry t = n->t;

		if (n->changed || n->at.len > 1) {
			qsort(n->at.at, n->at.len, sizeof(*n->at.at), by_text);
			t.path = n->at.at[0];
			put(r, &t);
			t.type = TOC_HARDLINK;
			t.link = n->at.at[0];
			t.size = 0;
			t.digest = (struct digest){ { 0 } };
		}
		for (size_t k = 1; k < n->at.len; k++) {
			t.path = n->at.at[k];
			put(r, &t);
		}
		vec_fini(&n->at);
	}
}

static bool has_below(const struct toc *t, const char *path)
{
	AUTO_BUF dir = BUF_INIT;
	size_t i;

	buf_addf(&dir, "%s/", path);
	i = toc_lower_bound(t, dir.s, dir.len);
	return i < t->n && !strncmp(t->at[i].path, dir.s, dir.len);
}

/* Directories made for a mount that the step put something else into. */
static void put_stub_dirs(struct reading *r)
{
	toc_sort(&r->d->entries);
	for (size_t i = r->stub_dirs.len; i-- > 0;) {
		struct toc_entry *t = &r->stub_dirs.at[i];

		if (!has_below(&r->d->entries, t->path))
			continue;
		if (r->o->flat)
			flatten(t, NULL);
		put(r, t);
		toc_sort(&r->d->entries);
	}
	toc_sort(&r->d->removed);
}

static void take_stubs(struct reading *r)
{
	for (size_t i = 0; r->o->stubs && i < r->o->stubs->len; i++) {
		AUTO_BUF path = BUF_INIT;

		path_clean(&path, r->o->stubs->at[i]);
		set(&r->stubs, path.s + (path.s[0] == '/'), is_other);
	}
}

static int read_all(struct reading *r, struct err *e)
{
	struct walk_options w = { .visit = visit, .self = r };

	take_stubs(r);
	if (visit_root(r, e) < 0 || walk(r->o->upper, ".", &w, e) < 0)
		return -1;
	for (size_t i = 0; i < r->wholes.len; i++) {
		r->whole = r->wholes.at[i];
		toc_view_walk(&r->o->lower, r->whole, find_missing, r);
	}
	put_names(r);
	put_stub_dirs(r);
	return 0;
}

int diff_read_here(struct diff *d, const struct diff_options *o, struct err *e)
{
	struct reading r = { .o = o, .d = d };
	int rc = read_all(&r, e);

	for (size_t i = 0; rc < 0 && i < r.inodes.len; i++) {
		struct names *n = r.inodes.at[i].value;

		vec_fini(&n->at);
	}
	map_fini(&r.stubs);
	map_fini(&r.gone);
	map_fini(&r.there);
	map_fini(&r.inodes);
	vec_fini(&r.stub_dirs);
	vec_fini(&r.wholes);
	arena_fini(&r.arena);
	return rc;
}

#include "sandbox/layer_plan.h"

#include <stdlib.h>
#include <string.h>

#include "image/merged.h"

enum {
	LINKS_MAX = 40,
	DIR_MTIME = 315619200, /* 1980, as everything of no date of its own */
};

struct planning {
	struct layer_plan *p;
	struct toc_view below, all;
	struct hasher extra; /* what the layers below decide */
	bool depends;
	struct err *e;
};

/* A copy that borrows the table's strings. */
static void make_real(struct layer_plan *p)
{
	const struct toc *table = p->item.toc;

	p->real = (struct toc)TOC_INIT;
	p->real.at = mem_grow(NULL, table->n ? table->n : 1, sizeof(*p->real.at));
	p->real.n = p->real.cap = table->n;
	for (size_t i = 0; i < table->n; i++) {
		p->real.at[i] = table->at[i];
		p->real.at[i].offset = (int64_t)i;
	}
}

static void depend(struct planning *k, const char *how, const char *path)
{
	k->depends = true;
	hasher_str(&k->extra, how);
	hasher_str(&k->extra, path);
}

static void depend_on(struct planning *k, const char *how, const struct toc_entry *t,
                      const char *path)
{
	depend(k, how, path);
	hasher_int(&k->extra, t->type);
	hasher_int(&k->extra, t->mode);
	hasher_int(&k->extra, t->uid);
	hasher_int(&k->extra, t->gid);
	hasher_int(&k->extra, t->mtime);
	hasher_int(&k->extra, t->dev_major);
	hasher_int(&k->extra, t->dev_minor);
	hasher_str(&k->extra, t->link);
	hasher_digest(&k->extra, &t->digest);
	hasher_int(&k->extra, (int64_t)t->n_xattrs);
	for (size_t i = 0; i < t->n_xattrs; i++) {
		hasher_str(&k->extra, t->xattrs[i].name);
		hasher_field(&k->extra, t->xattrs[i].value, t->xattrs[i].size);
	}
}

/* Names that settling moved. */
static void depend_on_moves(struct planning *k)
{
	const struct toc *table = k->p->item.toc, *real = &k->p->real;

	if (real->n != table->n)
		depend(k, "fewer", "");
	for (size_t i = 0; i < real->n; i++) {
		const struct toc_entry *was = &table->at[real->at[i].offset];

		if (strcmp(was->path, real->at[i].path) != 0) {
			depend(k, "moved", was->path);
			hasher_str(&k->extra, real->at[i].path);
		}
		if (was->link && strcmp(was->link, real->at[i].link) != 0) {
			depend(k, "linked", was->path);
			hasher_str(&k->extra, real->at[i].link);
		}
	}
}

static bool hides_below(const struct toc *t, const char *path, size_t n)
{
	for (size_t i = toc_lower_bound(t, path, n); i < t->n; i++) {
		if (strncmp(t->at[i].path, path, n) != 0 || t->at[i].path[n])
			return false;
		if (t->at[i].type != TOC_DIR)
			return true;
	}
	return false;
}

/* Whether what the layers below have at `path` can be seen but for a whiteout of just
 * that. */
static bool shines_through(const struct planning *k, const char *path)
{
	if (!toc_view_find(&k->below, path, NULL) ||
	    (*path && hides_below(&k->p->real, "", 0)))
		return false;
	for (const char *s = strchr(path, '/'); s; s = strchr(s + 1, '/'))
		if (hides_below(&k->p->real, path, (size_t)(s - path)))
			return false;
	return true;
}

/* Whether the layer puts something into the directory. */
static bool has_below(const struct toc *t, const char *path)
{
	AUTO_BUF dir = BUF_INIT;

	buf_addf(&dir, "%s/", path);
	for (size_t i = toc_lower_bound(t, dir.s, dir.len); i < t->n; i++) {
		if (strncmp(t->at[i].path, dir.s, dir.len) != 0)
			return false;
		if (t->at[i].type != TOC_WHITEOUT && t->at[i].type != TOC_OPAQUE)
			return true;
	}
	return false;
}

const struct toc_entry *layer_link_target(const struct toc_view *v,
                                          const struct toc_entry *t, size_t *layer)
{
	bool linked = t->type == TOC_HARDLINK;

	for (int i = 0; t && t->type == TOC_HARDLINK; i++) {
		struct toc_view upto = { v->layers, *layer + 1 };

		if (i == LINKS_MAX)
			return NULL;
		t = toc_view_find(&upto, t->link, layer);
	}
	return t && !(linked && t->type == TOC_DIR) ? t : NULL;
}

static int add_node(struct planning *k, const struct toc_entry *t)
{
	struct layer_name name = { .t = *t, .layer = k->below.n };
	const struct toc_entry *node = t;

	if (t->type == TOC_HARDLINK) {
		node = layer_link_target(&k->all, t, &name.layer);
		if (!node)
			return err_set(
				k->e, ERR_INVALID,
				"'%.300s' is a hard link to '%.300s', which is no file",
				t->path, t->link);
		name.t = *node;
		name.t.path = t->path;
		k->p->borrows |= name.layer != k->below.n;
		if (name.layer != k->below.n)
			depend_on(k, "hard link", node, t->path);
	}
	name.index = (size_t)node->offset;
	vec_push(&k->p->names, name);
	return 0;
}

static int add_entries(struct planning *k)
{
	const struct toc *real = &k->p->real;

	for (size_t i = 0; i < real->n; i++) {
		const struct toc_entry *t = &real->at[i];
		bool mark = t->type == TOC_WHITEOUT || t->type == TOC_OPAQUE;

		/* What hides nothing would make directories that are not there, and a
		 * whiteout in a directory that has nothing below shows up in listings. */
		if (mark && !shines_through(k, t->path)) {
			depend(k, "hides nothing", t->path);
			continue;
		}
		if (t->type == TOC_OPAQUE || (mark && has_below(real, t->path)))
			vec_push(&k->p->opaque, t->path);
		else if (add_node(k, t) < 0)
			return -1;
	}
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct layer_name *)a)->t.path,
	              ((const struct layer_name *)b)->t.path);
}

static const struct layer_name *find(const struct layer_plan *p, size_t n,
                                     const char *path)
{
	struct layer_name key = { .t = { .path = path } };

	return n ? bsearch(&key, p->names.at, n, sizeof(key), by_path) : NULL;
}

/* A directory that the layer has no entry for: as the layers below have it. */
static void add_dir(struct planning *k, const char *path)
{
	struct layer_name name = {
		.t = { .path = path, .type = TOC_DIR, .mode = 0755, .mtime = DIR_MTIME }
	};
	const struct toc_entry *old = toc_view_find(&k->all, path, NULL);

	if (old && old->type == TOC_DIR) {
		name.t.mode = old->mode;
		name.t.uid = old->uid;
		name.t.gid = old->gid;
		name.t.xattrs = old->xattrs;
		name.t.n_xattrs = old->n_xattrs;
		if (old->mode != 0755 || old->uid || old->gid || old->n_xattrs)
			depend_on(k, "directory", &name.t, path);
	}
	vec_push(&k->p->names, name);
}

/* The directories above `path`, the root among them, that are not among the first `n`
 * names. */
static int imply(struct planning *k, size_t n, const char *path)
{
	for (const char *end = path; end;
	     end = strchr(end == path ? path : end + 1, '/')) {
		AUTO_FREE char *dir = mem_strndup(path, (size_t)(end - path));
		const struct layer_name *there = find(k->p, n, dir);

		if (there && there->t.type != TOC_DIR)
			return err_set(
				k->e, ERR_INVALID,
				"'%.300s' is below '%.300s', which is no directory", path,
				dir);
		if (!there)
			add_dir(k, arena_strdup(&k->p->arena, dir));
	}
	return 0;
}

static bool same_directory(const char *a, const char *b)
{
	const char *end = strrchr(a, '/');
	size_t n = end ? (size_t)(end - a) + 1 : 0;

	return *a && !strncmp(a, b, n) && !strchr(b + n, '/');
}

static void sort_names(struct layer_plan *p)
{
	size_t kept = 0;

	qsort(p->names.at, p->names.len, sizeof(*p->names.at), by_path);
	for (size_t i = 0; i < p->names.len; i++) /* several may have implied the same one
	                                           */
		if (!kept || by_path(&p->names.at[kept - 1], &p->names.at[i]) != 0)
			p->names.at[kept++] = p->names.at[i];
	p->names.len = kept;
}

static int add_implied(struct planning *k)
{
	struct layer_plan *p = k->p;
	size_t n = p->names.len;
	const char *last = ""; /* whose directories were looked at */

	for (size_t i = 0; i < n; i++) {
		const char *path = p->names.at[i].t.path;

		if (*path && !same_directory(last, path) && imply(k, n, path) < 0)
			return -1;
		last = path;
	}
	for (size_t i = 0; i < p->opaque.len; i++) {
		AUTO_BUF inside = BUF_INIT;

		buf_addf(&inside, "%s/x", p->opaque.at[i]);
		if (imply(k, n, *p->opaque.at[i] ? inside.s : "x") < 0)
			return -1;
	}
	if (!find(p, n, ""))
		add_dir(k, "");
	sort_names(p);
	return 0;
}

struct shown {
	size_t layer, index, name;
};

static int by_content(const void *a, const void *b)
{
	const struct shown *x = a, *y = b;

	if (x->layer != y->layer)
		return x->layer < y->layer ? -1 : 1;
	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return x->name < y->name ? -1 : x->name > y->name;
}

/* Names of the same file find each other. */
static void join_links(struct layer_plan *p)
{
	VEC(struct shown) files = { 0 };

	for (size_t i = 0; i < p->names.len; i++) {
		struct layer_name *name = &p->names.at[i];
		struct shown s = { name->layer, name->index, i };

		name->first = i;
		if (name->t.type == TOC_FILE)
			vec_push(&files, s);
	}
	if (files.len)
		qsort(files.at, files.len, sizeof(*files.at), by_content);
	for (size_t i = 1; i < files.len; i++) {
		const struct shown *last = &files.at[i - 1], *s = &files.at[i];

		if (last->layer == s->layer && last->index == s->index)
			p->names.at[s->name].first = p->names.at[last->name].first;
	}
	vec_fini(&files);
}

static int plan(struct planning *k)
{
	struct layer_plan *p = k->p;

	depend_on_moves(k);
	if (add_entries(k) < 0 || add_implied(k) < 0)
		return -1;
	join_links(p);
	return 0;
}

int layer_plan_make(struct layer_plan *p, const struct layers_item *item,
                    const struct toc **reals, size_t n, struct err *e)
{
	struct planning k = {
		.p = p, .below = { reals, n }, .all = { reals, n + 1 }, .e = e
	};
	int rc;

	*p = (struct layer_plan){ .item = *item };
	make_real(p);
	reals[n] = &p->real;
	if (merged_settle(&p->real, &k.all, &p->arena, e) < 0)
		return -1;
	hasher_init(&k.extra);
	hasher_str(&k.extra, "layer directory");
	hasher_digest(&k.extra, &item->diff_id);
	rc = plan(&k);
	hasher_end(&k.extra, &p->key);
	if (!k.depends)
		p->key = item->diff_id;
	return rc;
}

void layer_plan_strip(struct layer_plan *p)
{
	vec_fini(&p->names);
	vec_fini(&p->opaque);
}

void layer_plan_fini(struct layer_plan *p)
{
	layer_plan_strip(p);
	toc_fini(&p->real);
	arena_fini(&p->arena);
}

#include "image/merged.h"

#include <string.h>

#include "base/map.h"
#include "image/tar_reader.h"

enum {
	LINKS_MAX = 40,
	DIR_MTIME = 315619200, /* 1980, as everything of no date of its own */
};

static const struct toc_entry implied_dir = {
	.path = "",
	.type = TOC_DIR,
	.mode = 0755,
	.mtime = DIR_MTIME,
};

struct scanned {
	struct toc *table;
	struct digest diff_id;
};

static int scan(void *self, struct source *in, enum codec codec, struct err *e)
{
	struct scanned *s = self;

	return layer_scan(in, codec, NULL, s->table, &s->diff_id, e);
}

static int check_diff_id(struct blobs *store, const struct image *im, size_t i,
                         const struct digest *got, struct err *e)
{
	const struct digest *blob = &im->manifest.layers[i].digest;
	struct digest want;

	config_diff_id(&im->config, i, &want);
	if (digest_equal(&want, got))
		return 0;
	if (blobs_verify(store, blob, e) < 0)
		return -1;
	return err_set(e, ERR_CORRUPT, "layer %s holds %s, but the image says %s",
	               DIGEST_STR(blob), DIGEST_STR(got), DIGEST_STR(&want));
}

int merged_open(struct merged *m, struct blobs *store, const struct image *im,
                struct err *e)
{
	*m = (struct merged){ .n_layers = im->manifest.n_layers };
	m->layers = mem_alloc(m->n_layers * sizeof(*m->layers) + 1);
	for (size_t i = 0; i < m->n_layers; i++) {
		struct scanned s = { .table = &m->layers[i].table };

		m->layers[i].table = (struct toc)TOC_INIT;
		if (merged_stream(store, im, i, scan, &s, e) < 0 ||
		    check_diff_id(store, im, i, &s.diff_id, e) < 0)
			return -1;
	}
	return merged_make(m, e);
}

void merged_fini(struct merged *m)
{
	for (size_t i = 0; i < m->n_layers; i++) {
		toc_fini(&m->layers[i].table);
		toc_fini(&m->layers[i].real);
		free(m->layers[i].shown);
	}
	free(m->layers);
	vec_fini(&m->list);
	arena_fini(&m->arena);
	*m = (struct merged){ 0 };
}

/* A copy that borrows the table's strings. */
static void make_real(struct merged_layer *l)
{
	size_t n = l->table.n;

	l->real = (struct toc)TOC_INIT;
	l->real.at = mem_grow(NULL, n ? n : 1, sizeof(*l->real.at));
	l->real.n = l->real.cap = n;
	l->shown = mem_alloc((n ? n : 1) * sizeof(*l->shown));
	for (size_t i = 0; i < n; i++) {
		l->real.at[i] = l->table.at[i];
		l->real.at[i].offset = (int64_t)i;
	}
}

struct making {
	struct merged *m;
	struct toc_view view;
	struct err *e;
};

/* What a hard link stands for. */
static const struct toc_entry *link_target(const struct toc_view *v,
                                           const struct toc_entry *t, size_t *layer)
{
	for (int i = 0; t && t->type == TOC_HARDLINK; i++) {
		struct toc_view upto = { v->layers, *layer + 1 };

		if (i == LINKS_MAX)
			return NULL;
		t = toc_view_find(&upto, t->link, layer);
	}
	return t && t->type != TOC_DIR ? t : NULL;
}

static int add_visible(void *self, const struct toc_entry *t, size_t layer)
{
	struct making *k = self;
	struct merged_entry entry = { .path = t->path, .node = t, .layer = layer };

	if (t->type == TOC_HARDLINK)
		entry.node = link_target(&k->view, t, &entry.layer);
	if (!entry.node)
		return err_set(k->e, ERR_INVALID,
		               "'%.300s' is a hard link to '%.300s', which is no file",
		               t->path, t->link);
	vec_push(&k->m->list, entry);
	return 0;
}

static const struct merged_entry *find(const struct merged_entry *at, size_t n,
                                       const char *path)
{
	while (n) {
		size_t mid = n / 2;
		int c = strcmp(path, at[mid].path);

		if (!c)
			return &at[mid];
		if (c > 0) {
			at += mid + 1;
			n -= mid + 1;
		} else {
			n = mid;
		}
	}
	return NULL;
}

/* Puts the directories above `path` that are missing among the n sorted entries behind
 * them. `made` has those that are there by now, whose own directories are too. */
static int imply(struct merged *m, size_t n, const char *path, struct map *made,
                 struct err *e)
{
	AUTO_BUF dir = BUF_INIT;
	const char *slash;

	buf_adds(&dir, path);
	while ((slash = strrchr(dir.s, '/'))) {
		struct merged_entry entry = { .node = &implied_dir };
		const struct merged_entry *there;

		buf_truncate(&dir, (size_t)(slash - dir.s));
		there = find(m->list.at, n, dir.s);
		if (there && there->node->type != TOC_DIR)
			return err_set(
				e, ERR_INVALID,
				"'%.300s' is below '%.300s', which is no directory", path,
				dir.s);
		if (there || map_get(made, dir.s))
			return 0;
		entry.path = arena_strdup(&m->arena, dir.s);
		map_put(made, dir.s, m);
		vec_push(&m->list, entry);
	}
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct merged_entry *)a)->path,
	              ((const struct merged_entry *)b)->path);
}

static bool same_directory(const char *a, const char *b)
{
	const char *end = strrchr(a, '/');
	size_t n = end ? (size_t)(end - a) + 1 : 0;

	return !strncmp(a, b, n) && !strchr(b + n, '/');
}

static int add_implied(struct merged *m, struct err *e)
{
	struct map made = MAP_INIT;
	size_t n = m->list.len;
	const char *last = ""; /* whose directories were looked at */
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		const char *path = m->list.at[i].path;

		if (!same_directory(last, path))
			rc = imply(m, n, path, &made, e);
		last = path;
	}
	map_fini(&made);
	if (rc == 0 && m->list.len > n)
		qsort(m->list.at, m->list.len, sizeof(*m->list.at), by_path);
	return rc;
}

/* Names of the same file find each other. Other things that have several names, symlinks
 * say, are made anew for each. */
static void join_links(struct merged *m)
{
	for (size_t i = 0; i < m->list.len; i++) {
		struct merged_entry *t = &m->list.at[i];
		size_t *shown;

		t->first = i;
		if (t->node->type != TOC_FILE)
			continue;
		shown = &m->layers[t->layer].shown[t->node->offset];
		if (*shown) {
			t->first = *shown - 1;
			continue;
		}
		*shown = i + 1;
		m->layers[t->layer].files++;
	}
}

int merged_make(struct merged *m, struct err *e)
{
	AUTO_FREE const struct toc **tables =
		mem_alloc((m->n_layers + 1) * sizeof(*tables));
	struct making k = { m, { tables, m->n_layers }, e };

	for (size_t i = 0; i < m->n_layers; i++) {
		struct toc_view upto = { tables, i + 1 };

		make_real(&m->layers[i]);
		tables[i] = &m->layers[i].real;
		if (merged_settle(&m->layers[i].real, &upto, &m->arena, e) < 0)
			return err_wrap(e, "layer %zu", i + 1);
	}
	if (toc_view_walk(&k.view, "", add_visible, &k) < 0 || add_implied(m, e) < 0)
		return -1;
	join_links(m);
	return 0;
}

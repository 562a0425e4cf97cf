/* imgmake size: where an image's bytes are, and which of them nobody can see. */
#include <stdlib.h>
#include <string.h>

#include "cmd/commands.h"
#include "cmd/opened.h"
#include "cmd/table.h"

enum { FILES_SHOWN = 10 };

struct sized_file {
	const struct toc_entry *entry;
	size_t layer;
	bool wasted;  /* a later layer replaces or removes it */
	bool removed; /* of a wasted one: there is nothing in its place */
};

struct sized_layer {
	int64_t files, wasted; /* bytes, unpacked */
};

struct sizes {
	const struct opened *image;
	struct sized_layer *layers;
	size_t n_layers;
	VEC(struct sized_file) files; /* the largest first, then by path */
};

static int larger(const void *a, const void *b)
{
	const struct sized_file *x = a, *y = b;

	if (x->entry->size != y->entry->size)
		return x->entry->size > y->entry->size ? -1 : 1;
	if (strcmp(x->entry->path, y->entry->path) != 0)
		return strcmp(x->entry->path, y->entry->path);
	return x->layer < y->layer ? -1 : 1;
}

static void measure(struct sizes *s, const struct opened *image)
{
	struct toc_view view = image_tables_view(&image->tables);

	s->image = image;
	s->n_layers = view.n;
	s->layers = mem_alloc((view.n + 1) * sizeof(*s->layers));
	for (size_t i = 0; i < view.n; i++)
		for (size_t k = 0; k < view.layers[i]->n; k++) {
			const struct toc_entry *t = &view.layers[i]->at[k], *seen;
			struct sized_file f = { .entry = t, .layer = i };
			size_t from = 0;

			if (t->type != TOC_FILE)
				continue;
			seen = toc_view_find(&view, t->path, &from);
			f.removed = !seen;
			f.wasted = !seen || from != i;
			s->layers[i].files += t->size;
			s->layers[i].wasted += f.wasted ? t->size : 0;
			vec_push(&s->files, f);
		}
	if (s->files.len)
		qsort(s->files.at, s->files.len, sizeof(*s->files.at), larger);
}

static void sizes_fini(struct sizes *s)
{
	free(s->layers);
	vec_fini(&s->files);
}

/* What made each layer, by the history; NULL where that does not tell. */
static const char **makers(const struct image *im)
{
	const char **out = mem_alloc((im->manifest.n_layers + 1) * sizeof(*out));
	json_t *entries = json_object_get(im->config.root, "history"), *entry;
	size_t i, layer = 0;

	json_array_foreach(entries, i, entry)
	{
		if (!json_is_true(json_object_get(entry, "empty_layer")) &&
		    layer < im->manifest.n_layers)
			out[layer++] =
				json_string_value(json_object_get(entry, "created_by"));
	}
	return out;
}

static void add_size(struct table *t, int64_t bytes)
{
	AUTO_BUF text = BUF_INIT;

	human_size(&text, bytes);
	table_add(t, text.s);
}

static void layers_text(const struct sizes *s, struct buf *out)
{
	static const char *const columns[] = { ">LAYER",  ">STORED", ">UNPACKED",
		                               ">WASTED", "STEP",    NULL };
	AUTO_FREE const char **by = makers(&s->image->image);
	struct table *t = table_new(columns);

	for (size_t i = 0; i < s->n_layers; i++) {
		table_addf(t, "%zu", i + 1);
		add_size(t, s->image->image.manifest.layers[i].size);
		add_size(t, s->layers[i].files);
		if (s->layers[i].wasted)
			add_size(t, s->layers[i].wasted);
		else
			table_add(t, "");
		table_addf(t, "%.100s", by[i] ? by[i] : "");
	}
	table_write(t, out);
	table_free(t);
}

static void files_text(const struct sizes *s, bool wasted, struct buf *out)
{
	static const char *const columns[] = { ">SIZE", ">LAYER", "FILE", "", NULL };
	struct table *t = table_new(columns);
	size_t shown = 0;

	for (size_t i = 0; i < s->files.len && shown < FILES_SHOWN; i++) {
		const struct sized_file *f = &s->files.at[i];

		if (f->wasted != wasted || !f->entry->size)
			continue;
		add_size(t, f->entry->size);
		table_addf(t, "%zu", f->layer + 1);
		table_addf(t, "/%s", f->entry->path);
		table_add(t, !wasted      ? ""
		             : f->removed ? "removed later"
		                          : "replaced later");
		shown++;
	}
	if (shown) {
		buf_adds(out, wasted ? "\nWasted:\n" : "\nLargest files:\n");
		table_write(t, out);
	}
	table_free(t);
}

static void total(const struct sizes *s, int64_t *stored, int64_t *unpacked,
                  int64_t *wasted)
{
	*stored = *unpacked = *wasted = 0;
	for (size_t i = 0; i < s->n_layers; i++) {
		*stored += s->image->image.manifest.layers[i].size;
		*unpacked += s->layers[i].files;
		*wasted += s->layers[i].wasted;
	}
}

static void sizes_text(const struct sizes *s, struct buf *out)
{
	int64_t stored, unpacked, wasted;

	layers_text(s, out);
	files_text(s, false, out);
	files_text(s, true, out);
	total(s, &stored, &unpacked, &wasted);
	buf_adds(out, "\nIn all ");
	human_size(out, stored);
	buf_adds(out, " stored, ");
	human_size(out, unpacked);
	buf_adds(out, " unpacked, ");
	human_size(out, wasted);
	buf_adds(out, " of it wasted.\n");
}

static json_t *files_json(const struct sizes *s, bool wasted)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->files.len; i++) {
		const struct sized_file *f = &s->files.at[i];
		AUTO_BUF path = BUF_INIT;

		if (f->wasted != wasted ||
		    (!wasted && json_array_size(list) == FILES_SHOWN))
			continue;
		buf_addc(&path, '/');
		buf_add_printable(&path, f->entry->path, strlen(f->entry->path));
		json_array_append_new(list, json_pack("{s:s,s:I,s:I}", "path", path.s,
		                                      "size", (json_int_t)f->entry->size,
		                                      "layer", (json_int_t)f->layer + 1));
	}
	return list;
}

static json_t *sizes_json(const struct sizes *s)
{
	AUTO_FREE const char **by = makers(&s->image->image);
	json_t *layers = json_array();
	int64_t stored, unpacked, wasted;

	for (size_t i = 0; i < s->n_layers; i++)
		json_array_append_new(
			layers,
			json_pack("{s:s,s:I,s:I,s:I,s:s?}", "digest",
		                  DIGEST_STR(&s->image->image.manifest.layers[i].digest),
		                  "stored",
		                  (json_int_t)s->image->image.manifest.layers[i].size,
		                  "unpacked", (json_int_t)s->layers[i].files, "wasted",
		                  (json_int_t)s->layers[i].wasted, "step", by[i]));
	total(s, &stored, &unpacked, &wasted);
	return json_pack("{s:I,s:I,s:I,s:o,s:o,s:o}", "stored", (json_int_t)stored,
	                 "unpacked", (json_int_t)unpacked, "wasted", (json_int_t)wasted,
	                 "layers", layers, "largest", files_json(s, false),
	                 "wasted_files", files_json(s, true));
}

int cmd_size(const struct options *o, struct terminal *t)
{
	struct opened image = { 0 };
	struct sizes sizes = { 0 };
	AUTO_BUF out = BUF_INIT;
	struct session s;
	struct err e;
	int rc;

	if (session_open(&s, o, t,
	                 SESSION_RECIPE_IF_ANY | SESSION_STORE | SESSION_REGISTRY |
	                         SESSION_BUILD,
	                 &e) < 0)
		return session_fail(&s, &e);
	rc = opened_init(&image, &s, o->words.at[0], &e);
	if (rc == 0) {
		measure(&sizes, &image);
		if (o->json)
			session_print_json(&s, sizes_json(&sizes));
		else
			sizes_text(&sizes, &out);
		session_print(&s, &out);
	}
	sizes_fini(&sizes);
	opened_fini(&image);
	return rc < 0 ? session_fail(&s, &e) : session_end(&s, 0);
}

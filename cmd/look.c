/* imgmake list, history, inspect. */
#include <string.h>

#include "cmd/commands.h"
#include "cmd/table.h"
#include "image/image.h"
#include "store/blobs.h"

enum { DOCUMENT_MAX = 16 << 20 };

static json_t *list_json(const struct recipe *r)
{
	json_t *targets = json_array(), *variables = json_array();

	for (size_t i = 0; i < r->n_targets; i++) {
		const struct target *t = r->targets[i];
		json_t *j = json_pack("{s:s,s:s,s:s,s:i}", "name", t->name, "kind",
		                      target_kind_text(t->kind), "file", t->place.file,
		                      "line", t->place.line);

		if (t->from)
			json_object_set_new(j, "from", json_string(t->from->name));
		for (size_t k = 0; t->publish && k < t->publish->repos.n; k++) {
			if (!k)
				json_object_set_new(j, "publish", json_array());
			json_array_append_new(json_object_get(j, "publish"),
			                      json_string(t->publish->repos.at[k]));
		}
		json_array_append_new(targets, j);
	}
	for (size_t i = 0; i < r->n_variables; i++)
		json_array_append_new(variables, json_pack("{s:s,s:s?,s:s?}", "name",
		                                           r->variables[i].name, "value",
		                                           r->variables[i].value, "help",
		                                           r->variables[i].help));
	return json_pack("{s:o,s:o}", "targets", targets, "variables", variables);
}

static bool is_default(const struct recipe *r, const struct target *t)
{
	for (size_t i = 0; i < r->n_defaults; i++)
		if (r->defaults[i] == t)
			return true;
	return !r->n_defaults && t->kind == TARGET_IMAGE;
}

static void list_targets(const struct recipe *r, struct buf *out)
{
	static const char *const columns[] = { "TARGET", "KIND", "FROM", "PUBLISHED AS",
		                               NULL };
	struct table *table = table_new(columns);

	for (size_t i = 0; i < r->n_targets; i++) {
		const struct target *t = r->targets[i];

		table_addf(table, "%s%s", t->name, is_default(r, t) ? " *" : "");
		table_add(table, target_kind_text(t->kind));
		table_add(table, t->from ? t->from->name : "");
		table_add(table, t->publish && t->publish->repos.n
		                         ? t->publish->repos.at[0]
		                         : "");
	}
	table_write(table, out);
	table_free(table);
}

static void list_variables(const struct recipe *r, struct buf *out)
{
	static const char *const columns[] = { "VARIABLE", "VALUE", "MEANING", NULL };
	struct table *table;

	if (!r->n_variables)
		return;
	table = table_new(columns);
	for (size_t i = 0; i < r->n_variables; i++) {
		table_add(table, r->variables[i].name);
		table_add(table,
		          r->variables[i].value ? r->variables[i].value : "(none)");
		table_add(table, r->variables[i].help ? r->variables[i].help : "");
	}
	buf_addc(out, '\n');
	table_write(table, out);
	table_free(table);
}

int cmd_list(const struct options *o, struct terminal *t)
{
	AUTO_BUF out = BUF_INIT;
	struct session s;
	struct err e;

	if (session_open(&s, o, t, SESSION_RECIPE, &e) < 0)
		return session_fail(&s, &e);
	if (o->json) {
		session_print_json(&s, list_json(s.recipe));
		return session_end(&s, 0);
	}
	list_targets(s.recipe, &out);
	list_variables(s.recipe, &out);
	session_print(&s, &out);
	return session_end(&s, 0);
}

enum {
	LOOKS_AT_IMAGES =
		SESSION_RECIPE_IF_ANY | SESSION_STORE | SESSION_REGISTRY | SESSION_BUILD
};

/* A layer for each history entry that made one; -1 where the history says nothing. */
static json_t *history_json(const struct image *im)
{
	json_t *entries = json_object_get(im->config.root, "history"), *entry,
	       *all = json_array();
	size_t i, layer = 0;

	json_array_foreach(entries, i, entry)
	{
		json_t *j = json_object();
		const char *by = NULL;
		struct err e;

		if (json_member_str(entry, "created_by", false, &by, &e) == 0 && by)
			json_object_set_new(j, "step", json_string(by));
		if (!json_is_true(json_object_get(entry, "empty_layer")) &&
		    layer < im->manifest.n_layers) {
			const struct descriptor *d = &im->manifest.layers[layer++];

			json_object_set_new(j, "layer",
			                    json_string(DIGEST_STR(&d->digest)));
			json_object_set_new(j, "size", json_integer(d->size));
		}
		json_array_append_new(all, j);
	}
	for (; layer < im->manifest.n_layers; layer++)
		json_array_append_new(
			all,
			json_pack("{s:s,s:I}", "layer",
		                  DIGEST_STR(&im->manifest.layers[layer].digest), "size",
		                  (json_int_t)im->manifest.layers[layer].size));
	return all;
}

static void history_text(json_t *history, struct buf *out)
{
	static const char *const columns[] = { "LAYER", ">SIZE", "STEP", NULL };
	struct table *table = table_new(columns);
	json_t *entry;
	size_t i;

	json_array_foreach(history, i, entry)
	{
		const char *layer = json_string_value(json_object_get(entry, "layer"));
		const char *step = json_string_value(json_object_get(entry, "step"));
		AUTO_BUF size = BUF_INIT;

		table_addf(table, "%.12s", layer ? layer + 7 : "");
		if (layer)
			human_size(&size,
			           json_integer_value(json_object_get(entry, "size")));
		table_add(table, size.s);
		table_addf(table, "%.200s", step ? step : "");
	}
	table_write(table, out);
	table_free(table);
}

static int open_image(struct session *s, struct image *im, struct descriptor *root,
                      struct err *e)
{
	struct platform p;

	if (session_platform(s, &p, e) < 0 ||
	    session_image(s, s->options->words.at[0], false, root, e) < 0)
		return -1;
	return image_open(im, s->store.blobs, root, &p, e);
}

int cmd_history(const struct options *o, struct terminal *t)
{
	AUTO_BUF out = BUF_INIT;
	struct descriptor root;
	struct session s;
	struct image im;
	struct err e;
	json_t *history;

	if (session_open(&s, o, t, LOOKS_AT_IMAGES, &e) < 0 ||
	    open_image(&s, &im, &root, &e) < 0)
		return session_fail(&s, &e);
	history = history_json(&im);
	image_fini(&im);
	if (o->json) {
		session_print_json(&s, history);
		return session_end(&s, 0);
	}
	history_text(history, &out);
	json_decref(history);
	session_print(&s, &out);
	return session_end(&s, 0);
}

static int read_document(struct session *s, const struct digest *d, json_t **out,
                         struct err *e)
{
	AUTO_BUF body = BUF_INIT;

	if (blobs_read(s->store.blobs, d, DOCUMENT_MAX, &body, e) < 0)
		return -1;
	return json_read(out, body.s, body.len, e);
}

/* The documents as they are: root, and manifest and configuration of the platform. */
static int inspect(struct session *s, json_t **out, struct err *e)
{
	json_t *root = NULL, *manifest = NULL, *config = NULL;
	struct descriptor d;
	struct image im;
	int rc = -1;

	if (open_image(s, &im, &d, e) < 0)
		return -1;
	*out = json_pack("{s:s}", "digest", DIGEST_STR(&d.digest));
	if (read_document(s, &d.digest, &root, e) == 0 &&
	    read_document(s, &im.manifest_desc.digest, &manifest, e) == 0 &&
	    read_document(s, &im.manifest.config.digest, &config, e) == 0) {
		if (!digest_equal(&d.digest, &im.manifest_desc.digest))
			json_object_set(*out, "index", root);
		json_object_set(*out, "manifest", manifest);
		json_object_set(*out, "config", config);
		rc = 0;
	}
	json_decref(root);
	json_decref(manifest);
	json_decref(config);
	image_fini(&im);
	if (rc < 0)
		json_decref(*out);
	return rc;
}

int cmd_inspect(const struct options *o, struct terminal *t)
{
	struct session s;
	struct err e;
	json_t *j;

	if (session_open(&s, o, t, LOOKS_AT_IMAGES, &e) < 0 || inspect(&s, &j, &e) < 0)
		return session_fail(&s, &e);
	session_print_json(&s, j);
	return session_end(&s, 0);
}

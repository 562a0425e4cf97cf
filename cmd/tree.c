/* imgmake tree: images, and the layers that they share. */
#include <string.h>

#include "cmd/commands.h"
#include "image/image.h"

/* A layer, or several that always come together, and what stands on them. */
struct shared {
	VEC(struct descriptor) layers;
	VEC(const char *) images; /* that end here */
	VEC(struct shared *) above;
};

static void shared_free(struct shared *x)
{
	for (size_t i = 0; i < x->above.len; i++)
		shared_free(x->above.at[i]);
	vec_fini(&x->layers);
	vec_fini(&x->images);
	vec_fini(&x->above);
	free(x);
}

/* The branch that begins with the layer; a new one if there is none. */
static struct shared *branch(struct shared *x, const struct descriptor *layer)
{
	struct shared *new;

	for (size_t i = 0; i < x->above.len; i++)
		if (digest_equal(&x->above.at[i]->layers.at[0].digest, &layer->digest))
			return x->above.at[i];
	new = mem_alloc(sizeof(*new));
	vec_push(&new->layers, *layer);
	vec_push(&x->above, new);
	return new;
}

static void add_image(struct shared *root, const char *name, const struct manifest *m)
{
	struct shared *at = root;

	for (size_t i = 0; i < m->n_layers; i++)
		at = branch(at, &m->layers[i]);
	vec_push(&at->images, name);
}

/* What has no branches and no image of its own joins what stands on it. */
static void join(struct shared *x)
{
	while (x->above.len == 1 && !x->images.len && x->layers.len) {
		struct shared *only = x->above.at[0];

		for (size_t i = 0; i < only->layers.len; i++)
			vec_push(&x->layers, only->layers.at[i]);
		vec_fini(&x->above);
		vec_fini(&x->images);
		x->above.at = only->above.at;
		x->above.len = only->above.len;
		x->above.cap = only->above.cap;
		x->images.at = only->images.at;
		x->images.len = only->images.len;
		x->images.cap = only->images.cap;
		vec_fini(&only->layers);
		free(only);
	}
	for (size_t i = 0; i < x->above.len; i++)
		join(x->above.at[i]);
}

static int64_t bytes_of(const struct shared *x)
{
	int64_t n = 0;

	for (size_t i = 0; i < x->layers.len; i++)
		n += x->layers.at[i].size;
	return n;
}

static void add_line(const struct shared *x, struct buf *out)
{
	for (size_t i = 0; i < x->images.len; i++) {
		buf_adds(out, i ? ", " : "");
		buf_add_printable(out, x->images.at[i], strlen(x->images.at[i]));
	}
	if (!x->images.len)
		buf_adds(out, "(shared)");
	buf_adds(out, "  ");
	human_size(out, bytes_of(x));
	buf_addf(out, " in %zu layer%s\n", x->layers.len, x->layers.len == 1 ? "" : "s");
}

static void add_branches(const struct shared *x, const char *before, struct buf *out)
{
	for (size_t i = 0; i < x->above.len; i++) {
		bool last = i + 1 == x->above.len;
		AUTO_BUF deeper = BUF_INIT;

		buf_addf(out, "%s%s ", before, last ? "└─" : "├─");
		add_line(x->above.at[i], out);
		buf_addf(&deeper, "%s%s ", before, last ? "  " : "│ ");
		add_branches(x->above.at[i], deeper.s, out);
	}
}

static void tree_text(const struct shared *root, struct buf *out)
{
	for (size_t i = 0; i < root->above.len; i++) {
		add_line(root->above.at[i], out);
		add_branches(root->above.at[i], "", out);
	}
	for (size_t i = 0; i < root->images.len; i++) {
		buf_add_printable(out, root->images.at[i], strlen(root->images.at[i]));
		buf_adds(out, "  no layers\n");
	}
}

static json_t *tree_json(const struct shared *x)
{
	json_t *layers = json_array(), *images = json_array(), *above = json_array();

	for (size_t i = 0; i < x->layers.len; i++)
		json_array_append_new(
			layers, json_pack("{s:s,s:I}", "digest",
		                          DIGEST_STR(&x->layers.at[i].digest), "size",
		                          (json_int_t)x->layers.at[i].size));
	for (size_t i = 0; i < x->images.len; i++)
		json_array_append_new(images, json_string(x->images.at[i]));
	for (size_t i = 0; i < x->above.len; i++)
		json_array_append_new(above, tree_json(x->above.at[i]));
	return json_pack("{s:o,s:o,s:o}", "layers", layers, "images", images, "above",
	                 above);
}

/* Named ones, or all images of the recipe. */
static int names(struct session *s, struct strlist *out, struct err *e)
{
	const struct strlist *words = &s->options->words;

	for (size_t i = 0; i < words->len; i++)
		strlist_add(out, words->at[i]);
	for (size_t i = 0; !words->len && s->recipe && i < s->recipe->n_targets; i++)
		if (s->recipe->targets[i]->kind == TARGET_IMAGE)
			strlist_add(out, s->recipe->targets[i]->name);
	return out->len ? 0
	                : err_set(e, ERR_INVALID,
	                          "there is no Imagefile with images here; name some");
}

static int add_named(struct session *s, struct shared *root, const char *name,
                     struct err *e)
{
	struct descriptor d;
	struct platform p;
	struct image im;

	if (session_platform(s, &p, e) < 0 || session_image(s, name, false, &d, e) < 0 ||
	    image_open(&im, s->store.blobs, &d, &p, e) < 0)
		return -1;
	add_image(root, name, &im.manifest);
	image_fini(&im);
	return 0;
}

static int print_tree(struct session *s, struct shared *root, const struct strlist *list,
                      struct err *e)
{
	AUTO_BUF out = BUF_INIT;

	for (size_t i = 0; i < list->len; i++)
		if (add_named(s, root, list->at[i], e) < 0)
			return -1;
	for (size_t i = 0; i < root->above.len; i++)
		join(root->above.at[i]);
	if (s->options->json)
		session_print_json(s, tree_json(root));
	else
		tree_text(root, &out);
	session_print(s, &out);
	return 0;
}

int cmd_tree(const struct options *o, struct terminal *t)
{
	AUTO_STRLIST list = STRLIST_INIT;
	struct shared *root;
	struct session s;
	struct err e;
	int rc;

	if (session_open(&s, o, t,
	                 SESSION_RECIPE_IF_ANY | SESSION_STORE | SESSION_REGISTRY |
	                         SESSION_BUILD,
	                 &e) < 0 ||
	    names(&s, &list, &e) < 0)
		return session_fail(&s, &e);
	root = mem_alloc(sizeof(*root));
	rc = print_tree(&s, root, &list, &e);
	shared_free(root);
	return rc < 0 ? session_fail(&s, &e) : session_end(&s, 0);
}

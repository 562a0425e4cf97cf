#include "image/compare.h"

#include <string.h>

#include "base/vec.h"

/* --- Configuration --------------------------------------------------------------------
 */

struct telling {
	compare_fn *fn;
	void *self;
};

static void tell_json(const struct telling *t, const char *what, json_t *was, json_t *is)
{
	AUTO_BUF a = BUF_INIT, b = BUF_INIT;

	if (was)
		json_write(&a, was);
	if (is)
		json_write(&b, is);
	if (!was != !is || (a.len != b.len || memcmp(a.s, b.s, a.len) != 0))
		t->fn(t->self, what, was ? a.s : NULL, is ? b.s : NULL);
}

/* A text as it is, anything else as JSON. */
static void tell_value(const struct telling *t, const char *what, json_t *was, json_t *is)
{
	const char *a = json_string_value(was), *b = json_string_value(is);

	if ((was && !a) || (is && !b))
		tell_json(t, what, was, is);
	else if (!a != !b || (a && strcmp(a, b) != 0))
		t->fn(t->self, what, a, b);
}

static bool said_elsewhere(const char *key)
{
	static const char *const keys[] = { "created", "history", "rootfs", "config",
		                            "Env",     "Labels",  NULL };

	for (size_t i = 0; keys[i]; i++)
		if (!strcmp(key, keys[i]))
			return true;
	return false;
}

/* The members of both objects, those of `was` first. */
static void tell_members(const struct telling *t, const char *prefix, json_t *was,
                         json_t *is)
{
	const char *key;
	json_t *value;

	json_object_foreach(was, key, value)
	{
		AUTO_BUF what = BUF_INIT;

		buf_addf(&what, "%s%s", prefix, key);
		if (!said_elsewhere(key))
			tell_value(t, what.s, value, json_object_get(is, key));
	}
	json_object_foreach(is, key, value)
	{
		AUTO_BUF what = BUF_INIT;

		buf_addf(&what, "%s%s", prefix, key);
		if (!said_elsewhere(key) && !json_object_get(was, key))
			tell_value(t, what.s, NULL, value);
	}
}

/* {"A=b"} as {A: "b"}, in order; the last of several counts. */
static json_t *environment(const struct image_config *c)
{
	json_t *out = json_object(), *line;
	size_t i;

	json_array_foreach(config_get(c, "Env"), i, line)
	{
		const char *s = json_string_value(line);
		size_t n = s ? strcspn(s, "=") : 0;
		AUTO_FREE char *name = mem_strndup(s ? s : "", n);

		if (s)
			json_object_set_new(out, name,
			                    json_string(s[n] ? s + n + 1 : ""));
	}
	return out;
}

static void compare_config(const struct telling *t, const struct image *was,
                           const struct image *is)
{
	AUTO_JSON *env_was = environment(&was->config),
		  *env_is = environment(&is->config);

	tell_members(t, "", was->config.root, is->config.root);
	tell_members(t, "config ", json_object_get(was->config.root, "config"),
	             json_object_get(is->config.root, "config"));
	tell_members(t, "env ", env_was, env_is);
	tell_members(t, "label ", config_get(&was->config, "Labels"),
	             config_get(&is->config, "Labels"));
	tell_members(t, "annotation ", was->manifest.annotations,
	             is->manifest.annotations);
}

/* --- Files -------------------------------------------------------------------------- */

/* What can be seen, in bytewise order. */
struct listing {
	VEC(const struct toc_entry *) at;
};

static int list_entry(void *self, const struct toc_entry *entry, size_t layer)
{
	struct listing *l = self;

	(void)layer;
	vec_push(&l->at, entry);
	return 0;
}

static const char *type_text(enum toc_type type)
{
	switch (type) {
	case TOC_FILE: return "file";
	case TOC_DIR: return "directory";
	case TOC_SYMLINK: return "symlink";
	case TOC_HARDLINK: return "hard link";
	case TOC_CHAR: return "character device";
	case TOC_BLOCK: return "block device";
	case TOC_FIFO: return "FIFO";
	case TOC_WHITEOUT:
	case TOC_OPAQUE: break;
	}
	return "mark";
}

static bool same_link(const struct toc_entry *a, const struct toc_entry *b)
{
	return !a->link == !b->link && (!a->link || !strcmp(a->link, b->link));
}

static void add_attributes(struct buf *out, const struct toc_entry *e)
{
	buf_adds(out, " attributes");
	for (size_t i = 0; i < e->n_xattrs; i++) {
		struct digest d;

		digest_of(&d, e->xattrs[i].value, e->xattrs[i].size);
		buf_addf(out, " %s %.19s", e->xattrs[i].name, DIGEST_STR(&d));
	}
	if (!e->n_xattrs)
		buf_adds(out, " none");
}

/* Says of `e` what `other` has otherwise; of something new or gone, what it is. */
static void describe(struct buf *out, const struct toc_entry *e,
                     const struct toc_entry *other)
{
	bool alone = !other || other->type != e->type;

	if (alone)
		buf_addf(out, " %s", type_text(e->type));
	if (e->type == TOC_FILE && (alone || !digest_equal(&e->digest, &other->digest)))
		buf_addf(out, " %s", DIGEST_STR(&e->digest));
	if (e->link && (alone || !same_link(e, other)))
		buf_addf(out, " -> %s", e->link);
	if ((e->type == TOC_CHAR || e->type == TOC_BLOCK) &&
	    (alone || e->dev_major != other->dev_major ||
	     e->dev_minor != other->dev_minor))
		buf_addf(out, " %u:%u", e->dev_major, e->dev_minor);
	if (e->type == TOC_HARDLINK)
		return; /* the rest is its target's */
	if (e->type != TOC_SYMLINK && (alone || e->mode != other->mode))
		buf_addf(out, " mode %04o", e->mode);
	if (alone || e->uid != other->uid || e->gid != other->gid)
		buf_addf(out, " owner %u:%u", e->uid, e->gid);
	if (!alone && e->type != TOC_DIR && e->mtime != other->mtime)
		buf_addf(out, " time %lld", (long long)e->mtime);
	if (other && !alone && !toc_xattrs_same(e, other))
		add_attributes(out, e);
}

static void tell_file(const struct telling *t, const char *name,
                      const struct toc_entry *was, const struct toc_entry *is)
{
	AUTO_BUF path = BUF_INIT, a = BUF_INIT, b = BUF_INIT;

	buf_addf(&path, "/%s", name);
	if (was)
		describe(&a, was, is);
	if (is)
		describe(&b, is, was);
	if (a.len || b.len)
		t->fn(t->self, path.s, was ? a.s + 1 : NULL, is ? b.s + 1 : NULL);
}

static void compare_files(const struct telling *t, const struct toc_view *was,
                          const struct toc_view *is)
{
	struct listing a = { 0 }, b = { 0 };
	size_t i = 0, k = 0;

	toc_view_walk(was, "", list_entry, &a);
	toc_view_walk(is, "", list_entry, &b);
	while (i < a.at.len && k < b.at.len) {
		const struct toc_entry *x = a.at.at[i], *y = b.at.at[k];
		int order = strcmp(x->path, y->path);

		tell_file(t, order <= 0 ? x->path : y->path, order <= 0 ? x : NULL,
		          order >= 0 ? y : NULL);
		i += order <= 0;
		k += order >= 0;
	}
	for (; i < a.at.len; i++)
		tell_file(t, a.at.at[i]->path, a.at.at[i], NULL);
	for (; k < b.at.len; k++)
		tell_file(t, b.at.at[k]->path, NULL, b.at.at[k]);
	vec_fini(&a.at);
	vec_fini(&b.at);
}

void image_compare(const struct compared *was, const struct compared *is, compare_fn *fn,
                   void *self)
{
	struct telling t = { fn, self };

	compare_config(&t, was->image, is->image);
	compare_files(&t, &was->files, &is->files);
}

#include "image/config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static json_t *rfc3339(int64_t seconds)
{
	time_t t = (time_t)seconds;
	char text[40];
	struct tm tm;

	if (!gmtime_r(&t, &tm) ||
	    !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return json_string("1970-01-01T00:00:00Z");
	return json_string(text);
}

static json_t *diff_ids(const struct image_config *c)
{
	return json_object_get(json_object_get(c->root, "rootfs"), "diff_ids");
}

void config_init(struct image_config *c, const struct platform *p)
{
	json_t *rootfs = json_object();

	c->root = json_object();
	json_object_set_new(c->root, "architecture", json_string(p->arch));
	json_object_set_new(c->root, "os", json_string(p->os));
	if (p->variant[0])
		json_object_set_new(c->root, "variant", json_string(p->variant));
	json_object_set_new(c->root, "config", json_object());
	json_object_set_new(rootfs, "type", json_string("layers"));
	json_object_set_new(rootfs, "diff_ids", json_array());
	json_object_set_new(c->root, "rootfs", rootfs);
	json_object_set_new(c->root, "history", json_array());
}

void config_copy(struct image_config *out, const struct image_config *c)
{
	out->root = json_deep_copy(c->root);
}

void config_fini(struct image_config *c)
{
	json_decref(c->root);
	c->root = NULL;
}

static void copy_platform_member(const struct image_config *c, const char *key,
                                 char out[32])
{
	const char *s = json_string_value(json_object_get(c->root, key));

	snprintf(out, 32, "%s", s ? s : "");
}

void config_platform(const struct image_config *c, struct platform *out)
{
	copy_platform_member(c, "os", out->os);
	copy_platform_member(c, "architecture", out->arch);
	copy_platform_member(c, "variant", out->variant);
}

size_t config_layer_count(const struct image_config *c)
{
	return json_array_size(diff_ids(c));
}

void config_diff_id(const struct image_config *c, size_t i, struct digest *out)
{
	const char *text = json_string_value(json_array_get(diff_ids(c), i));
	struct err e;

	/* config_read and config_add_layer let nothing else in. */
	if (!text || digest_parse(out, text, &e) < 0)
		memset(out, 0, sizeof(*out));
}

/* The list of history, made if absent. Layers of a base that tells nothing of them get an
 * entry each: the numbers must agree (config.md, "history"). */
static json_t *history_list(struct image_config *c)
{
	json_t *list = json_object_get(c->root, "history");

	if (!json_is_array(list)) {
		list = json_array();
		json_object_set_new(c->root, "history", list);
	}
	if (json_array_size(list))
		return list;
	for (size_t i = 0; i < config_layer_count(c); i++)
		json_array_append_new(list,
		                      json_pack("{s:s}", "comment", "layer of the base"));
	return list;
}

void config_add_history(struct image_config *c, const struct history *h, int64_t mtime)
{
	json_t *list = history_list(c);
	json_t *entry = json_object();

	json_object_set_new(entry, "created", rfc3339(mtime));
	if (h->created_by)
		json_object_set_new(entry, "created_by", json_utf8(h->created_by));
	if (h->comment)
		json_object_set_new(entry, "comment", json_utf8(h->comment));
	if (h->empty_layer)
		json_object_set_new(entry, "empty_layer", json_true());
	json_array_append_new(list, entry);
}

void config_add_layer(struct image_config *c, const struct digest *diff_id,
                      const struct history *h, int64_t mtime)
{
	struct history with_layer = *h;

	with_layer.empty_layer = false;
	config_add_history(c, &with_layer, mtime);
	json_array_append_new(diff_ids(c), json_string(DIGEST_STR(diff_id)));
}

void config_set_created(struct image_config *c, int64_t mtime)
{
	json_object_set_new(c->root, "created", rfc3339(mtime));
}

json_t *config_get(const struct image_config *c, const char *key)
{
	json_t *value = json_object_get(json_object_get(c->root, "config"), key);

	return json_is_null(value) ? NULL : value;
}

void config_set(struct image_config *c, const char *key, json_t *value)
{
	json_t *o = json_object_get(c->root, "config");

	if (!json_is_object(o)) {
		o = json_object();
		json_object_set_new(c->root, "config", o);
	}
	if (value)
		json_object_set_new(o, key, value);
	else
		json_object_del(o, key);
}

static bool names_variable(const json_t *entry, const char *name)
{
	const char *s = json_string_value(entry);
	size_t n = strlen(name);

	return s && !strncmp(s, name, n) && s[n] == '=';
}

/* Of a name that stands twice the last counts, as in a shell's environment. */
const char *config_env(const struct image_config *c, const char *name)
{
	json_t *env = config_get(c, "Env");

	for (size_t i = json_array_size(env); i-- > 0;) {
		const json_t *entry = json_array_get(env, i);

		if (names_variable(entry, name))
			return json_string_value(entry) + strlen(name) + 1;
	}
	return NULL;
}

void config_set_env(struct image_config *c, const char *name, const char *value)
{
	json_t *env = config_get(c, "Env");
	AUTO_BUF pair = BUF_INIT;
	bool placed = false;
	json_t *entry;

	buf_addf(&pair, "%s=%s", name, value);
	entry = json_utf8(pair.s);
	if (!env) {
		env = json_array();
		config_set(c, "Env", env);
	}
	for (size_t i = 0; i < json_array_size(env);) {
		if (!names_variable(json_array_get(env, i), name)) {
			i++;
		} else if (!placed) {
			json_array_set(env, i++, entry);
			placed = true;
		} else {
			json_array_remove(env, i);
		}
	}
	if (!placed)
		json_array_append(env, entry);
	json_decref(entry);
}

const char *config_user(const struct image_config *c)
{
	const char *user = json_string_value(config_get(c, "User"));

	return user && *user ? user : NULL;
}

void config_set_user(struct image_config *c, const char *user)
{
	config_set(c, "User", user ? json_utf8(user) : NULL);
}

const char *config_workdir(const struct image_config *c)
{
	const char *dir = json_string_value(config_get(c, "WorkingDir"));

	return dir && *dir ? dir : "/";
}

void config_set_workdir(struct image_config *c, const char *path)
{
	config_set(c, "WorkingDir", json_utf8(path));
}

void config_content_key(const struct image_config *c, struct digest *out)
{
	/* The last three tell of the machine and container of a `docker build`. */
	static const char *const noise[] = { "created",   "history",
		                             "rootfs",    "container_config",
		                             "container", "docker_version" };
	AUTO_BUF text = BUF_INIT;
	struct image_config plain;
	struct hasher h;

	config_copy(&plain, c);
	for (size_t i = 0; i < ARRAY_LEN(noise); i++)
		json_object_del(plain.root, noise[i]);
	config_write(&plain, &text);
	config_fini(&plain);

	hasher_init(&h);
	hasher_str(&h, "image configuration 1");
	hasher_int(&h, (int64_t)config_layer_count(c));
	for (size_t i = 0; i < config_layer_count(c); i++) {
		struct digest d;

		config_diff_id(c, i, &d);
		hasher_digest(&h, &d);
	}
	hasher_field(&h, text.s, text.len);
	hasher_end(&h, out);
}

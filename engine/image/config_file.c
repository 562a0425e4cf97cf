/* The configuration as a document: checked when it comes in, canonical when it goes out.
 */
#include <string.h>

#include "image/config.h"
#include "image/limits.h"

static int check_strings(const json_t *o, const char *key, struct err *e)
{
	json_t *list = NULL;

	if (json_member_array(o, key, false, &list, e) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!json_is_string(json_array_get(list, i)))
			return err_set(e, ERR_INVALID, "an entry of '%s' is not a string",
			               key);
	return 0;
}

static int check_map(const json_t *o, const char *key, json_type type, struct err *e)
{
	json_t *map = NULL, *value;
	const char *name;

	if (json_member_object(o, key, false, &map, e) < 0)
		return -1;
	json_object_foreach(
		map, name,
		value) if (json_typeof(value) != type &&
	                   !(type == JSON_OBJECT &&
	                     json_is_null(
				     value))) return err_set(e, ERR_INVALID,
	                                                     "'%s' in '%s' is not %s",
	                                                     name, key,
	                                                     type == JSON_STRING
	                                                             ? "a string"
	                                                             : "an object");
	return 0;
}

static int check_text(const json_t *o, const char *key, struct err *e)
{
	const char *s;

	return json_member_str(o, key, false, &s, e);
}

/* The members of "config" that we, or those who run the image, act on. */
static int check_execution(const json_t *root, struct err *e)
{
	json_t *o = NULL;

	if (json_member_object(root, "config", false, &o, e) < 0)
		return -1;
	if (!o)
		return 0;
	if (check_text(o, "User", e) < 0 || check_text(o, "WorkingDir", e) < 0 ||
	    check_text(o, "StopSignal", e) < 0 || check_strings(o, "Env", e) < 0 ||
	    check_strings(o, "Entrypoint", e) < 0 || check_strings(o, "Cmd", e) < 0 ||
	    check_map(o, "Labels", JSON_STRING, e) < 0 ||
	    check_map(o, "Volumes", JSON_OBJECT, e) < 0 ||
	    check_map(o, "ExposedPorts", JSON_OBJECT, e) < 0)
		return err_wrap(e, "config");
	return 0;
}

static int check_platform(const json_t *root, struct err *e)
{
	static const char *const keys[] = { "architecture", "os", "variant" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *s = "";

		if (json_member_str(root, keys[i], i < 2, &s, e) < 0)
			return -1;
		if (strlen(s) >= sizeof(((struct platform *)0)->os))
			return err_set(e, ERR_INVALID, "member '%s' is too long",
			               keys[i]);
	}
	return 0;
}

/* An absent list of diff IDs (an image without layers) is made an empty one. */
static int check_rootfs(json_t *root, struct err *e)
{
	json_t *rootfs = NULL, *ids = NULL;
	const char *type = "layers";
	struct digest d;

	if (json_member_object(root, "rootfs", true, &rootfs, e) < 0 ||
	    json_member_str(rootfs, "type", false, &type, e) < 0 ||
	    json_member_array(rootfs, "diff_ids", false, &ids, e) < 0)
		return -1;
	if (strcmp(type, "layers") != 0)
		return err_set(e, ERR_INVALID, "rootfs: type '%.40s' is not known", type);
	if (!ids)
		json_object_set_new(rootfs, "diff_ids", json_array());
	if ((int64_t)json_array_size(ids) > image_limits()->layers)
		return err_set(
			e, ERR_LIMIT,
			"it has %zu layers; at most %lld are read" IMAGE_LIMIT_HINT(
				"layers"),
			json_array_size(ids), (long long)image_limits()->layers);
	for (size_t i = 0; i < json_array_size(ids); i++) {
		const char *text = json_string_value(json_array_get(ids, i));

		if (!text)
			return err_set(e, ERR_INVALID, "diff ID %zu is not a string",
			               i + 1);
		if (digest_parse(&d, text, e) < 0)
			return err_wrap(e, "diff ID %zu", i + 1);
	}
	return 0;
}

static int check_history_entry(const json_t *entry, bool *empty, struct err *e)
{
	static const char *const keys[] = { "created", "created_by", "author",
		                            "comment" };

	if (!json_is_object(entry))
		return err_set(e, ERR_INVALID, "an entry is not an object");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (check_text(entry, keys[i], e) < 0)
			return -1;
	return json_member_bool(entry, "empty_layer", empty, e);
}

static int check_history(const json_t *root, size_t layers, struct err *e)
{
	json_t *list = NULL;
	size_t told = 0;

	if (json_member_array(root, "history", false, &list, e) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(list); i++) {
		bool empty = false;

		if (check_history_entry(json_array_get(list, i), &empty, e) < 0)
			return err_wrap(e, "history %zu", i + 1);
		told += !empty;
	}
	if (json_array_size(list) && told != layers)
		return err_set(e, ERR_INVALID,
		               "history tells of %zu layers, but there are %zu", told,
		               layers);
	return 0;
}

static int check(struct image_config *c, struct err *e)
{
	if (!json_is_object(c->root))
		return err_set(e, ERR_INVALID, "it is not a JSON object");
	if (check_text(c->root, "created", e) < 0 || check_platform(c->root, e) < 0 ||
	    check_rootfs(c->root, e) < 0 || check_execution(c->root, e) < 0)
		return -1;
	return check_history(c->root, config_layer_count(c), e);
}

int config_read(struct image_config *c, const void *body, size_t n, struct err *e)
{
	json_t *root = NULL;

	c->root = NULL;
	if ((int64_t)n > image_limits()->config)
		return err_set(
			e, ERR_LIMIT,
			"image configuration: it is larger than %lld bytes" IMAGE_LIMIT_HINT(
				"config"),
			(long long)image_limits()->config);
	if (json_read(&root, body, n, e) < 0)
		return err_wrap(e, "image configuration");
	return config_take(c, root, e);
}

int config_take(struct image_config *c, json_t *root, struct err *e)
{
	c->root = root;
	if (check(c, e) == 0)
		return 0;
	config_fini(c);
	return err_wrap(e, "image configuration");
}

/* Order of members; what is not listed follows, sorted. */
static const char *const top_keys[] = {
	"created", "author", "architecture", "os",      "os.version", "os.features",
	"variant", "config", "rootfs",       "history", NULL,
};
static const char *const config_keys[] = {
	"User",    "ExposedPorts", "Env",    "Entrypoint", "Cmd",
	"Volumes", "WorkingDir",   "Labels", "StopSignal", NULL,
};
static const char *const rootfs_keys[] = { "type", "diff_ids", NULL };
static const char *const history_keys[] = {
	"created", "author", "created_by", "comment", "empty_layer", NULL,
};
static const char *const no_keys[] = { NULL };

static const char *const *order_below(const char *key)
{
	if (!strcmp(key, "config"))
		return config_keys;
	if (!strcmp(key, "rootfs"))
		return rootfs_keys;
	if (!strcmp(key, "history"))
		return history_keys;
	return no_keys;
}

static int rank(const char *const *order, const char *key)
{
	int i = 0;

	while (order[i] && strcmp(order[i], key) != 0)
		i++;
	return i;
}

static int by_order(const void *a, const void *b, void *order)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	int by_rank = rank(order, x) - rank(order, y);

	return by_rank ? by_rank : strcmp(x, y);
}

static json_t *ordered(const json_t *j, const char *const *order);

static json_t *ordered_object(const json_t *j, const char *const *order)
{
	size_t n = json_object_size(j), i = 0;
	AUTO_FREE const char **keys = mem_alloc(n * sizeof(*keys));
	json_t *out = json_object(), *value;
	const char *key;

	json_object_foreach((json_t *)j, key, value) keys[i++] = key;
	qsort_r(keys, n, sizeof(*keys), by_order, (void *)order);
	for (i = 0; i < n; i++) {
		const char *const *below =
			order == top_keys ? order_below(keys[i]) : no_keys;

		json_object_set_new(out, keys[i],
		                    ordered(json_object_get(j, keys[i]), below));
	}
	return out;
}

/* A copy whose objects have their members in order; a list hands `order` on to its
 * elements. Depth is bounded by json_read. */
static json_t *ordered(const json_t *j, const char *const *order)
{
	json_t *out;

	if (json_is_object(j))
		return ordered_object(j, order);
	if (!json_is_array(j))
		return json_incref((json_t *)j);
	out = json_array();
	for (size_t i = 0; i < json_array_size(j); i++)
		json_array_append_new(out, ordered(json_array_get(j, i), order));
	return out;
}

void config_write(const struct image_config *c, struct buf *out)
{
	AUTO_JSON *j = ordered(c->root, top_keys);

	json_write(out, j);
}

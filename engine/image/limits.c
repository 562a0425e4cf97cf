#include "image/limits.h"

#include <stddef.h>
#include <string.h>

#include "base/amount.h"
#include "base/json.h"
#include "base/nearest.h"

static const struct image_limits defaults = IMAGE_LIMITS_DEFAULT;
static struct image_limits current = IMAGE_LIMITS_DEFAULT;

static const struct limit {
	const char *name;
	size_t offset;
	int64_t most; /* that the kernel, our libraries or memory can do */
} limits[] = {
	{ "manifest", offsetof(struct image_limits, manifest), 1 << 30 },
	{ "config", offsetof(struct image_limits, config), 1 << 30 },
	{ "layers", offsetof(struct image_limits, layers), 100000 },
	{ "unpacked", offsetof(struct image_limits, unpacked), INT64_MAX / 2 },
	{ "entries", offsetof(struct image_limits, entries), INT32_MAX },
	{ "path", offsetof(struct image_limits, path), 4095 },
	{ "pax-header", offsetof(struct image_limits, pax), 1 << 30 },
	{ "zstd-window", offsetof(struct image_limits, zstd_window), (int64_t)1 << 31 },
	{ "json-depth", offsetof(struct image_limits, json_depth), JSON_DEPTH_MOST },
};

const struct image_limits *image_limits(void)
{
	return &current;
}

void image_limits_reset(void)
{
	current = defaults;
	json_limit_depth((int)current.json_depth);
}

static int unknown(const char *text, struct err *e)
{
	const char *names[ARRAY_LEN(limits)], *hint;
	AUTO_FREE char *typed = mem_strndup(text, strcspn(text, "="));
	AUTO_BUF all = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		names[i] = limits[i].name;
		buf_addf(&all, "%s%s", i ? ", " : "", limits[i].name);
	}
	hint = nearest_name(typed, names, ARRAY_LEN(names));
	if (hint)
		return err_set(e, ERR_INVALID,
		               "there is no limit '%.40s', did you mean %s?", typed,
		               hint);
	return err_set(e, ERR_INVALID, "there is no limit '%.40s', but: %s", typed,
	               all.s);
}

int image_limits_say(const char *text, struct err *e)
{
	const struct limit *l = limits, *end = limits + ARRAY_LEN(limits);
	size_t n = strcspn(text, "=");
	int64_t value;

	while (l < end && (strlen(l->name) != n || strncmp(l->name, text, n) != 0))
		l++;
	if (l == end || !text[n])
		return unknown(text, e);
	if (amount_size(text + n + 1, &value, e) < 0)
		return err_wrap(e, "limit %s", l->name);
	if (value > l->most)
		return err_set(e, ERR_INVALID, "limit %s: more than %lld cannot be had",
		               l->name, (long long)l->most);
	*(int64_t *)((char *)&current + l->offset) = value;
	json_limit_depth((int)current.json_depth);
	return 0;
}

#include "build/configure.h"

#include <string.h>

#include "base/path.h"

/* What runtimes give a container whose image says nothing. */
static const char default_path[] =
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static const char *env_so_far(const struct image_config *c, const char *name)
{
	const char *v = config_env(c, name);

	if (!v && !strcmp(name, "PATH"))
		return default_path;
	return v ? v : "";
}

void expand_env(const struct image_config *c, const char *text, struct buf *out)
{
	while (*text) {
		const char *end = !strncmp(text, "${", 2) ? strchr(text, '}') : NULL;

		if (!strncmp(text, "$${", 3)) {
			buf_adds(out, "${");
			text += 3;
		} else if (end) {
			AUTO_FREE char *name =
				mem_strndup(text + 2, (size_t)(end - text - 2));

			buf_adds(out, env_so_far(c, name));
			text = end + 1;
		} else {
			buf_addc(out, *text++);
		}
	}
}

/* Values of one step all see the environment before it, whatever their order. */
static void set_env(struct image_config *c, const struct pairs *env)
{
	AUTO_STRLIST values = STRLIST_INIT;

	for (size_t i = 0; i < env->n; i++) {
		struct buf value = BUF_INIT;

		expand_env(c, env->at[i].value, &value);
		strlist_take(&values, buf_take(&value));
	}
	for (size_t i = 0; i < env->n; i++)
		config_set_env(c, env->at[i].key, values.at[i]);
}

/* {"8080/tcp": {}}: sets are objects of empty objects there. Adds to what is. */
static void add_set(struct image_config *c, const char *key, const json_t *names)
{
	json_t *old = config_get(c, key),
	       *set = old ? json_deep_copy(old) : json_object();
	json_t *name;
	size_t i;

	json_array_foreach(names, i, name)
		json_object_set_new(set, json_string_value(name), json_object());
	config_set(c, key, set);
}

static void add_map(struct image_config *c, const char *key, const json_t *map)
{
	json_t *old = config_get(c, key),
	       *all = old ? json_deep_copy(old) : json_object();

	json_object_update(all, (json_t *)map);
	config_set(c, key, all);
}

static void set_healthcheck(struct image_config *c, const json_t *h)
{
	static const char *const names[][2] = {
		{ "test", "Test" },
		{ "interval", "Interval" },
		{ "timeout", "Timeout" },
		{ "start_period", "StartPeriod" },
		{ "start_interval", "StartInterval" },
		{ "retries", "Retries" },
	};
	json_t *out = json_object();

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		json_t *v = json_object_get(h, names[i][0]);

		if (v)
			json_object_set(out, names[i][1], v);
	}
	config_set(c, "Healthcheck", out);
}

static void set_members(struct image_config *c, const json_t *m, bool *inherited_cmd)
{
	static const char *const plain[][2] = {
		{ "entrypoint", "Entrypoint" },
		{ "cmd", "Cmd" },
		{ "shell", "Shell" },
		{ "stop_signal", "StopSignal" },
	};
	json_t *v;

	if (json_object_get(m, "entrypoint") && *inherited_cmd)
		config_set(c, "Cmd", NULL);
	if (json_object_get(m, "cmd"))
		*inherited_cmd = false;
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		if ((v = json_object_get(m, plain[i][0])))
			config_set(c, plain[i][1], json_incref(v));
	if ((v = json_object_get(m, "expose")))
		add_set(c, "ExposedPorts", v);
	if ((v = json_object_get(m, "volumes")))
		add_set(c, "Volumes", v);
	if ((v = json_object_get(m, "labels")))
		add_map(c, "Labels", v);
	if ((v = json_object_get(m, "healthcheck")))
		set_healthcheck(c, v);
	if ((v = json_object_get(m, "onbuild")))
		config_set(c, "OnBuild", json_array_size(v) ? json_incref(v) : NULL);
	if ((v = json_object_get(m, "author")))
		json_object_set(c->root, "author", v);
}

void configure(struct image_config *c, const struct step *s, bool *inherited_cmd)
{
	AUTO_BUF path = BUF_INIT;

	switch (s->kind) {
	case STEP_ENV: set_env(c, &s->env); break;
	case STEP_WORKDIR:
		path_join(&path, config_workdir(c), s->workdir);
		config_set_workdir(c, path.s);
		break;
	case STEP_USER: config_set_user(c, s->user); break;
	case STEP_CONFIG: set_members(c, s->config, inherited_cmd); break;
	default: break; /* the others make layers */
	}
}

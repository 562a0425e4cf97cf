/* config.json of a bundle, OCI runtime-spec 1.0.2. The root has everything mounted
 * already, and no limits are set: both are ours. */
#include <string.h>
#include <sys/resource.h>

#include "base/json.h"
#include "sandbox/filter.h"
#include "sandbox/runtime.h"

static json_t *strings(const char *const *at)
{
	json_t *a = json_array();

	for (; *at; at++)
		json_array_append_new(a, json_stringn_nocheck(*at, strlen(*at)));
	return a;
}

static json_t *capabilities(uid_t uid, bool devices)
{
	json_t *all = json_array(), *c;
	const char *name;

	for (size_t i = 0; (name = caps_name(i)); i++)
		if (devices || strcmp(name, "CAP_MKNOD") != 0)
			json_array_append_new(all, json_string(name));
	c = json_pack("{s:O}", "bounding", all);
	/* Who is not root has none, as after setuid. */
	if (uid == 0) {
		json_object_set(c, "effective", all);
		json_object_set(c, "permitted", all);
	}
	json_decref(all);
	return c;
}

static json_t *user(const struct sandbox_spec *spec)
{
	json_t *u = json_pack("{s:I,s:I,s:i}", "uid", (json_int_t)spec->uid, "gid",
	                      (json_int_t)spec->gid, "umask", 022);
	json_t *groups = json_array();

	for (size_t i = 0; i < spec->n_groups; i++)
		json_array_append_new(groups, json_integer(spec->groups[i]));
	if (spec->n_groups)
		json_object_set(u, "additionalGids", groups);
	json_decref(groups);
	return u;
}

/* Never more than we have, which not every root may raise again. */
static json_t *limits(void)
{
	struct rlimit files = { 1024, 1024 };

	(void)getrlimit(RLIMIT_NOFILE, &files);
	return json_pack("[{s:s,s:I,s:I}]", "type", "RLIMIT_NOFILE", "soft",
	                 (json_int_t)(files.rlim_max < 1024 ? files.rlim_max : 1024),
	                 "hard", (json_int_t)files.rlim_max);
}

static json_t *process(const struct sandbox_spec *spec, const struct runtime *r,
                       bool terminal)
{
	return json_pack("{s:b,s:o,s:o,s:o,s:s,s:o,s:o,s:b}", "terminal", terminal,
	                 "user", user(spec), "args", strings(spec->argv), "env",
	                 strings(spec->env), "cwd", spec->workdir, "capabilities",
	                 capabilities(spec->uid, r->devices), "rlimits", limits(),
	                 "noNewPrivileges", true);
}

/* Devices are there, which a runtime is to leave alone. */
static json_t *mounts(const struct sandbox_spec *spec)
{
	AUTO_BUF dev = BUF_INIT;

	buf_addf(&dev, "%s/dev", spec->work);
	return json_pack("[{s:s,s:s,s:s,s:[s,s,s,s]}]", "destination", "/dev", "type",
	                 "bind", "source", dev.s, "options", "rbind", "nosuid", "nodev",
	                 "noexec");
}

void bundle_config(struct buf *out, const struct setup *s, const struct runtime *r,
                   bool terminal)
{
	const struct sandbox_spec *spec = s->spec;
	AUTO_JSON *j = json_pack("{s:s,s:{s:s},s:o,s:o,s:{s:[{s:s}],s:o}}", "ociVersion",
	                         "1.0.2", "root", "path", spec->work, "process",
	                         process(spec, r, terminal), "mounts", mounts(spec),
	                         "linux", "namespaces", "type", "mount", "seccomp",
	                         filter_json(!s->many_ids));

	json_write(out, j);
}

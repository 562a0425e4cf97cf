#include "sandbox/runtime.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/probe.h"

/* Control groups are ours, and so is the network; crun and runc leave, the command being
 * our child then. gVisor would keep what is written in memory of its own. */
static const char *const crun_options[] = { "--cgroup-manager=disabled", NULL };
static const char *const runc_options[] = { "--rootless=true", NULL };
static const char *const runsc_options[] = { "--ignore-cgroups", "--network=host",
	                                     "--overlay2=none", NULL };
static const char *const no_options[] = { NULL };

static const struct known {
	const char *name;
	const char *const *options;
	bool alone, devices;
} known[] = {
	{ "crun", crun_options, false, false },
	{ "runc", runc_options, false, true },
	{ "runsc", runsc_options, true, false },
};

static const struct known *find_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(known[i].name, name))
			return &known[i];
	return NULL;
}

static int look_up(char **out, const char *name, struct err *e)
{
	if (name[0] != '/') {
		*out = probe_program(name);
		if (*out)
			return 0;
		return err_set(e, ERR_NOT_FOUND,
		               "--runtime=%s: the program is not in PATH; install it, or "
		               "leave the option out",
		               name);
	}
	if (access(name, X_OK) < 0)
		return err_sys(e, "--runtime=%s", name);
	*out = mem_strdup(name);
	return 0;
}

int runtime_find(struct runtime **out, const char *name, struct err *e)
{
	const char *base = strrchr(name, '/');
	const struct known *k = find_known(base ? base + 1 : name);
	char *path;

	if (!k && name[0] != '/')
		return err_set(e, ERR_INVALID,
		               "--runtime=%s: must be crun, runc, runsc, or an absolute "
		               "path of a runtime",
		               name);
	if (look_up(&path, name, e) < 0)
		return -1;
	*out = mem_alloc(sizeof(**out));
	**out = (struct runtime){ path, k && k->alone, k && k->devices,
		                  k ? k->options : no_options };
	return 0;
}

void runtime_free(struct runtime *r)
{
	if (r)
		free(r->path);
	free(r);
}

void runtime_list(struct buf *out)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		AUTO_FREE char *path = probe_program(known[i].name);

		if (path)
			buf_addf(out, "%s%s", out->len ? ", " : "", known[i].name);
	}
}

static char *below(const char *dir, const char *name)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "%s/%s", dir, name);
	return buf_take(&b);
}

/* All it keeps is in the memory file system that lies over the upper directory: it is
 * gone with the namespace, and the environment may hold secrets. */
static void list_words(struct runtime_texts *t, const struct runtime *r, const char *dir)
{
	AUTO_FREE char *state = below(dir, "state");

	strlist_add(&t->words, r->path);
	strlist_add(&t->words, "--root");
	strlist_add(&t->words, state);
	for (const char *const *o = r->options; *o; o++)
		strlist_add(&t->words, *o);
	strlist_add(&t->words, "--log");
	strlist_add(&t->words, t->log);
	strlist_add(&t->words, "run");
	strlist_add(&t->words, "--bundle");
	strlist_add(&t->words, dir);
	if (t->call.leaves) {
		strlist_add(&t->words, "--detach");
		strlist_add(&t->words, "--pid-file");
		strlist_add(&t->words, t->pid_file);
	}
	strlist_add(&t->words, "imgmake");
}

void runtime_texts_make(struct runtime_texts *t, const struct runtime *r,
                        const struct setup *s)
{
	const char *dir = s->spec->upper;
	bool terminal = s->spec->interactive && isatty(0) && isatty(1);

	t->config = (struct buf)BUF_INIT;
	t->log = below(dir, "log");
	t->pid_file = below(dir, "pid");
	t->nowhere = below(dir, "empty");
	/* A terminal is passed on by the runtime, as long as it is there. */
	t->call.leaves = !terminal && !r->alone;
	bundle_config(&t->config, s, r, terminal);
	list_words(t, r, dir);
	t->argv = mem_alloc((t->words.len + 1) * sizeof(*t->argv));
	for (size_t i = 0; i < t->words.len; i++)
		t->argv[i] = t->words.at[i];
	t->call.argv = t->argv;
	t->call.config = t->config.s;
	t->call.config_len = t->config.len;
	t->call.log = t->log;
	t->call.pid_file = t->pid_file;
	t->call.nowhere = t->nowhere;
}

void runtime_texts_fini(struct runtime_texts *t)
{
	buf_fini(&t->config);
	strlist_fini(&t->words);
	free(t->argv);
	free(t->log);
	free(t->pid_file);
	free(t->nowhere);
}

/* A command in the files of a result: its layers unpacked, the sandbox around it, its
 * output passed on. */
#include "build/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/amount.h"
#include "base/path.h"
#include "build/run_times.h"
#include "build/secrets.h"
#include "os/file.h"
#include "sandbox/idmap.h"

int run_sandbox(struct build *b, struct sandbox **out, struct err *e)
{
	struct sandbox_options o = { 0 };
	AUTO_BUF dir = BUF_INIT;
	int rc = 0;

	pthread_mutex_lock(&b->lock);
	if (!b->sandbox) {
		buf_addf(&dir, "%s/tmp", b->o.store->path);
		o.dir = dir.s;
		o.runtime = b->o.runtime;
		o.chroot = b->o.chroot;
		rc = sandbox_open(&b->sandbox, &o, e);
	}
	*out = b->sandbox;
	pthread_mutex_unlock(&b->lock);
	return rc;
}

static int refuse_without_namespaces(const struct sandbox_probe *p, struct err *e)
{
	if (p->users != SANDBOX_NOBODY && p->rootfs != SANDBOX_NO_ROOTFS)
		return 0;
	for (size_t i = 0; i < p->n_findings; i++)
		if (!p->findings[i].ok && p->findings[i].needed)
			return err_set(e, ERR_DENIED,
			               "nothing can be run here: %s: %s%s%s",
			               p->findings[i].what, p->findings[i].said,
			               *p->findings[i].remedy ? "; try: " : "",
			               p->findings[i].remedy);
	return err_set(e, ERR_DENIED, "nothing can be run here; imgmake doctor says why");
}

int runner_open(struct runner *x, struct err *e)
{
	x->upper = -1;
	x->layers = (struct layers)LAYERS_INIT;
	x->w->run = x;
	if (run_sandbox(x->w->node->build, &x->sandbox, e) < 0)
		return -1;
	x->probe = sandbox_probe_get(x->sandbox);
	x->at.users = x->probe->users;
	x->at.sandbox = x->sandbox;
	x->at.alone = x->probe->chroot;
	if (x->probe->users == SANDBOX_RANGE)
		x->inside = (struct inside){ sandbox_call, x->sandbox };
	if (refuse_without_namespaces(x->probe, e) < 0)
		return -1;
	return run_can_execute(&x->w->node->platform, e);
}

/* Whose ids the owners of unpacked files are: those of another range cannot be used. */
static const char *map_name(struct arena *a, const struct sandbox_probe *p)
{
	enum sandbox_users u = p->users;
	struct idmap uids, gids;
	struct err ignored;

	if (u == SANDBOX_ROOT) /* not all that root may set can be set in a container */
		return p->chroot ? "chroot" : "root";
	if (u != SANDBOX_RANGE || idmap_of_user(&uids, &gids, &ignored) < 0)
		return "single";
	return arena_printf(a, "range-%u-%u-%u-%u", uids.at[0].first, uids.at[0].count,
	                    gids.at[0].first, gids.at[0].count);
}

static int fetch_layers(struct runner *x, struct layers_item **out, struct err *e)
{
	const struct result *below = x->w->below;
	struct layers_item *items = mem_alloc((below->layers.len + 1) * sizeof(*items));
	AUTO_FREE const struct toc **tables = NULL;

	*out = items;
	if (node_tables(x->w->node, below, &tables, e) < 0)
		return -1;
	for (size_t i = 0; i < below->layers.len; i++) {
		const struct layer *l = &below->layers.at[i];

		if (base_fetch_layer(x->w->node->build, x->w->node, l, e) < 0)
			return -1;
		items[i] = (struct layers_item){ l->diff_id, l->blob, tables[i],
			                         layer_files_of(x->w->node->build,
			                                        &l->diff_id) };
	}
	return 0;
}

static int open_layers(struct runner *x, struct err *e)
{
	AUTO_FREE struct layers_item *items = NULL;
	struct layers_options o = { .store = x->w->node->build->o.store,
		                    .memory = x->w->node->build->layers,
		                    .n = x->w->below->layers.len,
		                    .map = map_name(&x->w->arena, x->probe),
		                    .inside = x->inside,
		                    .threads = x->w->node->build->o.jobs };

	if (!o.n)
		return err_set(e, ERR_INVALID,
		               "there is nothing to run: the image is empty");
	if (fetch_layers(x, &items, e) < 0)
		return -1;
	o.items = items;
	if (layers_open(&x->layers, &o, e) == 0)
		return 0;
	for (size_t i = 0; e->code != ERR_SYS && i < o.n; i++)
		if (x->w->below->layers.at[i].remote)
			return layer_doubt(x->w->node->build, &x->w->below->layers.at[i],
			                   e);
	return -1;
}

/* tmp/run.PID.N, new: what a killed run of the same number left must not be taken for
 * what this one does. Swept with tmp/ if we are killed. */
static int new_staging(struct runner *x, struct err *e)
{
	struct build *b = x->w->node->build;
	const char *name;
	int rc;

	do {
		name = arena_printf(&x->w->arena, "tmp/run.%d.%u", (int)getpid(),
		                    atomic_fetch_add(&b->runs, 1));
		rc = mkdirat(b->o.store->dir, name, 0755);
	} while (rc < 0 && errno == EEXIST);
	if (rc < 0)
		return err_sys(e, "create %s in the store", name);
	x->at.staging = name;
	return 0;
}

static int make_staging(struct runner *x, struct err *e)
{
	struct build *b = x->w->node->build;
	struct arena *a = &x->w->arena;
	struct toc_view v = layers_view(&x->layers);
	const char *upper;

	if (new_staging(x, e) < 0)
		return -1;
	upper = arena_printf(a, "%s/upper", x->at.staging);
	if (file_mkdirs(b->o.store->dir, upper, 0755, e) < 0 ||
	    file_mkdirs(b->o.store->dir, arena_printf(a, "%s/work", x->at.staging), 0755,
	                e) < 0)
		return -1;
	x->upper = openat(b->o.store->dir, upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x->upper < 0)
		return err_sys(e, "open the upper directory");
	vec_push(&x->w->fds, x->upper);
	return layers_make_root(x->upper, &v, &x->inside, e);
}

/* What a run leaves behind, to be removed while others go on. */
struct leftover {
	struct build *build;
	struct inside inside;
	char *staging;
};

static int remove_staging(void *arg, struct err *e)
{
	const struct leftover *l = arg;

	return file_remove_tree(l->build->o.store->dir, l->staging, e);
}

static void remove_leftover(void *arg)
{
	struct leftover *l = arg;
	struct err e;

	if (inside_call(&l->inside, remove_staging, l, &e) < 0)
		progress_warning(l->build->o.progress, "%s", e.msg);
	free(l->staging);
	free(l);
}

/* The pool is waited for at the end of the build. */
static void leave(struct runner *x)
{
	struct leftover *l = mem_alloc(sizeof(*l));

	*l = (struct leftover){ x->w->node->build, x->inside, mem_strdup(x->at.staging) };
	pool_submit(l->build->pool, remove_leftover, l);
}

void work_run_fini(struct work *w)
{
	struct runner *x = w->run;

	if (!x)
		return;
	diff_fini(&x->diff);
	strlist_fini(&x->stubs);
	layers_close(&x->layers);
	run_mounts_fini(&x->mounts);
	if (x->at.staging)
		leave(x);
	w->run = NULL;
}

static int find_user(struct runner *x, struct err *e)
{
	const char *spec = x->r->user ? x->r->user : config_user(&x->w->below->config);
	struct account_process is;
	int rc = account_process(spec ? spec : "", work_read_accounts, x->w, &is, e);

	x->at.user = is.owner;
	x->at.home = work_keep(x->w, is.home.s);
	x->at.groups =
		arena_memdup(&x->w->arena, is.groups, is.n_groups * sizeof(*is.groups));
	x->at.n_groups = is.n_groups;
	buf_fini(&is.home);
	return rc < 0 ? err_wrap(e, "user") : 0;
}

static const char *workdir_of(struct runner *x)
{
	AUTO_BUF path = BUF_INIT;

	path_join(&path, config_workdir(&x->w->below->config),
	          x->r->workdir ? x->r->workdir : ".");
	return work_keep(x->w, path.s);
}

/* `/bin/sh -ec SCRIPT`, or the image's SHELL with the script behind it, or the vector as
 * it is. */
static const char *const *command_of(struct runner *x)
{
	json_t *shell = config_get(&x->w->below->config, "Shell"), *word;
	AUTO_BUF script = BUF_INIT;
	VEC(const char *) argv = { 0 };
	const char *const *out;
	size_t i;

	for (i = 0; i < x->r->exec.n; i++)
		vec_push(&argv, x->r->exec.at[i]);
	if (!x->r->exec.n) {
		json_array_foreach(shell, i, word) if (json_is_string(word))
			vec_push(&argv, json_string_value(word));
		if (!argv.len) {
			vec_push(&argv, "/bin/sh");
			vec_push(&argv, "-ec");
		}
		for (i = 0; i < x->r->lines.n; i++)
			buf_addf(&script, "%s%s", i ? "\n" : "", x->r->lines.at[i]);
		vec_push(&argv, work_keep(x->w, script.s));
	}
	vec_push(&argv, NULL);
	out = arena_memdup(&x->w->arena, argv.at, argv.len * sizeof(*argv.at));
	vec_fini(&argv);
	return out;
}

static void print_line(void *self, const char *s, size_t n)
{
	const struct runner *x = self;
	const struct build *b = x->w->node->build;
	AUTO_BUF line = BUF_INIT;

	secrets_redact(b->o.secrets, s, n, &line);
	progress_output(b->o.progress, x->name, line.s);
}

static enum sandbox_network network_of(const struct runner *x)
{
	const char *n = x->r->network ? x->r->network : "host";

	return !strcmp(n, "none")      ? SANDBOX_NET_NONE
	       : !strcmp(n, "private") ? SANDBOX_NET_PRIVATE
	                               : SANDBOX_NET_HOST;
}

static const char *in_store(struct runner *x, const char *name)
{
	return arena_printf(&x->w->arena, "%s/%s/%s", x->w->node->build->o.store->path,
	                    x->at.staging, name);
}

const char *runner_shell_name(const struct image_config *c)
{
	const char *first = json_string_value(json_array_get(config_get(c, "Shell"), 0));

	return first ? first : "/bin/sh";
}

int runner_spec(struct runner *x, const char *work, struct sandbox_spec *out,
                struct err *e)
{
	struct strings env;

	*out = (struct sandbox_spec){
		.lower = (const char *const *)x->layers.paths.at,
		.n_lower = x->layers.paths.len,
		.upper = in_store(x, "upper"),
		.work = in_store(x, work),
		.workdir = x->at.workdir,
		.uid = x->at.user.uid,
		.gid = x->at.user.gid,
		.groups = x->at.groups,
		.n_groups = x->at.users == SANDBOX_SINGLE ? 0 : x->at.n_groups,
		.mounts = x->mounts.list.at,
		.n_mounts = x->mounts.list.len,
		.network = network_of(x),
		.pids = x->limits.pids,
		.memory = x->limits.memory,
		.interactive = x->interactive,
	};
	if (run_environment(x, &env, e) < 0)
		return -1;
	out->env = env.at;
	return 0;
}

static bool has_failed(const struct sandbox_result *res)
{
	return res->end == SANDBOX_EXITED ? res->status != 0
	                                  : res->end != SANDBOX_INTERRUPTED;
}

static int run_command(struct runner *x, struct sandbox_result *res, struct err *e)
{
	struct sandbox_spec spec;
	int rc;

	if (runner_spec(x, "work", &spec, e) < 0)
		return -1;
	spec.argv = command_of(x);
	spec.timeout_ns = x->limits.timeout * 1000000000;
	spec.line = print_line;
	spec.line_self = x;
	rc = sandbox_run(x->sandbox, &spec, res, e);
	if (!x->interactive)
		progress_output_end(x->w->node->build->o.progress, x->name,
		                    rc == 0 && has_failed(res));
	for (size_t i = 0; i < res->stubs.len; i++)
		strlist_add(&x->stubs, res->stubs.at[i]);
	return rc;
}

int runner_run(struct runner *x, struct sandbox_result *res, struct err *e)
{
	x->at.workdir = workdir_of(x);
	runner_limits(x);
	if (find_user(x, e) < 0 || open_layers(x, e) < 0 || make_staging(x, e) < 0 ||
	    run_mounts_make(&x->mounts, x->w, x->r, x->p, &x->at, e) < 0 ||
	    run_times_show(&x->mounts, x->w, &x->layers, x->upper, e) < 0)
		return -1;
	return run_command(x, res, e);
}

static int how_it_ended(const struct runner *x, const struct sandbox_result *res,
                        struct err *e)
{
	AUTO_BUF limit = BUF_INIT;

	switch (res->end) {
	case SANDBOX_EXITED:
		if (res->status)
			return err_set(e, ERR_FAILED, "its command failed with status %d",
			               res->status);
		return 0;
	case SANDBOX_SIGNALLED:
		return err_set(e, ERR_FAILED, "its command was ended by signal %d",
		               res->status - 128);
	case SANDBOX_OUT_OF_MEMORY:
		if (x->limits.memory) {
			buf_adds(&limit, " (limit ");
			amount_add_size(&limit, x->limits.memory);
			buf_addc(&limit, ')');
		}
		return err_set(e, ERR_FAILED, "its command was killed: out of memory%s",
		               limit.s);
	case SANDBOX_TIMED_OUT:
		amount_add_duration(&limit, x->limits.timeout);
		return err_set(e, ERR_FAILED, "its command timed out after %s", limit.s);
	case SANDBOX_INTERRUPTED: return err_set(e, ERR_CANCELLED, "interrupted");
	}
	return 0;
}

int runner_judge(struct runner *x, const struct sandbox_result *res, struct err *e)
{
	int rc = how_it_ended(x, res, e);

	if (rc < 0 && e->code == ERR_FAILED) {
		atomic_store(&x->w->node->build->command_failed, true);
		if (x->w->node->build->o.shell_on_fail)
			runner_shell(x, e->msg);
	}
	return rc;
}

/* Run steps: a command in the image so far, and the difference that it makes. */
#include "build/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "build/secrets.h"
#include "os/fd.h"
#include "os/file.h"
#include "sandbox/diff.h"
#include "sandbox/layers.h"
#include "store/blobs.h"

int run_sandbox(struct build *b, struct sandbox **out, struct err *e)
{
	struct sandbox_options o = { 0 };
	AUTO_BUF dir = BUF_INIT;
	int rc = 0;

	pthread_mutex_lock(&b->lock);
	if (!b->sandbox) {
		buf_addf(&dir, "%s/tmp", b->o.store->path);
		o.dir = dir.s;
		rc = sandbox_open(&b->sandbox, &o, e);
	}
	*out = b->sandbox;
	pthread_mutex_unlock(&b->lock);
	return rc;
}

static const char *users_name(enum sandbox_users u)
{
	static const char *const names[] = {
		[SANDBOX_ROOT] = "root", [SANDBOX_RANGE] = "range", [SANDBOX_SINGLE] = "single",
		[SANDBOX_NOBODY] = "nobody",
	};

	return names[u];
}

/* One run under way. */
struct runner {
	struct work *w;
	const struct step_run *r;
	const struct step_plan *p;
	struct sandbox *sandbox;
	const struct sandbox_probe *probe;
	struct inside inside;
	struct run_place at;
	struct run_mounts mounts;
	struct layers layers;
	struct diff diff;
	int upper;                   /* fd; kept by the work while the tree reads from it */
};

static int refuse_without_namespaces(const struct sandbox_probe *p, struct err *e)
{
	if (p->users != SANDBOX_NOBODY && p->rootfs != SANDBOX_NO_ROOTFS)
		return 0;
	for (size_t i = 0; i < p->n_findings; i++)
		if (!p->findings[i].ok && *p->findings[i].remedy)
			return err_set(e, ERR_DENIED, "nothing can be run here: %s: %s; try: %s",
			               p->findings[i].what, p->findings[i].said,
			               p->findings[i].remedy);
	return err_set(e, ERR_DENIED, "nothing can be run here; imgmake doctor says why");
}

static int fetch_layers(struct runner *x, struct layers_item **out, struct err *e)
{
	const struct result *below = x->w->below;
	struct layers_item *items = mem_alloc((below->layers.len + 1) * sizeof(*items));

	*out = items;
	for (size_t i = 0; i < below->layers.len; i++) {
		const struct layer *l = &below->layers.at[i];

		if (base_fetch_layer(x->w->node->build, x->w->node, l, e) < 0)
			return -1;
		items[i] = (struct layers_item){ l->diff_id, l->blob, x->w->tocs[i] };
	}
	return 0;
}

static int open_layers(struct runner *x, struct err *e)
{
	AUTO_FREE struct layers_item *items = NULL;
	struct layers_options o = { .store = x->w->node->build->o.store,
		                    .n = x->w->below->layers.len,
		                    .map = users_name(x->probe->users),
		                    .inside = x->inside,
		                    .threads = x->w->node->build->o.jobs };

	if (!o.n)
		return err_set(e, ERR_INVALID,
		               "there is nothing to run yet: the image is empty so far");
	if (fetch_layers(x, &items, e) < 0)
		return -1;
	o.items = items;
	return layers_open(&x->layers, &o, e);
}

/* tmp/run.PID.N/{upper,work}: swept with tmp/ if we are killed. */
static int make_staging(struct runner *x, struct err *e)
{
	struct build *b = x->w->node->build;
	struct toc_view v = layers_view(&x->layers);

	x->at.staging = arena_printf(&x->w->arena, "tmp/run.%d.%u", (int)getpid(),
	                             atomic_fetch_add(&b->runs, 1));
	if (file_mkdirs(b->o.store->dir, arena_printf(&x->w->arena, "%s/upper", x->at.staging),
	                0755, e) < 0 ||
	    file_mkdirs(b->o.store->dir, arena_printf(&x->w->arena, "%s/work", x->at.staging),
	                0755, e) < 0)
		return -1;
	x->upper = openat(b->o.store->dir, arena_printf(&x->w->arena, "%s/upper", x->at.staging),
	                  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x->upper < 0)
		return err_sys(e, "open the upper directory");
	vec_push(&x->w->fds, x->upper);
	return layers_make_root(x->upper, &v, &x->inside, e);
}

static int find_user(struct runner *x, const char **home, struct err *e)
{
	const char *spec = x->r->user ? x->r->user : config_user(&x->w->below->config);

	if (work_owner(x->w, spec ? spec : "", &x->at.user, e) < 0)
		return err_wrap(e, "user");
	*home = x->at.user.uid ? "/" : "/root";
	return 0;
}

static const char *workdir_of(struct runner *x)
{
	AUTO_BUF path = BUF_INIT;

	path_join(&path, config_workdir(&x->w->below->config),
	          x->r->workdir ? x->r->workdir : ".");
	return work_keep(x->w, path.s);
}

/* `/bin/sh -ec SCRIPT`, or the image's SHELL with the script behind it, or the vector as it is. */
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
		json_array_foreach(shell, i, word)
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
	progress_output(b->o.progress, x->w->node->target->name, line.s);
}

static enum sandbox_network network_of(const struct runner *x)
{
	const char *n = x->r->network ? x->r->network : "host";

	return !strcmp(n, "none")      ? SANDBOX_NET_NONE
	       : !strcmp(n, "private") ? SANDBOX_NET_PRIVATE
	                               : SANDBOX_NET_HOST;
}

static int judge(const struct sandbox_result *res, struct err *e)
{
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
		return err_set(e, ERR_FAILED, "its command ran out of memory");
	case SANDBOX_TIMED_OUT:
		return err_set(e, ERR_FAILED, "its command took too long");
	case SANDBOX_INTERRUPTED:
		return err_set(e, ERR_CANCELLED, "interrupted");
	}
	return 0;
}

static const char *in_store(struct runner *x, const char *name)
{
	return arena_printf(&x->w->arena, "%s/%s/%s", x->w->node->build->o.store->path,
	                    x->at.staging, name);
}

static int run_command(struct runner *x, const char *home, struct strlist *stubs, struct err *e)
{
	struct strings env;
	struct sandbox_result res = { 0 };
	struct sandbox_spec spec = {
		.lower = (const char *const *)x->layers.paths.at, .n_lower = x->layers.paths.len,
		.upper = in_store(x, "upper"), .work = in_store(x, "work"),
		.argv = command_of(x), .workdir = x->at.workdir, .uid = x->at.user.uid,
		.gid = x->at.user.gid, .mounts = x->mounts.list.at,
		.n_mounts = x->mounts.list.len, .network = network_of(x), .line = print_line,
		.line_self = x,
	};
	int rc;

	if (run_environment(x->w, x->r, home, &env, e) < 0)
		return -1;
	spec.env = env.at;
	rc = sandbox_run(x->sandbox, &spec, &res, e);
	if (rc == 0)
		rc = judge(&res, e);
	for (size_t i = 0; i < res.stubs.len; i++)
		strlist_add(stubs, res.stubs.at[i]);
	sandbox_result_fini(&res);
	return rc;
}

static int take_difference(struct runner *x, const struct strlist *stubs, struct err *e)
{
	struct diff_options o = { .upper = x->upper, .lower = layers_view(&x->layers),
		                  .kind = x->probe->rootfs == SANDBOX_FUSE_OVERLAY
		                                  ? DIFF_FUSE_OVERLAY
		                                  : DIFF_OVERLAY,
		                  .stubs = stubs,
		                  .mtime = build_epoch(x->w->node->build),
		                  .flat = x->probe->users == SANDBOX_SINGLE,
		                  .no_devices = x->probe->users != SANDBOX_ROOT,
		                  .inside = x->inside };
	struct tree *t = &x->w->tree;

	if (diff_read(&x->diff, &o, e) < 0)
		return -1;
	for (size_t i = 0; i < x->diff.removed.n; i++)
		if (tree_remove(t, work_keep(x->w, x->diff.removed.at[i].path), e) < 0)
			return -1;
	for (size_t i = 0; i < x->diff.entries.n; i++) {
		struct toc_entry entry = x->diff.entries.at[i];
		struct content c = { .kind = CONTENT_NONE };

		entry.path = work_keep(x->w, entry.path);
		if (entry.type == TOC_FILE)
			c = (struct content){ .kind = CONTENT_PATH, .fd = x->upper,
				              .path = entry.path };
		if (tree_put(t, &entry, &c, 0755, e) < 0)
			return -1;
	}
	return 0;
}

static int remove_staging(void *arg, struct err *e)
{
	const struct runner *x = arg;

	return file_remove_tree(x->w->node->build->o.store->dir, x->at.staging, e);
}

void work_run_fini(struct work *w)
{
	struct runner *x = w->run;
	struct err ignored;

	if (!x)
		return;
	diff_fini(&x->diff);
	if (x->at.staging &&
	    (x->inside.call ? x->inside.call(x->inside.sandbox, remove_staging, x, &ignored)
	                    : remove_staging(x, &ignored)) < 0)
		progress_warning(w->node->build->o.progress, "%s", ignored.msg);
	layers_close(&x->layers);
	run_mounts_fini(&x->mounts);
	w->run = NULL;
}

static int run(struct runner *x, struct err *e)
{
	AUTO_STRLIST stubs = STRLIST_INIT;
	const char *home = "/";

	if (run_sandbox(x->w->node->build, &x->sandbox, e) < 0)
		return -1;
	x->probe = sandbox_probe_get(x->sandbox);
	x->at.users = x->probe->users;
	if (refuse_without_namespaces(x->probe, e) < 0)
		return -1;
	if (run_can_execute(&x->w->node->platform, e) < 0)
		return -1;
	if (run_learn_owners(x->w->node->build, x->probe->users, e) < 0)
		return -1;
	if (x->probe->users == SANDBOX_RANGE)
		x->inside = (struct inside){ sandbox_call, x->sandbox };
	x->at.workdir = workdir_of(x);
	if (find_user(x, &home, e) < 0 || open_layers(x, e) < 0 || make_staging(x, e) < 0 ||
	    run_mounts_make(&x->mounts, x->w, x->r, x->p, &x->at, e) < 0 ||
	    run_command(x, home, &stubs, e) < 0)
		return -1;
	return take_difference(x, &stubs, e);
}

int work_run(struct work *w, const struct step_run *r, const struct step_plan *p, struct err *e)
{
	struct runner *x = arena_alloc(&w->arena, sizeof(*x));

	x->w = w;
	x->r = r;
	x->p = p;
	x->upper = -1;
	w->run = x;   /* work_run_fini takes down whatever was set up */
	return run(x, e);
}

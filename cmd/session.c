#include "cmd/session.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "base/path.h"
#include "image/limits.h"
#include "lua/eval.h"
#include "os/jobserver.h"
#include "os/process.h"
#include "publish/deploy.h"
#include "recipe/graph.h"

/* The signal thread must find the build, and the registry calls, that are under way. */
static struct {
	pthread_mutex_t lock;
	struct build *build;
	struct registry *registry;
	atomic_bool interrupted;
	struct jobserver *jobs;
} current = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void set_current(struct build *b, struct registry *r)
{
	pthread_mutex_lock(&current.lock);
	current.build = b;
	current.registry = r;
	pthread_mutex_unlock(&current.lock);
}

const atomic_bool *session_interrupted(void)
{
	return &current.interrupted;
}

static void set_jobs(struct jobserver *j)
{
	pthread_mutex_lock(&current.lock);
	current.jobs = j;
	pthread_mutex_unlock(&current.lock);
}

void session_give_up(void)
{
	process_kill_all();
	pthread_mutex_lock(&current.lock);
	if (current.jobs)
		jobserver_give_all(current.jobs);
	pthread_mutex_unlock(&current.lock);
}

void session_interrupt(void)
{
	atomic_store(&current.interrupted, true);
	pthread_mutex_lock(&current.lock);
	if (current.build)
		build_cancel(current.build);
	if (current.registry)
		registry_cancel(current.registry);
	pthread_mutex_unlock(&current.lock);
	process_interrupt_all();
}

/* "NAME=VALUE": the list is ours, and put back by join_pairs. */
static struct pair *split_pairs(const struct strlist *l)
{
	struct pair *pairs = mem_alloc((l->len + 1) * sizeof(*pairs));

	for (size_t i = 0; i < l->len; i++) {
		char *eq = strchr(l->at[i], '=');

		*eq = '\0';
		pairs[i] = (struct pair){ l->at[i], eq + 1 };
	}
	return pairs;
}

static void join_pairs(struct pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((char *)pairs[i].value)[-1] = '=';
}

static int evaluate(struct session *s, struct err *e)
{
	const struct options *o = s->options;
	AUTO_FREE struct pair *variables = split_pairs(&o->variables);
	AUTO_FREE struct pair *contexts = split_pairs(&o->contexts);
	struct eval_options eval = { .file = o->file,
		                     .overrides = variables,
		                     .n_overrides = o->variables.len,
		                     .contexts = contexts,
		                     .n_contexts = o->contexts.len,
		                     .platforms = (const char *const *)o->platforms.at,
		                     .n_platforms = o->platforms.len,
		                     .progress = terminal_progress(s->terminal) };
	const char *names[64] = { NULL };
	size_t n = 0;
	int rc;

	for (const struct command *c = commands; c->name && n < ARRAY_LEN(names) - 1; c++)
		names[n++] = c->name;
	eval.convert = s->convert ? names : NULL;
	eval.lint = s->lint;
	eval.n_configs = base_configs_get(s->configs, &eval.configs);
	rc = eval_recipe(&s->recipe, &eval, e);
	join_pairs(variables, o->variables.len);
	join_pairs(contexts, o->contexts.len);
	return rc;
}

static int read_recipe(struct session *s, struct err *e)
{
	const char *names[64];
	size_t n = 0;

	if (evaluate(s, e) < 0)
		return -1;
	for (const struct command *c = commands; c->name && n < ARRAY_LEN(names) - 1; c++)
		names[n++] = c->name;
	names[n] = NULL;
	if (graph_check(s->recipe, names, e) < 0)
		return -1;
	return publish_check(s->recipe, e);
}

static int open_registry(struct session *s, struct err *e)
{
	const struct options *o = s->options;
	struct registry_options r = { .insecure = o->insecure,
		                      .mirrors = o->mirrors,
		                      .progress = terminal_progress(s->terminal),
		                      .store = s->store.state ? &s->store : NULL };

	if (registry_new(&s->registry, &r, e) < 0)
		return -1;
	set_current(NULL, s->registry);
	return 0;
}

static bool lock_strict(const struct session *s)
{
	const char *ci = getenv("CI");

	if (s->options->lock != LOCK_AUTO)
		return s->options->lock == LOCK_STRICT;
	return ci && !strcmp(ci, "true") && s->lock.exists;
}

static int read_epoch(struct build_options *o, struct err *e)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	char *end;

	if (!text || !*text)
		return 0;
	o->epoch = strtoll(text, &end, 10);
	if (*end || o->epoch < 0 || o->epoch > UINT32_MAX)
		return err_set(
			e, ERR_INVALID,
			"SOURCE_DATE_EPOCH is '%s', not a number of seconds since 1970",
			text);
	o->has_epoch = true;
	return 0;
}

static int read_platforms(struct session *s, struct platform **out, struct err *e)
{
	const struct strlist *l = &s->options->platforms;

	*out = mem_alloc((l->len + 1) * sizeof(**out));
	for (size_t i = 0; i < l->len; i++)
		if (platform_parse(&(*out)[i], l->at[i], e) < 0)
			return err_wrap(e, "--platform");
	return 0;
}

/* -W FILE or -o FILE as the user types it, relative to where they are, becomes relative
 * to the root. */
static void read_files(struct session *s, const struct strlist *given,
                       struct strlist *out)
{
	const struct recipe *r = s->recipe;

	for (size_t i = 0; i < given->len; i++) {
		const char *name = given->at[i];
		AUTO_BUF path = BUF_INIT;

		if (path_below(name, r->root) && name[strlen(r->root)] == '/')
			name += strlen(r->root) + 1;
		else if (*r->dir)
			path_join(&path, r->dir, name);
		if (!path.len)
			path_clean(&path, name);
		strlist_add(out, path.s);
	}
}

enum { MEMORY_MIN = 6 << 20 }; /* no program starts with less, as in Docker */

/* As make does when it is called by make: takes part in its job slots, unless -j says
 * otherwise. Returns how many jobs there may be. */
static int join_make(struct session *s)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct progress *p = terminal_progress(s->terminal);
	int jobs = s->options->jobs, theirs;

	if (s->jobs)
		return s->n_jobs;
	switch (jobserver_join(&s->jobs, getenv("MAKEFLAGS"), &theirs)) {
	case JOBSERVER_NONE: jobs = jobs ? jobs : theirs; break;
	case JOBSERVER_JOINED:
		if (!jobs) {
			set_jobs(s->jobs);
			jobs = theirs;
			break;
		}
		jobserver_close(s->jobs);
		s->jobs = NULL;
		progress_warning(p, "-j%d: not taking part in the job slots of make",
		                 jobs);
		break;
	case JOBSERVER_SHUT:
		if (!jobs)
			progress_warning(p, "make gives us no job slots: using -j1 (put "
			                    "'+' in front of its recipe line)");
		jobs = jobs ? jobs : 1;
		break;
	}
	s->n_jobs = jobs ? jobs : cpus > 0 ? (int)cpus : 1;
	return s->n_jobs;
}

static int open_build(struct session *s, struct err *e)
{
	const struct options *o = s->options;
	int jobs = join_make(s);
	struct build_options b = {
		.store = &s->store,
		.registry = s->registry,
		.lock = &s->lock,
		.progress = terminal_progress(s->terminal),
		.jobs = jobs,
		.shared_jobs = s->jobs,
		.limit_load = o->max_load > 0,
		.max_load = o->max_load,
		.always = o->always,
		.trace = o->trace,
		.keep_going = o->keep_going,
		.dry_run = s->store.read_only,
		.foresee = s->foresee,
		.lock_update = o->lock == LOCK_UPDATE,
		.lock_strict = lock_strict(s),
		.no_host = o->no_host,
		.runtime = o->runtime,
		.chroot = o->isolation == ISOLATION_CHROOT,
		.n_platforms = o->platforms.len,
		.limits = { o->timeout, o->memory, o->pids },
		.shell_on_fail = o->shell_on_fail && isatty(STDIN_FILENO),
	};
	AUTO_FREE struct platform *platforms = NULL;

	if (session_open_remote(s, e) < 0)
		return -1;
	b.remote = session_remote(s);
	b.distrust = s->distrust;
	if (secrets_load(&s->secrets, &o->secrets, e) < 0 || read_epoch(&b, e) < 0 ||
	    read_platforms(s, &platforms, e) < 0)
		return -1;
	if (o->memory && o->memory < MEMORY_MIN)
		return err_set(e, ERR_INVALID, "--memory: must be 6m or more");
	read_files(s, &o->touched, &s->touched);
	read_files(s, &o->old, &s->old);
	b.platforms = platforms;
	b.secrets = &s->secrets;
	b.touched = (const char *const *)s->touched.at;
	b.n_touched = s->touched.len;
	b.old = (const char *const *)s->old.at;
	b.n_old = s->old.len;
	if (build_new(&s->build, s->recipe, &b, e) < 0)
		return -1;
	s->platforms = STEAL(platforms);
	set_current(s->build, s->registry);
	return 0;
}

/* Dockerfiles mean something else on another base: they are evaluated again when it is
 * known, which may name further bases. */
static int learn_bases(struct session *s, struct err *e)
{
	enum { ROUNDS = 20 };
	int news = 0;

	for (int i = 0; i < ROUNDS; i++) {
		news = session_look_at_bases(s, e);
		if (news <= 0)
			return news;
		set_current(NULL, s->registry);
		build_free(s->build);
		s->build = NULL;
		recipe_free(s->recipe);
		s->recipe = NULL;
		if (read_recipe(s, e) < 0 || session_rebuild(s, e) < 0)
			return -1;
	}
	return err_set(e, ERR_LIMIT, "bases name further bases without end");
}

static bool has_imagefile(const struct options *o)
{
	return o->file || access("Imagefile", F_OK) == 0;
}

int session_open(struct session *s, const struct options *o, struct terminal *t,
                 unsigned parts, struct err *e)
{
	*s = (struct session){ .options = o,
		               .terminal = t,
		               .convert = (parts & SESSION_CONVERT) != 0,
		               .lint = (parts & SESSION_LINT) != 0,
		               .foresee = (parts & SESSION_FORESEE) != 0 };
	s->store.dir = s->store.lease = -1;
	for (size_t i = 0; i < o->limits.len; i++)
		if (image_limits_say(o->limits.at[i], e) < 0)
			return -1;
	if ((parts & SESSION_RECIPE ||
	     (parts & SESSION_RECIPE_IF_ANY && has_imagefile(o))) &&
	    read_recipe(s, e) < 0)
		return -1;
	if (s->recipe && lockfile_load(&s->lock, s->recipe->root_fd, e) < 0)
		return -1;
	if (parts & (SESSION_STORE | SESSION_STORE_READ) &&
	    store_open(&s->store, o->store, (parts & SESSION_STORE_READ) != 0, e) < 0)
		return -1;
	if (parts & SESSION_REGISTRY && open_registry(s, e) < 0)
		return -1;
	if (!(parts & SESSION_BUILD) || !s->recipe)
		return 0;
	if (o->shell_on_fail && !isatty(STDIN_FILENO))
		progress_warning(terminal_progress(t),
		                 "--shell-on-fail: standard input is no terminal, so no "
		                 "shell will be opened");
	return open_build(s, e) < 0 ? -1 : learn_bases(s, e);
}

void session_close(struct session *s)
{
	set_current(NULL, NULL);
	build_free(s->build);
	session_close_remote(s);
	set_jobs(NULL);
	jobserver_close(s->jobs);
	registry_free(s->registry);
	store_close(&s->store);
	lockfile_fini(&s->lock);
	recipe_free(s->recipe);
	base_configs_free(s->configs);
	strlist_fini(&s->touched);
	strlist_fini(&s->old);
	secrets_fini(&s->secrets);
	free(s->platforms);
	*s = (struct session){ .terminal = s->terminal };
}

int session_fail(struct session *s, const struct err *e)
{
	terminal_error(s->terminal, e);
	session_keep_bounds(s);
	session_close(s);
	return 2;
}

int session_end(struct session *s, int status)
{
	struct err e;

	session_keep_bounds(s);
	session_close(s);
	if (terminal_flush(s->terminal, &e) == 0)
		return status;
	terminal_error(s->terminal, &e);
	return 2;
}

/* Without `default {…}`, every image is a default. */
static void add_defaults(const struct recipe *r, struct target **out, size_t *n)
{
	for (size_t i = 0; i < r->n_defaults; i++)
		out[(*n)++] = r->defaults[i];
	for (size_t i = 0; !r->n_defaults && i < r->n_targets; i++)
		if (r->targets[i]->kind == TARGET_IMAGE)
			out[(*n)++] = r->targets[i];
}

/* A mistyped command is taken for a target. */
static void hint_command(const char *word, struct err *e)
{
	const char *names[64], *near;
	size_t n = 0;

	for (const struct command *c = commands; c->name && n < ARRAY_LEN(names); c++)
		names[n++] = c->name;
	near = strstr(e->msg, "did you mean") ? NULL : nearest_name(word, names, n);
	if (near)
		err_set(e, ERR_NOT_FOUND,
		        "no target '%s'; did you mean the command '%s'?", word, near);
}

int session_find_target(struct session *s, const char *word, struct target **out,
                        struct err *e)
{
	const struct recipe *r = s->recipe;
	AUTO_BUF below = BUF_INIT;
	struct err ignored;

	if (!strcmp(word, "default") && r->n_defaults == 1) {
		*out = r->defaults[0];
		return 0;
	}
	if (*r->dir) {
		buf_addf(&below, "%s/%s", r->dir, word);
		if (recipe_find(r, below.s, out, &ignored) == 0)
			return 0;
	}
	if (recipe_find(r, word, out, e) == 0)
		return 0;
	hint_command(word, e);
	return -1;
}

int session_targets(struct session *s, struct target ***out, size_t *n, struct err *e)
{
	const struct strlist *words = &s->options->words;
	const struct recipe *r = s->recipe;

	*out = mem_alloc((r->n_targets + r->n_defaults + words->len + 1) * sizeof(**out) *
	                 (words->len + 1));
	*n = 0;
	if (!words->len)
		add_defaults(r, *out, n);
	for (size_t i = 0; i < words->len; i++) {
		if (!strcmp(words->at[i], "default"))
			add_defaults(r, *out, n);
		else if (session_find_target(s, words->at[i], &(*out)[*n], e) < 0)
			return -1;
		else
			(*n)++;
	}
	if (!*n)
		return err_set(e, ERR_INVALID,
		               "the Imagefile has no image and no default; name a target "
		               "(imgmake list shows them)");
	return 0;
}

int session_plan(struct session *s, struct target *const *targets, size_t n,
                 struct err *e)
{
	if (build_plan(s->build, targets, n, e) < 0)
		return -1;
	return s->store.read_only ? 0 : lockfile_save(&s->lock, e);
}

/* A target of several platforms fails with one line, if it is the same. */
static size_t print_failures(struct session *s)
{
	AUTO(map_fini) struct map told = MAP_INIT;
	const struct target *t;
	const struct err *failure;

	for (size_t i = 0; (failure = build_failure(s->build, i, &t)); i++) {
		if (map_get(&told, failure->msg))
			continue;
		map_put(&told, failure->msg, (void *)failure);
		terminal_error(s->terminal, failure);
	}
	return told.len;
}

static size_t count_failures(const struct session *s)
{
	const struct target *t;
	size_t n = 0;

	while (build_failure(s->build, n, &t))
		n++;
	return n;
}

/* One failure is an error like any other; of more, each has its line, and the last one
 * counts them. */
static void sum_up(struct session *s, struct err *e)
{
	size_t skipped = s->options->keep_going ? build_skipped(s->build) : 0, n;
	if (count_failures(s) > 1 || (skipped && e->code == ERR_FAILED)) {
		n = print_failures(s);
		err_set(e, ERR_FAILED, "%zu target%s failed", n, n == 1 ? "" : "s");
		if (skipped)
			err_set(e, ERR_FAILED,
			        "%zu target%s failed; %zu that need%s %s %s not made", n,
			        n == 1 ? "" : "s", skipped, skipped == 1 ? "s" : "",
			        n == 1 ? "it" : "them", skipped == 1 ? "was" : "were");
	}
}

/* With -k, what could be planned is made although something else could not. */
int session_build(struct session *s, struct target *const *targets, size_t n,
                  struct err *e)
{
	struct err more;
	int planned = session_plan(s, targets, n, e), made = 0;

	if (planned == 0)
		made = build_make(s->build, e);
	else if (s->options->keep_going && e->code != ERR_CANCELLED)
		made = build_make(s->build, &more);
	if (planned == 0 && made == 0)
		return 0;
	if (e->code != ERR_CANCELLED)
		sum_up(s, e);
	return -1;
}

int session_rebuild(struct session *s, struct err *e)
{
	set_current(NULL, s->registry);
	build_free(s->build);
	s->build = NULL;
	strlist_fini(&s->touched);
	strlist_fini(&s->old);
	secrets_fini(&s->secrets);
	free(s->platforms);
	s->platforms = NULL;
	return open_build(s, e);
}

void session_print(struct session *s, const struct buf *text)
{
	terminal_print(s->terminal, text->s, text->len);
}

void session_print_json(struct session *s, json_t *j)
{
	AUTO_BUF text = BUF_INIT;

	json_write_pretty(&text, j);
	json_decref(j);
	session_print(s, &text);
}

void session_print_root(struct session *s, const struct descriptor *root)
{
	AUTO_BUF text = BUF_INIT;

	if (s->options->json) {
		session_print_json(s, descriptor_json(root));
		return;
	}
	buf_addf(&text, "%s\n", DIGEST_STR(&root->digest));
	session_print(s, &text);
}

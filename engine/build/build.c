#include "build/build.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "build/fileset.h"
#include "build/node.h"
#include "build/run.h"
#include "image/layer_files.h"
#include "image/toc.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/jobserver.h"
#include "os/process.h"
#include "recipe/graph.h"
#include "sandbox/layers.h"
#include "store/stat_cache.h"

bool build_cancelled(void *b)
{
	return atomic_load(&((struct build *)b)->cancelled);
}

void build_cancel(struct build *b)
{
	atomic_store(&b->cancelled, true);
	if (b->o.registry)
		registry_cancel(b->o.registry);
}

void build_on_layer(struct build *b,
                    void (*fn)(void *self, const struct target *image,
                               const struct descriptor *layer),
                    void *self)
{
	b->on_layer = fn;
	b->on_layer_self = self;
}

static bool take_token(void *jobserver)
{
	return jobserver_take(jobserver);
}

static void give_token(void *jobserver)
{
	jobserver_give(jobserver);
}

int build_new(struct build **out, const struct recipe *r, const struct build_options *o,
              struct err *e)
{
	struct build *b = mem_alloc(sizeof(*b));

	b->recipe = r;
	b->o = *o;
	atomic_init(&b->distrust, o->distrust);
	b->locks = -1;
	platform_host(&b->host);
	pthread_mutex_init(&b->lock, NULL);
	pthread_mutex_init(&b->shell, NULL);
	pthread_cond_init(&b->scanned, NULL);
	b->pool = pool_new(o->jobs);
	b->layers = layers_memory_new();
	b->cache = stat_cache_open(o->store->state);
	if (o->shared_jobs)
		pool_limit(b->pool, take_token, give_token, o->shared_jobs);
	*out = b;
	if (o->dry_run)
		return 0;
	if (host_open(b, e) == 0 && file_mkdirs(o->store->dir, "locks", 0700, e) == 0) {
		b->locks = openat(o->store->dir, "locks",
		                  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (b->locks >= 0)
			return 0;
		err_sys(e, "open locks in the store");
	}
	build_free(b);
	*out = NULL;
	return -1;
}

void build_free(struct build *b)
{
	if (!b)
		return;
	pool_free(b->pool);
	stat_cache_close(b->cache);
	build_exports_free(b);
	sandbox_close(b->sandbox);
	layers_memory_free(b->layers);
	nodes_free(b);
	settled_fini(&b->settled);
	for (size_t i = 0; i < b->tocs.len; i++) {
		toc_fini(b->tocs.at[i].value);
		free(b->tocs.at[i].value);
	}
	map_fini(&b->tocs);
	map_fini(&b->scanning);
	for (size_t i = 0; i < b->files.len; i++)
		layer_files_free(b->files.at[i].value);
	map_fini(&b->files);
	for (size_t i = 0; i < b->contexts.len; i++)
		context_close(b->contexts.at[i].value);
	map_fini(&b->contexts);
	map_fini(&b->resolved);
	map_fini(&b->times);
	jobserver_close(b->own_jobs);
	pthread_mutex_destroy(&b->lock);
	pthread_mutex_destroy(&b->shell);
	pthread_cond_destroy(&b->scanned);
	fd_close(&b->locks);
	arena_fini(&b->arena);
	free(b);
}

bool node_can_be_made(const struct node *n)
{
	return n->target->kind == TARGET_IMAGE || n->target->kind == TARGET_STAGE ||
	       n->target->kind == TARGET_TASK;
}

const struct node *node_waits_for(const struct node *n)
{
	bool rule = n->target->kind == TARGET_FILE;

	for (size_t i = 0; i < n->needs.len; i++) {
		const struct node *need = n->needs.at[i];

		if (need->status == STATUS_STALE && (need->target->kind == TARGET_FILE ||
		                                     (rule && node_can_be_made(need))))
			return need;
	}
	return NULL;
}

static int make_now(struct node *n, struct err *e)
{
	return n->target->kind == TARGET_TASK ? task_run(n, e) : node_make(n, e);
}

static int look_job(struct job *j, struct err *e)
{
	(void)e;
	node_look((struct node *)((char *)j - offsetof(struct node, look)));
	return 0;
}

static int plan_job(struct job *j, struct err *e)
{
	struct node *n = (struct node *)((char *)j - offsetof(struct node, plan));

	if (node_plan(n, e) < 0)
		return -1;
	if (!n->early || n->status != STATUS_STALE || !node_can_be_made(n) ||
	    n->build->o.dry_run)
		return 0;
	return make_now(n, e);
}

static int make_job(struct job *j, struct err *e)
{
	return make_now((struct node *)((char *)j - offsetof(struct node, make)), e);
}

enum { NETWORK_JOBS = 8 };

static int run_jobs(struct build *b, struct job **jobs, size_t n, struct err *e)
{
	struct schedule_options o = {
		.places = { b->o.jobs, NETWORK_JOBS, b->o.jobs },
		.keep_going = b->o.keep_going,
		.limit_load = b->o.limit_load,
		.max_load = b->o.max_load,
		.tokens = b->o.shared_jobs ? b->o.shared_jobs : b->own_jobs,
		.tokens_for_sandboxes = b->o.shared_jobs != NULL,
		.cancelled = build_cancelled,
		.self = b,
	};

	return schedule_run(jobs, n, &o, e);
}

/* What a multi-platform image is, once all its platforms are there. */
static int assemble_roots(struct build *b, struct err *e)
{
	if (!b->roots)
		b->roots = mem_alloc((b->recipe->n_targets + 1) * sizeof(*b->roots));
	for (size_t i = 0; i < b->nodes.len; i++) {
		const struct target *t = b->nodes.at[i]->target;
		AUTO_FREE struct platform *platforms = NULL;
		struct descriptor *d;
		size_t n;

		if (t->kind != TARGET_IMAGE || build_root(b, t) ||
		    (build_status(b, t) != STATUS_CURRENT &&
		     build_status(b, t) != STATUS_MADE))
			continue;
		target_platforms(b, t, &platforms, &n);
		d = arena_alloc(&b->arena, sizeof(*d));
		for (size_t k = 0; k < n; k++)
			if (!node_get(b, t, &platforms[k]))
				n = 0; /* needed by another image, for its platforms only
				        */
		if (n == 1)
			*d = node_get(b, t, &platforms[0])->manifest;
		else if (n && assemble_index(b, t, !b->o.dry_run, d, e) < 0)
			return -1;
		if (!n)
			continue;
		b->roots[t->index] = d;
		if (!b->o.dry_run && record_image(b, t, d, e) < 0)
			return -1;
	}
	return 0;
}

/* Only what was planned can be made. */
static void mark_unplanned(struct node *n)
{
	if (n->plan.state == JOB_FAILED)
		n->status = STATUS_FAILED;
	else if (n->plan.state != JOB_DONE)
		n->status = STATUS_UNKNOWN;
}

static void write_cache(void *cache)
{
	stat_cache_write(cache);
}

/* Beside what comes next: nothing waits for it but the end. */
static void keep_digests(struct build *b)
{
	stat_cache_rest(b->cache);
	if (!b->o.dry_run && stat_cache_has_news(b->cache))
		pool_submit(b->pool, write_cache, b->cache);
}

static void plan_after_needs(struct node *n)
{
	n->plan.run = plan_job;
	n->make.run = make_job;
	n->plan.needs =
		arena_alloc(&n->arena, (n->needs.len + 1) * sizeof(*n->plan.needs));
	for (size_t i = 0; i < n->needs.len; i++)
		if (n->needs.at[i]->plan.state != JOB_DONE)
			n->plan.needs[n->plan.n_needs++] = &n->needs.at[i]->plan;
	if (node_may_look(n)) {
		n->look.run = look_job;
		n->plan.needs[n->plan.n_needs++] = &n->look;
	}
}

/* The nodes from `before` on. */
static int plan_nodes(struct build *b, size_t before, struct err *e)
{
	AUTO_FREE struct job **jobs = NULL;
	size_t n = 0;
	int rc;

	jobs = mem_alloc((2 * b->nodes.len + 1) * sizeof(*jobs));
	for (size_t i = before; i < b->nodes.len; i++) {
		struct node *x = b->nodes.at[i];

		plan_after_needs(x);
		if (x->look.run)
			jobs[n++] = &x->look;
		jobs[n++] = &x->plan;
	}
	if (!b->o.dry_run && b->recipe->n_rules && times_expect(b, e) < 0)
		return -1;
	rc = run_jobs(b, jobs, n, e);
	keep_digests(b);
	for (size_t i = before; i < b->nodes.len; i++)
		mark_unplanned(b->nodes.at[i]);
	return rc;
}

int build_base_config(struct build *b, const struct target *t, const struct platform *p,
                      struct buf *out, struct err *e)
{
	size_t before = b->nodes.len;
	struct node *n;

	if (nodes_add_on(b, t, p, e) < 0 || plan_nodes(b, before, e) < 0)
		return -1;
	n = node_get(b, t, p);
	if (n->has_result)
		config_write(&n->result.config, out);
	return 0;
}

/* What was made since they were read may have changed their ignore files. */
static int reload_contexts(struct build *b, struct err *e)
{
	for (size_t i = 0; i < b->contexts.len; i++)
		if (context_reload(b->contexts.at[i].value, b->recipe, e) < 0)
			return -1;
	return 0;
}

int build_plan(struct build *b, struct target *const *targets, size_t n, struct err *e)
{
	size_t before = b->nodes.len;
	struct err own;
	int rc;

	if (reload_contexts(b, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (nodes_add(b, targets[i], e) < 0)
			return -1;
	rc = plan_nodes(b, before, e);
	if (rc < 0 && !b->o.keep_going)
		return -1;
	if (build_ask_remote(b, rc < 0 ? &own : e) < 0)
		return -1;
	if (record_results(b, rc < 0 ? &own : e) < 0)
		return -1;
	return assemble_roots(b, rc < 0 ? &own : e) < 0 ? -1 : rc;
}

static void want(struct node *n)
{
	if (n->wanted || n->status != STATUS_STALE || !node_can_be_made(n))
		return;
	n->wanted = true;
	for (size_t i = 0; i < n->needs.len; i++)
		want(n->needs.at[i]);
}

/* Stages are made only where something asked for needs them. A build may be asked again,
 * for more: what was made by then is stale no longer. */
static size_t choose(struct build *b, struct job **jobs)
{
	size_t n = 0;

	for (size_t i = 0; i < b->nodes.len; i++)
		b->nodes.at[i]->wanted = false;
	for (size_t i = 0; i < b->nodes.len; i++)
		if (b->nodes.at[i]->asked)
			want(b->nodes.at[i]);
	for (size_t i = 0; i < b->nodes.len; i++)
		if (b->nodes.at[i]->wanted)
			jobs[n++] = &b->nodes.at[i]->make;
	for (size_t i = 0; i < b->nodes.len; i++) {
		struct node *x = b->nodes.at[i];

		x->make.needs =
			arena_alloc(&x->arena, x->needs.len * sizeof(*x->make.needs));
		x->make.n_needs = 0;
		for (size_t k = 0; k < x->needs.len; k++)
			if (x->needs.at[k]->wanted)
				x->make.needs[x->make.n_needs++] = &x->needs.at[k]->make;
	}
	return n;
}

/* A rule that -o keeps from being looked at has no key of today. */
static bool has_record(const struct node *n)
{
	enum target_kind kind = n->target->kind;

	return (kind == TARGET_IMAGE || kind == TARGET_STAGE || kind == TARGET_FILE) &&
	       (n->status == STATUS_CURRENT || n->status == STATUS_MADE) &&
	       !rule_is_old(n->build, n->target);
}

static int record_all(struct build *b, struct err *e)
{
	for (size_t i = 0; i < b->nodes.len; i++)
		if (has_record(b->nodes.at[i]) && record_target(b->nodes.at[i], e) < 0)
			return -1;
	return 0;
}

static int make_once(struct build *b, struct err *e)
{
	AUTO_FREE struct job **jobs = mem_alloc((b->nodes.len + 1) * sizeof(*jobs));
	size_t n = choose(b, jobs);
	struct err own;
	int rc;

	if (n && times_expect(b, e) < 0)
		return -1;
	rc = run_jobs(b, jobs, n, e);
	for (size_t i = 0; i < b->nodes.len; i++)
		if (b->nodes.at[i]->make.state == JOB_FAILED)
			b->nodes.at[i]->status = STATUS_FAILED;
	/* What was made is recorded even if something else failed. */
	if (assemble_roots(b, rc < 0 ? &own : e) < 0 ||
	    record_all(b, rc < 0 ? &own : e) < 0 || times_save(b, rc < 0 ? &own : e) < 0)
		return -1;
	return rc;
}

/* A file was edited while it was packed: the plan no longer holds, so it is made anew,
 * once, and nothing is taken for known. */
static int make_again(struct build *b, struct err *e)
{
	VEC(struct target *) asked = { 0 };
	int rc;

	progress_warning(b->o.progress, "%s; planning again", e->msg);
	for (size_t i = 0; i < b->nodes.len; i++)
		if (b->nodes.at[i]->asked)
			vec_push(&asked, (struct target *)b->nodes.at[i]->target);
	nodes_free(b);
	stat_cache_distrust(b->cache);
	rc = build_plan(b, asked.at, asked.len, e);
	vec_fini(&asked);
	return rc < 0 ? -1 : make_once(b, e);
}

int build_make(struct build *b, struct err *e)
{
	int rc = make_once(b, e);

	if (rc < 0 && e->code == ERR_CHANGED)
		rc = make_again(b, e);
	build_export_caches(b);
	return rc;
}

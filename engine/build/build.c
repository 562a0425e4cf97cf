#include "build/build.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "build/fileset.h"
#include "build/node.h"
#include "image/toc.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/process.h"
#include "recipe/graph.h"

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

int build_new(struct build **out, const struct recipe *r, const struct build_options *o,
              struct err *e)
{
	struct build *b = mem_alloc(sizeof(*b));

	b->recipe = r;
	b->o = *o;
	b->locks = -1;
	pthread_mutex_init(&b->lock, NULL);
	b->pool = pool_new(o->jobs);
	*out = b;
	if (o->dry_run)
		return 0;
	if (file_mkdirs(o->store->dir, "locks", 0700, e) == 0) {
		b->locks = openat(o->store->dir, "locks", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (b->locks >= 0)
			return 0;
		err_sys(e, "open locks in the store");
	}
	build_free(b);
	*out = NULL;
	return -1;
}

static void node_fini(struct node *n)
{
	if (n->has_result)
		result_fini(&n->result);
	for (size_t i = 0; n->steps && i < n->target->n_steps; i++) {
		const struct step *s = &n->target->steps[i];

		fileset_free(n->steps[i].files);
		for (size_t k = 0; n->steps[i].inner && k < s->layer.n; k++)
			fileset_free(n->steps[i].inner[k].files);
	}
	key_fini(&n->key);
	vec_fini(&n->needs);
	arena_fini(&n->arena);
}

static void free_nodes(struct build *b)
{
	for (size_t i = 0; i < b->nodes.len; i++) {
		node_fini(b->nodes.at[i]);
		free(b->nodes.at[i]);
	}
	vec_fini(&b->nodes);
	map_fini(&b->by_name);
	map_fini(&b->roots);
}

void build_free(struct build *b)
{
	if (!b)
		return;
	pool_free(b->pool);
	free_nodes(b);
	for (size_t i = 0; i < b->tocs.len; i++) {
		toc_fini(b->tocs.at[i].value);
		free(b->tocs.at[i].value);
	}
	map_fini(&b->tocs);
	for (size_t i = 0; i < b->contexts.len; i++)
		context_close(b->contexts.at[i].value);
	map_fini(&b->contexts);
	pthread_mutex_destroy(&b->lock);
	fd_close(&b->locks);
	arena_fini(&b->arena);
	free(b);
}

/* Host rules, tasks and checks have no platform; a build stage has the builder's. */
static struct platform platform_of(const struct target *t, const struct platform *asked)
{
	struct platform p = { .os = "" };

	if (t->kind == TARGET_STAGE && t->on_build_platform)
		platform_host(&p);
	else if (asked &&
	         (t->kind == TARGET_BASE || t->kind == TARGET_STAGE || t->kind == TARGET_IMAGE))
		p = *asked;
	return p;
}

static void node_name(const struct target *t, const struct platform *p, struct buf *out)
{
	char text[100] = "";

	buf_addf(out, "%zu %s", t->index, *p->os ? platform_text(p, text) : "");
}

struct node *node_get(struct build *b, const struct target *t, const struct platform *p)
{
	struct platform own = platform_of(t, p);
	AUTO_BUF name = BUF_INIT;

	node_name(t, &own, &name);
	return map_get(&b->by_name, name.s);
}

void target_platforms(const struct build *b, const struct target *t, struct platform **out,
                      size_t *n)
{
	bool own = !b->o.n_platforms && t->platforms.n;
	struct err e;

	*n = b->o.n_platforms ? b->o.n_platforms : own ? t->platforms.n : 1;
	*out = mem_alloc(*n * sizeof(**out));
	for (size_t i = 0; i < *n; i++) {
		if (b->o.n_platforms)
			(*out)[i] = b->o.platforms[i];
		else if (!own || platform_parse(&(*out)[i], t->platforms.at[i], &e) < 0)
			platform_host(&(*out)[i]);
	}
}

static int check_platforms(const struct target *t, struct err *e)
{
	struct platform p;

	for (size_t i = 0; i < t->platforms.n; i++)
		if (platform_parse(&p, t->platforms.at[i], e) < 0)
			return err_wrap(e, PLACE_FMT "image '%s'", PLACE_ARG(t->place), t->name);
	return 0;
}

int build_context(struct build *b, const struct target *t, struct context **out, struct err *e)
{
	*out = map_get(&b->contexts, t->dir);
	if (*out)
		return 0;
	if (context_open(out, b->recipe, t->dir, e) < 0)
		return -1;
	map_put(&b->contexts, t->dir, *out);
	return 0;
}

static int plan_job(struct job *j, struct err *e)
{
	struct node *n = (struct node *)((char *)j - offsetof(struct node, plan));

	return node_plan(n, e);
}

static int make_job(struct job *j, struct err *e)
{
	struct node *n = (struct node *)((char *)j - offsetof(struct node, make));

	return n->target->kind == TARGET_TASK ? task_run(n, e) : node_make(n, e);
}

/* The node of a target and platform, with all that it needs. */
static int add_node(struct build *b, const struct target *t, const struct platform *asked,
                    struct node **out, struct err *e)
{
	AUTO_FREE struct target **needs = NULL;
	struct platform p = platform_of(t, asked);
	AUTO_BUF name = BUF_INIT;
	struct node *n, *need;
	size_t n_needs;

	*out = node_get(b, t, asked);
	if (*out)
		return 0;
	n = mem_alloc(sizeof(*n));
	n->build = b;
	n->target = t;
	n->platform = p;
	n->plan.run = plan_job;
	n->make.run = make_job;
	key_init(&n->key, &n->arena);
	*out = n;
	node_name(t, &p, &name);
	map_put(&b->by_name, name.s, n);
	vec_push(&b->nodes, n);
	if (build_context(b, t, &n->context, e) < 0 || check_platforms(t, e) < 0)
		return -1;
	graph_needs(b->recipe, t, &needs, &n_needs);
	for (size_t i = 0; i < n_needs; i++) {
		if (add_node(b, needs[i], *p.os ? &p : asked, &need, e) < 0)
			return -1;
		vec_push(&n->needs, need);
	}
	n->from = t->from ? node_get(b, t->from, &p) : NULL;
	return 0;
}

static int add_target(struct build *b, const struct target *t, struct err *e)
{
	AUTO_FREE struct platform *platforms = NULL;
	const struct target *image = t->kind == TARGET_CHECK ? t->image : t;
	struct node *n;
	size_t count;

	target_platforms(b, image, &platforms, &count);
	for (size_t i = 0; i < count; i++) {
		if (add_node(b, t, &platforms[i], &n, e) < 0)
			return -1;
		n->asked = true;
		if (add_node(b, image, &platforms[i], &n, e) < 0)
			return -1;
		n->asked = true;
	}
	return 0;
}

bool node_waits_for_rule(const struct node *n)
{
	for (size_t i = 0; i < n->needs.len; i++)
		if (n->needs.at[i]->target->kind == TARGET_FILE &&
		    n->needs.at[i]->status == STATUS_STALE)
			return true;
	return false;
}

static int run_jobs(struct build *b, struct job **jobs, size_t n, struct err *e)
{
	return schedule_run(jobs, n, b->o.jobs, b->o.keep_going, build_cancelled, b, e);
}

/* What a multi-platform image is, once all its platforms are there. */
static int assemble_roots(struct build *b, struct err *e)
{
	for (size_t i = 0; i < b->nodes.len; i++) {
		const struct target *t = b->nodes.at[i]->target;
		AUTO_FREE struct platform *platforms = NULL;
		struct descriptor *d;
		size_t n;

		if (t->kind != TARGET_IMAGE || map_get(&b->roots, t->name) ||
		    (build_status(b, t) != STATUS_CURRENT && build_status(b, t) != STATUS_MADE))
			continue;
		target_platforms(b, t, &platforms, &n);
		d = arena_alloc(&b->arena, sizeof(*d));
		for (size_t k = 0; k < n; k++)
			if (!node_get(b, t, &platforms[k]))
				n = 0;   /* needed by another image, for its platforms only */
		if (n == 1)
			*d = node_get(b, t, &platforms[0])->manifest;
		else if (n && assemble_index(b, t, !b->o.dry_run, d, e) < 0)
			return -1;
		if (!n)
			continue;
		map_put(&b->roots, t->name, d);
		if (!b->o.dry_run && record_image(b, t, d, e) < 0)
			return -1;
	}
	return 0;
}

int build_plan(struct build *b, struct target *const *targets, size_t n, struct err *e)
{
	AUTO_FREE struct job **jobs = NULL;
	size_t before = b->nodes.len;
	struct err own;
	int rc;

	for (size_t i = 0; i < n; i++)
		if (add_target(b, targets[i], e) < 0)
			return -1;
	jobs = mem_alloc((b->nodes.len + 1) * sizeof(*jobs));
	for (size_t i = before; i < b->nodes.len; i++) {
		struct node *x = b->nodes.at[i];

		x->plan.needs = arena_alloc(&x->arena, x->needs.len * sizeof(*x->plan.needs));
		for (size_t k = 0; k < x->needs.len; k++)
			if (x->needs.at[k]->plan.state != JOB_DONE)
				x->plan.needs[x->plan.n_needs++] = &x->needs.at[k]->plan;
		jobs[i - before] = &x->plan;
	}
	rc = run_jobs(b, jobs, b->nodes.len - before, e);
	if (rc < 0 && !b->o.keep_going)
		return -1;
	return assemble_roots(b, rc < 0 ? &own : e) < 0 ? -1 : rc;
}

static bool can_be_made(const struct node *n)
{
	return n->target->kind == TARGET_IMAGE || n->target->kind == TARGET_STAGE ||
	       n->target->kind == TARGET_TASK;
}

static void want(struct node *n)
{
	if (n->wanted || n->status != STATUS_STALE || !can_be_made(n))
		return;
	n->wanted = true;
	for (size_t i = 0; i < n->needs.len; i++)
		want(n->needs.at[i]);
}

/* Stages are made only where something asked for needs them. */
static size_t choose(struct build *b, struct job **jobs)
{
	size_t n = 0;

	for (size_t i = 0; i < b->nodes.len; i++)
		if (b->nodes.at[i]->asked)
			want(b->nodes.at[i]);
	for (size_t i = 0; i < b->nodes.len; i++)
		if (b->nodes.at[i]->wanted)
			jobs[n++] = &b->nodes.at[i]->make;
	for (size_t i = 0; i < b->nodes.len; i++) {
		struct node *x = b->nodes.at[i];

		x->make.needs = arena_alloc(&x->arena, x->needs.len * sizeof(*x->make.needs));
		x->make.n_needs = 0;
		for (size_t k = 0; k < x->needs.len; k++)
			if (x->needs.at[k]->wanted)
				x->make.needs[x->make.n_needs++] = &x->needs.at[k]->make;
	}
	return n;
}

static int record_all(struct build *b, struct err *e)
{
	for (size_t i = 0; i < b->nodes.len; i++) {
		struct node *n = b->nodes.at[i];

		if ((n->target->kind == TARGET_IMAGE || n->target->kind == TARGET_STAGE) &&
		    (n->status == STATUS_CURRENT || n->status == STATUS_MADE) &&
		    record_target(n, e) < 0)
			return -1;
	}
	return 0;
}

static int make_once(struct build *b, struct err *e)
{
	AUTO_FREE struct job **jobs = mem_alloc((b->nodes.len + 1) * sizeof(*jobs));
	size_t n = choose(b, jobs);
	struct err own;
	int rc = run_jobs(b, jobs, n, e);

	for (size_t i = 0; i < b->nodes.len; i++)
		if (b->nodes.at[i]->make.state == JOB_FAILED)
			b->nodes.at[i]->status = STATUS_FAILED;
	/* What was made is recorded even if something else failed. */
	if (assemble_roots(b, rc < 0 ? &own : e) < 0 || record_all(b, rc < 0 ? &own : e) < 0)
		return -1;
	return rc;
}

/* A file was edited while it was packed: the plan no longer holds, so it is made anew, once. */
static int make_again(struct build *b, struct err *e)
{
	VEC(struct target *) asked = { 0 };
	int rc;

	progress_warning(b->o.progress, "%s; planning again", e->msg);
	for (size_t i = 0; i < b->nodes.len; i++)
		if (b->nodes.at[i]->asked)
			vec_push(&asked, (struct target *)b->nodes.at[i]->target);
	free_nodes(b);
	rc = build_plan(b, asked.at, asked.len, e);
	vec_fini(&asked);
	return rc < 0 ? -1 : make_once(b, e);
}

int build_make(struct build *b, struct err *e)
{
	if (make_once(b, e) == 0)
		return 0;
	return e->code == ERR_CHANGED ? make_again(b, e) : -1;
}

int build_complete(struct build *b, const struct target *t, struct err *e)
{
	for (size_t i = 0; i < b->nodes.len; i++) {
		struct node *n = b->nodes.at[i];

		for (size_t k = 0; n->target == t && n->has_result && k < n->result.layers.len; k++)
			if (base_fetch_layer(b, n, &n->result.layers.at[k], e) < 0)
				return -1;
	}
	return 0;
}

static enum status worse(enum status a, enum status b)
{
	static const int rank[] = { [STATUS_CURRENT] = 0, [STATUS_MADE] = 1, [STATUS_STALE] = 2,
		                    [STATUS_UNKNOWN] = 3, [STATUS_FAILED] = 4 };

	return rank[b] > rank[a] ? b : a;
}

enum status build_status(const struct build *b, const struct target *t)
{
	enum status s = STATUS_CURRENT;
	bool any = false;

	for (size_t i = 0; i < b->nodes.len; i++) {
		if (b->nodes.at[i]->target != t)
			continue;
		any = true;
		s = worse(s, b->nodes.at[i]->status);
	}
	return any ? s : STATUS_UNKNOWN;
}

const struct descriptor *build_root(const struct build *b, const struct target *t)
{
	return map_get(&b->roots, t->name);
}

const struct err *build_failure(const struct build *b, size_t i, const struct target **t)
{
	for (size_t k = 0; k < b->nodes.len; k++) {
		const struct node *n = b->nodes.at[k];
		const struct job *failed = n->make.state == JOB_FAILED   ? &n->make
		                           : n->plan.state == JOB_FAILED ? &n->plan
		                                                         : NULL;

		if (!failed || i--)
			continue;
		*t = n->target;
		return &failed->err;
	}
	return NULL;
}

void build_each(const struct build *b, void (*fn)(void *self, const struct target *t, enum status s),
                void *self)
{
	for (size_t i = 0; i < b->recipe->n_targets; i++) {
		const struct target *t = b->recipe->targets[i];
		enum status s = build_status(b, t);

		if (s != STATUS_UNKNOWN)
			fn(self, t, s);
	}
}

/* The nodes of a build: one for each target and platform that something asks for. */
#include "build/fileset.h"
#include "build/node.h"
#include "recipe/graph.h"

#include <string.h>

/* Host rules, tasks and checks have no platform; a build stage has the builder's. */
static struct platform platform_of(const struct target *t, const struct platform *asked)
{
	struct platform p = { .os = "" };
	struct err ignored;

	if (asked && t->fixed_platform && *t->fixed_platform &&
	    platform_parse(&p, t->fixed_platform, &ignored) == 0)
		return p;
	if (t->kind == TARGET_STAGE && t->on_build_platform)
		platform_host(&p);
	else if (asked && (t->kind == TARGET_BASE || t->kind == TARGET_STAGE ||
	                   t->kind == TARGET_IMAGE))
		p = *asked;
	return p;
}

/* A build stage runs here, but knows for whom: there is one for each platform that asks.
 */
static struct platform asked_platform(const struct target *t,
                                      const struct platform *asked)
{
	return t->on_build_platform && asked ? *asked : platform_of(t, asked);
}

static bool same_platform(const struct platform *a, const struct platform *b)
{
	return !strcmp(a->arch, b->arch) && !strcmp(a->os, b->os) &&
	       !strcmp(a->variant, b->variant);
}

struct node *node_get(struct build *b, const struct target *t, const struct platform *p)
{
	struct platform asked = asked_platform(t, p);
	struct node *n = nodes_of(b, t);

	while (n && !same_platform(&n->for_platform, &asked))
		n = n->sibling;
	return n;
}

static bool has_platform(const struct platform *all, size_t n, const struct platform *p)
{
	for (size_t i = 0; i < n; i++)
		if (same_platform(&all[i], p))
			return true;
	return false;
}

void target_platforms(const struct build *b, const struct target *t,
                      struct platform **out, size_t *n)
{
	bool own = !b->o.n_platforms && t->platforms.n;
	struct err e;

	size_t asked = b->o.n_platforms ? b->o.n_platforms : own ? t->platforms.n : 1;

	*n = 0;
	*out = mem_alloc(asked * sizeof(**out));
	for (size_t i = 0; i < asked; i++) {
		struct platform p;

		if (b->o.n_platforms)
			p = b->o.platforms[i];
		else if (!own || platform_parse(&p, t->platforms.at[i], &e) < 0)
			p = b->host;
		if (!has_platform(*out, *n, &p))
			(*out)[(*n)++] = p;
	}
}

static int check_platforms(const struct target *t, struct err *e)
{
	struct platform p;

	for (size_t i = 0; i < t->platforms.n; i++)
		if (platform_parse(&p, t->platforms.at[i], e) < 0)
			return err_wrap(e, PLACE_FMT "image '%s'", PLACE_ARG(t->place),
			                t->name);
	return 0;
}

int build_context(struct build *b, const struct target *t, struct context **out,
                  struct err *e)
{
	AUTO_BUF name = BUF_INIT;

	buf_addf(&name, "%s\n%s", t->dir, t->ignore_file ? t->ignore_file : "\n");
	*out = map_get(&b->contexts, name.s);
	if (*out)
		return 0;
	if (context_open(out, b->recipe, t->dir, t->ignore_file, e) < 0)
		return -1;
	(*out)->cache = b->cache;
	(*out)->pool = b->pool;
	map_put(&b->contexts, name.s, *out);
	return 0;
}

/* Host rules run while planning, since keys depend on what they make: so does all that
 * they need. */
static void make_early(struct node *n)
{
	if (n->early)
		return;
	n->early = true;
	for (size_t i = 0; i < n->needs.len; i++)
		make_early(n->needs.at[i]);
}

static struct node *new_node(struct build *b, const struct target *t,
                             const struct platform *asked)
{
	enum { TEXTS = 512 }; /* of most */
	struct node *n, **last;

	if (!b->nodes.len)
		arena_expect(&b->of_nodes, 16 * (sizeof(*n) + TEXTS));
	n = arena_alloc(&b->of_nodes, sizeof(*n));
	arena_begin(&n->arena, arena_alloc(&b->of_nodes, TEXTS), TEXTS);
	n->build = b;
	n->target = t;
	n->platform = platform_of(t, asked);
	n->for_platform = asked_platform(t, asked);
	key_init(&n->key, &n->arena);
	vec_push(&b->nodes, n);
	if (!b->of_target)
		b->of_target = mem_alloc(b->recipe->n_targets * sizeof(struct node *));
	for (last = &b->of_target[t->index]; *last; last = &(*last)->sibling)
		continue;
	*last = n;
	return n;
}

/* What a node asks of another target: its own platform; build stages pass on for whom
 * they work. */
static const struct platform *platform_for(const struct node *n, const struct target *t,
                                           const struct platform *asked)
{
	if (!*n->platform.os)
		return asked;
	return t->on_build_platform ? &n->for_platform : &n->platform;
}

struct node *node_of(const struct node *n, const struct target *t)
{
	return node_get(n->build, t, platform_for(n, t, NULL));
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* Mostly that of the node before it. */
static int find_context(struct node *n, struct err *e)
{
	struct build *b = n->build;
	const struct node *last = b->nodes.len > 1 ? b->nodes.at[b->nodes.len - 2] : NULL;

	if (last && last->context && same_text(last->target->dir, n->target->dir) &&
	    same_text(last->target->ignore_file, n->target->ignore_file)) {
		n->context = last->context;
		return 0;
	}
	return build_context(b, n->target, &n->context, e);
}

/* The node of a target and platform, with all that it needs. */
static int add_node(struct build *b, const struct target *t, const struct platform *asked,
                    struct node **out, struct err *e)
{
	AUTO_FREE struct target **needs = NULL;
	struct node *n, *need;
	size_t n_needs;

	*out = node_get(b, t, asked);
	if (*out)
		return 0;
	*out = n = new_node(b, t, asked);
	if (find_context(n, e) < 0 || check_platforms(t, e) < 0)
		return -1;
	graph_needs(b->recipe, t, &needs, &n_needs);
	if (rule_is_old(b, t))
		n_needs = 0; /* it is not made, so they are not needed */
	for (size_t i = 0; i < n_needs; i++) {
		if (add_node(b, needs[i], platform_for(n, needs[i], asked), &need, e) < 0)
			return -1;
		vec_push(&n->needs, need);
	}
	n->from = t->from ? node_of(n, t->from) : NULL;
	if (t->kind == TARGET_FILE)
		make_early(n);
	return 0;
}

int nodes_add_on(struct build *b, const struct target *t, const struct platform *p,
                 struct err *e)
{
	struct node *n;

	return add_node(b, t, p, &n, e);
}

int nodes_add(struct build *b, const struct target *t, struct err *e)
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

const char *node_title(struct node *n)
{
	char text[100];

	if (!nodes_of(n->build, n->target)->sibling)
		return n->target->name;
	return arena_printf(&n->arena, "%s (%s)", n->target->name,
	                    platform_text(&n->for_platform, text));
}

int node_config(struct node *n, struct err *e)
{
	int rc;

	pthread_mutex_lock(&n->build->lock);
	rc = result_config(&n->result, e);
	pthread_mutex_unlock(&n->build->lock);
	return rc;
}

static void step_plans_fini(struct step_plan *plans, const struct step *steps, size_t n)
{
	for (size_t i = 0; plans && i < n; i++) {
		fileset_free(plans[i].files);
		for (size_t m = 0; plans[i].bound && m < steps[i].run.n_mounts; m++)
			fileset_free(plans[i].bound[m]);
		if (steps[i].kind == STEP_LAYER)
			step_plans_fini(plans[i].inner, steps[i].layer.at,
			                steps[i].layer.n);
	}
}

static void node_fini(struct node *n)
{
	if (n->has_result)
		result_fini(&n->result);
	step_plans_fini(n->steps, n->target->steps, n->target->n_steps);
	key_fini(&n->key);
	job_fini(&n->look);
	job_fini(&n->plan);
	job_fini(&n->make);
	vec_fini(&n->needs);
	arena_fini(&n->arena);
}

void nodes_free(struct build *b)
{
	for (size_t i = 0; i < b->nodes.len; i++)
		node_fini(b->nodes.at[i]);
	vec_fini(&b->nodes);
	arena_fini(&b->of_nodes);
	free(b->roots);
	free(b->of_target);
	b->roots = NULL;
	b->of_target = NULL;
}

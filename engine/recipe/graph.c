#include "recipe/graph.h"

#include <string.h>

#include "base/path.h"
#include "base/pattern.h"
#include "base/vec.h"
#include "recipe/outputs.h"

enum relation { UNRELATED, CONTAINS, INSIDE, SAME }; /* the later the closer */

static enum relation relation_of(const char *path, const char *output)
{
	if (!strcmp(path, output))
		return SAME;
	if (path_below(path, output))
		return INSIDE;
	if (!strcmp(path, ".") || path_below(output, path))
		return CONTAINS;
	return UNRELATED;
}

struct closest {
	const char *path;
	enum relation best;
	struct target *found;
};

static void take_closer(void *self, struct target *rule)
{
	struct closest *c = self;
	enum relation now = relation_of(c->path, rule->output);

	if (now > c->best || (now == c->best && rule->index < c->found->index)) {
		c->best = now;
		c->found = rule;
	}
}

struct target *graph_rule_for(const struct recipe *r, const char *path)
{
	AUTO_BUF clean = BUF_INIT;
	struct closest c = { .best = UNRELATED };

	path_clean(&clean, path);
	c.path = clean.s;
	outputs_near(r, clean.s, take_closer, &c);
	return c.found;
}

/* A directory that holds `path` matches. */
static bool parent_matches(const struct pattern *p, const char *path)
{
	AUTO_FREE char *at = mem_strdup(path);
	char *slash;

	while ((slash = strrchr(at, '/'))) {
		*slash = '\0';
		if (pattern_match(p, at))
			return true;
	}
	return false;
}

static bool is_directory_rule(const struct target *rule)
{
	size_t n = strlen(rule->name);

	return n > 0 && rule->name[n - 1] == '/';
}

struct needs {
	const struct recipe *recipe;
	const struct target *of;
	VEC(struct target *) found; /* in any order, with repeats */
};

static void mark(struct needs *s, struct target *t)
{
	if (t && t != s->of)
		vec_push(&s->found, t);
}

/* A pattern of one of a target's steps, and the rules whose outputs it may name. */
struct naming {
	struct needs *needs;
	const struct pattern *pattern; /* NULL: a path */
};

/* The rule's output relative to `dir`, or NULL if it is elsewhere. */
static const char *output_below(const struct target *rule, const char *dir)
{
	size_t n = strlen(dir);

	if (n == 0)
		return rule->output;
	return path_below(rule->output, dir) && rule->output[n] == '/'
	               ? rule->output + n + 1
	               : NULL;
}

static void mark_named(void *self, struct target *rule)
{
	const struct naming *m = self;
	const struct pattern *p = m->pattern;
	const char *output = output_below(rule, m->needs->of->dir);

	if (output && (!p || pattern_match(p, output) || parent_matches(p, output) ||
	               (is_directory_rule(rule) && pattern_may_match_below(p, output))))
		mark(m->needs, rule);
}

/* The directories in front of a pattern's first component that is none by itself. */
static void add_fixed_part(struct buf *out, const char *dir, const char *pattern)
{
	AUTO_BUF path = BUF_INIT;
	size_t n = strcspn(pattern, "*?[\\");

	while (pattern[n] && n && pattern[n - 1] != '/')
		n--;
	buf_addf(&path, "%s%s%.*s", dir, *dir ? "/" : "", (int)n, pattern);
	path_clean(out, path.s);
}

static void mark_rules(struct needs *s, const char *text)
{
	struct naming m = { s, NULL };
	AUTO_BUF fixed = BUF_INIT;
	struct pattern *p = NULL;
	struct err ignored;

	if (!s->recipe->n_rules)
		return;
	if (!pattern_is_literal(text) && pattern_new(&p, text, &ignored) < 0)
		return; /* whoever uses the pattern says what is wrong with it */
	m.pattern = p;
	add_fixed_part(&fixed, s->of->dir, text);
	outputs_near(s->recipe, fixed.s, mark_named, &m);
	pattern_free(p);
}

static void mark_patterns(struct needs *s, const struct strings *patterns)
{
	for (size_t i = 0; i < patterns->n; i++)
		mark_rules(s, patterns->at[i]);
}

static void mark_run(struct needs *s, const struct step_run *run)
{
	mark_patterns(s, &run->inputs);
	for (size_t i = 0; i < run->n_mounts; i++) {
		const struct run_mount *m = &run->mounts[i];

		mark(s, m->from);
		if (m->type == MOUNT_BIND && !m->from)
			mark_rules(s, m->source);
	}
}

static void mark_step(struct needs *s, const struct step *step)
{
	switch (step->kind) {
	case STEP_COPY:
		mark(s, step->copy.from);
		if (!step->copy.from)
			mark_patterns(s, &step->copy.sources);
		break;
	case STEP_UNPACK:
		mark(s, step->unpack.from);
		if (!step->unpack.from)
			mark_rules(s, step->unpack.source);
		break;
	case STEP_RUN: mark_run(s, &step->run); break;
	case STEP_LAYER:
		for (size_t i = 0; i < step->layer.n; i++)
			mark_step(s, &step->layer.at[i]);
		break;
	default: break;
	}
}

static int by_index(const void *a, const void *b)
{
	const struct target *const *x = a, *const *y = b;

	return (*x)->index < (*y)->index ? -1 : (*x)->index > (*y)->index;
}

/* "oci:DIR:TAG" and the like are files of the project, which a rule may make. */
static void mark_local_base(struct needs *s)
{
	static const char *const schemes[] = { "oci:", "oci-archive:",
		                               "docker-archive:" };
	const char *name = s->of->name;

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		size_t n = strlen(schemes[i]);
		AUTO_FREE char *path = NULL;

		if (strncmp(name, schemes[i], n))
			continue;
		path = mem_strndup(name + n, strcspn(name + n, ":"));
		mark_rules(s, path);
	}
}

/* What it hides decides what is copied. */
static void mark_ignore_file(struct needs *s)
{
	const struct target *t = s->of;

	if (t->ignore_file) {
		if (*t->ignore_file)
			mark(s, graph_rule_for(s->recipe, t->ignore_file));
		return;
	}
	for (const char *const *name = ignore_names; *name; name++)
		mark_rules(s, *name);
}

void graph_needs(const struct recipe *r, const struct target *t, struct target ***out,
                 size_t *n)
{
	struct needs s = { .recipe = r, .of = t };

	mark(&s, t->from);
	mark(&s, t->image);
	for (size_t i = 0; i < t->n_steps; i++)
		mark_step(&s, &t->steps[i]);
	if (t->n_steps && r->n_rules)
		mark_ignore_file(&s);
	if (t->kind == TARGET_BASE && r->n_rules)
		mark_local_base(&s);
	if (t->kind != TARGET_CHECK) /* whose deps are sources */
		mark_patterns(&s, &t->deps);
	for (size_t i = 0; i < t->n_needs; i++)
		mark(&s, t->needs[i]);
	if (s.found.len)
		qsort(s.found.at, s.found.len, sizeof(*s.found.at), by_index);
	*out = s.found.at;
	*n = 0;
	for (size_t i = 0; i < s.found.len; i++)
		if (!*n || (*out)[*n - 1] != s.found.at[i])
			(*out)[(*n)++] = s.found.at[i];
}

static int check_name(const struct recipe *r, const struct target *t,
                      const char *const *reserved, struct err *e)
{
	const struct target *first = map_get(&r->by_name, t->name);

	if (t->kind == TARGET_BASE)
		return 0;
	if (first != t)
		return err_set(e, ERR_INVALID,
		               PLACE_FMT "%s '%s': the name is taken, at %s:%d",
		               PLACE_ARG(t->place), target_kind_text(t->kind), t->name,
		               first->place.file, first->place.line);
	for (; reserved && *reserved && !t->of_dockerfile; reserved++)
		if (**reserved == *t->name && !strcmp(*reserved, t->name))
			return err_set(e, ERR_INVALID,
			               PLACE_FMT "%s '%s': that is the name of a command",
			               PLACE_ARG(t->place), target_kind_text(t->kind),
			               t->name);
	if (!strcmp(t->name, "default"))
		return err_set(e, ERR_INVALID,
		               PLACE_FMT
		               "%s 'default': the word stands for the default targets",
		               PLACE_ARG(t->place), target_kind_text(t->kind));
	return 0;
}

static bool has_files(const struct target *t)
{
	return t->kind == TARGET_BASE || t->kind == TARGET_STAGE ||
	       t->kind == TARGET_IMAGE;
}

static int check_source(const struct target *from, struct place at, const char *what,
                        struct err *e)
{
	if (!from || has_files(from))
		return 0;
	return err_set(e, ERR_INVALID, PLACE_FMT "%s: %s '%s' is no base, stage or image",
	               PLACE_ARG(at), what, target_kind_text(from->kind), from->name);
}

static int check_steps(const struct step *s, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		const char *what = step_kind_text(s[i].kind);
		int rc = 0;

		if (s[i].kind == STEP_COPY)
			rc = check_source(s[i].copy.from, s[i].place, what, e);
		else if (s[i].kind == STEP_UNPACK)
			rc = check_source(s[i].unpack.from, s[i].place, what, e);
		else if (s[i].kind == STEP_LAYER)
			rc = check_steps(s[i].layer.at, s[i].layer.n, e);
		for (size_t k = 0;
		     rc == 0 && s[i].kind == STEP_RUN && k < s[i].run.n_mounts; k++)
			rc = check_source(s[i].run.mounts[k].from, s[i].place, what, e);
		if (rc < 0)
			return -1;
	}
	return 0;
}

struct rival {
	const struct target *of, *found; /* the first one declared before it */
};

static void take_rival(void *self, struct target *rule)
{
	struct rival *v = self;

	if (rule->index < v->of->index && (!v->found || rule->index < v->found->index))
		v->found = rule;
}

/* Patterns may match it, and leave it out. */
static int check_own_deps(const struct target *t, struct err *e)
{
	for (size_t i = 0; t->output && i < t->deps.n; i++) {
		AUTO_BUF path = BUF_INIT;

		if (!pattern_is_literal(t->deps.at[i]))
			continue;
		path_join(&path, t->dir, t->deps.at[i]);
		if (!strcmp(path.s, t->output))
			return err_set(e, ERR_INVALID,
			               PLACE_FMT "file '%s': it is among its own deps",
			               PLACE_ARG(t->place), t->name);
	}
	return 0;
}

/* Two rules for one output, or for one inside of what another makes. */
static int check_output(const struct recipe *r, const struct target *t, struct err *e)
{
	struct rival v = { t, NULL };

	if (t->output)
		outputs_near(r, t->output, take_rival, &v);
	if (!v.found)
		return 0;
	return err_set(e, ERR_INVALID,
	               PLACE_FMT "file '%s': the rule for '%s' at %s:%d makes it too",
	               PLACE_ARG(t->place), t->name, v.found->name, v.found->place.file,
	               v.found->place.line);
}

struct visit {
	const struct recipe *recipe;
	enum { UNSEEN, OPEN, DONE } * state; /* by index */
	VEC(const struct target *) path;     /* the targets that are OPEN */
};

static int report_cycle(const struct visit *v, const struct target *t, struct err *e)
{
	AUTO_BUF way = BUF_INIT;
	size_t i = 0;

	while (i < v->path.len && v->path.at[i] != t)
		i++;
	for (; i < v->path.len; i++)
		buf_addf(&way, "%s → ", v->path.at[i]->name);
	return err_set(e, ERR_INVALID, PLACE_FMT "%s '%s' needs itself: %s%s",
	               PLACE_ARG(t->place), target_kind_text(t->kind), t->name, way.s,
	               t->name);
}

static int visit(struct visit *v, const struct target *t, struct err *e)
{
	AUTO_FREE struct target **needs = NULL;
	size_t n = 0;

	if (v->state[t->index] == DONE)
		return 0;
	if (v->state[t->index] == OPEN)
		return report_cycle(v, t, e);
	if (v->path.len > 1000)
		return err_set(e, ERR_LIMIT,
		               PLACE_FMT "%s '%s' stands on more than 1000 others",
		               PLACE_ARG(t->place), target_kind_text(t->kind), t->name);
	v->state[t->index] = OPEN;
	vec_push(&v->path, t);
	graph_needs(v->recipe, t, &needs, &n);
	for (size_t i = 0; i < n; i++)
		if (visit(v, needs[i], e) < 0)
			return -1;
	v->path.len--;
	v->state[t->index] = DONE;
	return 0;
}

static int check_cycles(const struct recipe *r, struct err *e)
{
	struct visit v = { .recipe = r };
	int rc = 0;

	v.state = mem_alloc((r->n_targets + 1) * sizeof(*v.state));
	for (size_t i = 0; rc == 0 && i < r->n_targets; i++)
		rc = visit(&v, r->targets[i], e);
	vec_fini(&v.path);
	free(v.state);
	return rc;
}

int graph_check(const struct recipe *r, const char *const *reserved, struct err *e)
{
	for (size_t i = 0; i < r->n_targets; i++) {
		const struct target *t = r->targets[i];

		if (check_name(r, t, reserved, e) < 0 ||
		    check_source(t->from, t->place, "from", e) < 0 ||
		    check_steps(t->steps, t->n_steps, e) < 0 ||
		    check_output(r, t, e) < 0 || check_own_deps(t, e) < 0)
			return -1;
	}
	return check_cycles(r, e);
}

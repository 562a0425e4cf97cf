/* imgmake why: which input makes a target out of date. Also the reasons that a dry run
 * prints. */
#include <stdlib.h>

#include "cmd/commands.h"
#include "cmd/compare.h"
#include "recipe/graph.h"

struct reasons {
	struct buf *text; /* or NULL */
	json_t *list;     /* or NULL */
	size_t n, most;
};

static json_t *text_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

json_t *difference_json(const char *what, const char *was, const char *is)
{
	return json_pack("{s:s,s:o,s:o}", "input", what, "was", text_or_null(was), "is",
	                 text_or_null(is));
}

static void add_reason(void *self, const char *name, const char *was, const char *is)
{
	struct reasons *r = self;

	if (r->list)
		json_array_append_new(r->list, difference_json(name, was, is));
	if (r->text && r->n < r->most) {
		buf_adds(r->text, "  ");
		build_tell(r->text, name, was, is);
	}
	r->n++;
}

int why_text(struct session *s, const struct target *t, size_t most, struct buf *out,
             struct err *e)
{
	struct reasons r = { .text = out, .most = most };

	if (build_why(s->build, t, add_reason, &r, e) < 0)
		return -1;
	if (r.n > most)
		buf_addf(out, "  and %zu more (imgmake why %s)\n", r.n - most, t->name);
	return 0;
}

int why_json(struct session *s, const struct target *t, json_t **out, struct err *e)
{
	struct reasons r = { .list = json_array() };

	*out = r.list;
	return build_why(s->build, t, add_reason, &r, e);
}

static bool has_reasons(const struct target *t)
{
	return t->kind == TARGET_IMAGE || t->kind == TARGET_STAGE ||
	       t->kind == TARGET_FILE;
}

static int explain(struct session *s, const struct target *t, struct buf *out,
                   struct err *e)
{
	if (build_status(s->build, t) == STATUS_CURRENT) {
		buf_addf(out, "%s is up to date", t->name);
		return build_why_last(s->build, t, out, e);
	}
	buf_addf(out, "%s is out of date:\n", t->name);
	return why_text(s, t, SIZE_MAX, out, e);
}

/* Targets, each once. */
struct chain {
	VEC(struct target *) at;
	bool *in;
};

static void link_one(struct chain *c, struct target *t)
{
	if (c->in[t->index])
		return;
	c->in[t->index] = true;
	vec_push(&c->at, t);
}

/* The targets, and what makes them out of date down to its cause: behind each what it
 * needs and is out of date itself. */
static void find_causes(struct session *s, struct target *const *targets, size_t n,
                        struct chain *c)
{
	c->in = mem_alloc((s->recipe->n_targets + 1) * sizeof(*c->in));
	for (size_t i = 0; i < n; i++)
		link_one(c, targets[i]);
	for (size_t i = 0; i < c->at.len; i++) {
		AUTO_FREE struct target **needs = NULL;
		size_t count;

		if (build_status(s->build, c->at.at[i]) != STATUS_STALE)
			continue;
		graph_needs(s->recipe, c->at.at[i], &needs, &count);
		for (size_t k = 0; k < count; k++)
			if ((has_reasons(needs[k]) ||
			     needs[k]->kind == TARGET_BASE) && /* of a rule's */
			    build_status(s->build, needs[k]) == STATUS_STALE)
				link_one(c, needs[k]);
	}
}

static int explain_all(struct session *s, struct target *const *targets, size_t n,
                       struct err *e)
{
	AUTO_BUF out = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		if (has_reasons(targets[i]) && explain(s, targets[i], &out, e) < 0)
			return -1;
	session_print(s, &out);
	return 0;
}

static int explain_json(struct session *s, struct target *const *targets, size_t n,
                        struct err *e)
{
	json_t *all = json_array(), *reasons;

	for (size_t i = 0; i < n; i++) {
		if (targets[i]->kind == TARGET_BASE)
			continue;
		if (why_json(s, targets[i], &reasons, e) < 0) {
			json_decref(all);
			return -1;
		}
		json_array_append_new(
			all,
			json_pack("{s:s,s:b,s:o}", "target", targets[i]->name, "current",
		                  build_status(s->build, targets[i]) == STATUS_CURRENT,
		                  "reasons", reasons));
	}
	session_print_json(s, all);
	return 0;
}

/* Not what changed since the last build, but what an image that somebody has is made
 * otherwise. */
static int compare_with(struct session *s, const struct target *t, struct err *e)
{
	const struct options *o = s->options;
	AUTO_BUF text = BUF_INIT, lines = BUF_INIT;
	struct comparison c = {
		.was = o->against, .is = t->name, .target = t, .indent = "  "
	};

	if (t->kind != TARGET_IMAGE)
		return err_set(e, ERR_INVALID,
		               "why --against: '%s' is a %s; only images can be compared",
		               t->name, target_kind_text(t->kind));
	if (o->json)
		c.list = json_array();
	else
		c.text = &lines;
	if (compare_images(s, &c, e) < 0) {
		json_decref(c.list);
		return -1;
	}
	if (o->json) {
		session_print_json(s, c.list);
		return 0;
	}
	buf_addf(&text, c.n ? "%s differs from %s:\n" : "%s is the same as %s\n", t->name,
	         o->against);
	buf_add(&text, lines.s, lines.len);
	session_print(s, &text);
	return 0;
}

static int why_against(const struct options *o, struct terminal *t)
{
	AUTO_FREE struct target **targets = NULL;
	struct session s;
	struct err e;
	size_t n;

	if (session_open(&s, o, t,
	                 SESSION_RECIPE | SESSION_STORE | SESSION_REGISTRY |
	                         SESSION_BUILD,
	                 &e) < 0 ||
	    session_targets(&s, &targets, &n, &e) < 0)
		return session_fail(&s, &e);
	if (n != 1) {
		err_set(&e, ERR_INVALID, "why --against: name one image");
		return session_fail(&s, &e);
	}
	if (compare_with(&s, targets[0], &e) < 0)
		return session_fail(&s, &e);
	return session_end(&s, 0);
}

int cmd_why(const struct options *o, struct terminal *t)
{
	AUTO_FREE struct target **targets = NULL;
	struct chain c = { .in = NULL };
	struct session s;
	struct err e;
	size_t n;
	int rc;

	if (o->against)
		return why_against(o, t);
	if (session_open(&s, o, t,
	                 SESSION_RECIPE | SESSION_STORE_READ | SESSION_REGISTRY |
	                         SESSION_BUILD,
	                 &e) < 0 ||
	    session_targets(&s, &targets, &n, &e) < 0 ||
	    session_plan(&s, targets, n, &e) < 0 ||
	    (find_causes(&s, targets, n, &c),
	     o->json ? explain_json(&s, c.at.at, c.at.len, &e)
	             : explain_all(&s, c.at.at, c.at.len, &e)) < 0)
		rc = session_fail(&s, &e);
	else
		rc = session_end(&s, 0);
	vec_fini(&c.at);
	free(c.in);
	return rc;
}

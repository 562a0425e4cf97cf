/* imgmake build, plan, check, clean. */
#include <string.h>

#include "cmd/commands.h"

#include "build/rule.h"

const char *status_text(enum status s)
{
	static const char *const texts[] = {
		[STATUS_UNKNOWN] = "not looked at", [STATUS_CURRENT] = "up to date",
		[STATUS_STALE] = "out of date",     [STATUS_MADE] = "made",
		[STATUS_FAILED] = "failed",
	};

	return texts[s];
}

struct listing {
	struct session *s;
	struct buf text;
	json_t *json;
	size_t stale;
	int rc;
	struct err *e;
};

static bool is_work(const struct target *t)
{
	return t->kind != TARGET_BASE && t->kind != TARGET_CHECK;
}

static void add_reasons(struct listing *l, const struct target *t)
{
	if (t->kind != TARGET_TASK)
		l->rc = why_text(l->s, t, 3, &l->text, l->e);
}

static void plan_line(void *self, const struct target *t, enum status status)
{
	struct listing *l = self;

	if (!is_work(t) || status != STATUS_STALE || l->rc < 0)
		return;
	l->stale++;
	buf_addf(&l->text, "would %s %s %s\n", t->kind == TARGET_TASK ? "run" : "make",
	         target_kind_text(t->kind), t->name);
	add_reasons(l, t);
}

static void explain_stale(void *self, const struct target *t, enum status status)
{
	struct listing *l = self;

	if (t->kind == TARGET_TASK || !is_work(t) || status != STATUS_STALE || l->rc < 0)
		return;
	buf_addf(&l->text, "%s is out of date:\n", t->name);
	add_reasons(l, t);
}

static void plan_json(void *self, const struct target *t, enum status status)
{
	struct listing *l = self;
	const struct descriptor *root = build_root(l->s->build, t);
	json_t *reasons, *j;

	if (!is_work(t) || l->rc < 0)
		return;
	l->stale += status == STATUS_STALE;
	l->rc = why_json(l->s, t, &reasons, l->e);
	j = json_pack("{s:s,s:s,s:s,s:o}", "target", t->name, "kind",
	              target_kind_text(t->kind), "status", status_text(status), "reasons",
	              reasons);
	if (root)
		json_object_set_new(j, "digest", json_string(DIGEST_STR(&root->digest)));
	json_array_append_new(l->json, j);
}

/* -n, -q, plan: looks, and writes nothing at all. */
static int look(const struct options *o, struct terminal *t)
{
	AUTO_FREE struct target **targets = NULL;
	struct session s;
	struct err e;
	struct listing l = { .s = &s, .text = BUF_INIT, .e = &e };
	size_t n;

	if (session_open(&s, o, t,
	                 SESSION_RECIPE | SESSION_STORE_READ | SESSION_REGISTRY |
	                         SESSION_BUILD,
	                 &e) < 0 ||
	    session_targets(&s, &targets, &n, &e) < 0 ||
	    session_plan(&s, targets, n, &e) < 0)
		return session_fail(&s, &e);
	if (o->json)
		l.json = json_array();
	build_each(s.build, o->json ? plan_json : plan_line, &l);
	if (o->json)
		session_print_json(&s, l.json);
	else if (!o->question)
		session_print(&s, &l.text);
	buf_fini(&l.text);
	if (l.rc < 0)
		return session_fail(&s, &e);
	if (!l.stale && !o->json && !o->question)
		terminal_note(t, "nothing to do");
	return session_end(&s, o->question && l.stale ? 1 : 0);
}

static void summary_line(void *self, const struct target *t, enum status status)
{
	struct listing *l = self;
	const struct descriptor *root = build_root(l->s->build, t);

	if (status == STATUS_MADE)
		l->stale++;
	if (!l->json) {
		if (status == STATUS_MADE && root)
			terminal_note(l->s->terminal, "%s is %s", t->name,
			              DIGEST_STR(&root->digest));
		return;
	}
	if (is_work(t))
		plan_json(self, t, status);
}

static int print_explanations(struct session *s, struct err *e)
{
	struct listing l = { .s = s, .text = BUF_INIT, .e = e };

	build_each(s->build, explain_stale, &l);
	for (const char *line = l.text.s, *end; (end = strchr(line, '\n'));
	     line = end + 1)
		terminal_note(s->terminal, "%.*s", (int)(end - line), line);
	buf_fini(&l.text);
	return l.rc;
}

/* Up to the last of the first tasks that follow each other. */
static size_t up_to_tasks(struct target *const *targets, size_t n)
{
	size_t i = 0;

	while (i < n && targets[i]->kind != TARGET_TASK)
		i++;
	while (i < n && targets[i]->kind == TARGET_TASK)
		i++;
	return i;
}

static int make_some(struct session *s, struct target **targets, size_t n, struct err *e)
{
	if (s->options->debug == DEBUG_EXPLAIN) {
		if (session_plan(s, targets, n, e) < 0 || print_explanations(s, e) < 0)
			return -1;
	}
	return session_build(s, targets, n, e);
}

/* Whatever a task changes, what is named behind it is judged by, as in make. */
static int make(struct session *s, struct target **targets, size_t n, struct err *e)
{
	struct err own;
	int rc = 0;

	for (size_t i = 0, some; i < n; i += some) {
		some = up_to_tasks(targets + i, n - i);
		if (make_some(s, targets + i, some, &own) == 0)
			continue;
		*e = own;
		rc = -1;
		if (!s->options->keep_going || own.code == ERR_CANCELLED)
			break;
	}
	return rc;
}

int cmd_build(const struct options *o, struct terminal *t)
{
	AUTO_FREE struct target **targets = NULL;
	struct session s;
	struct err e;
	struct listing l = { .s = &s, .e = &e };
	size_t n;

	if (o->dry_run || o->question)
		return look(o, t);
	if (session_open(&s, o, t,
	                 SESSION_RECIPE | SESSION_STORE | SESSION_REGISTRY |
	                         SESSION_BUILD,
	                 &e) < 0 ||
	    session_targets(&s, &targets, &n, &e) < 0 || make(&s, targets, n, &e) < 0)
		return session_fail(&s, &e);
	l.json = o->json ? json_array() : NULL;
	build_each(s.build, summary_line, &l);
	if (o->json)
		session_print_json(&s, l.json);
	if (!l.stale)
		terminal_note(t, "nothing to do");
	return session_end(&s, 0);
}

int cmd_plan(const struct options *o, struct terminal *t)
{
	return look(o, t);
}

static int check_all(struct session *s, struct target **targets, size_t n, struct err *e)
{
	if (session_build(s, targets, n, e) < 0)
		return -1;
	if (build_check(s->build, targets, n, e) == 0)
		return 0;
	return session_without_remote(s, e) < 0 ? -1 : check_all(s, targets, n, e);
}

int cmd_check(const struct options *o, struct terminal *t)
{
	AUTO_FREE struct target **targets = NULL;
	struct session s;
	struct err e;
	size_t n;

	if (session_open(&s, o, t,
	                 SESSION_RECIPE | SESSION_STORE | SESSION_REGISTRY |
	                         SESSION_BUILD,
	                 &e) < 0 ||
	    session_targets(&s, &targets, &n, &e) < 0 ||
	    check_all(&s, targets, n, &e) < 0)
		return session_fail(&s, &e);
	return session_end(&s, 0);
}

/* Removes what `file` rules made. */
int cmd_clean(const struct options *o, struct terminal *t)
{
	AUTO_BUF removed = BUF_INIT;
	struct session s;
	struct err e;

	if (session_open(&s, o, t, SESSION_RECIPE, &e) < 0 ||
	    rule_clean(s.recipe, o->dry_run, &removed, &e) < 0)
		return session_fail(&s, &e);
	session_print(&s, &removed);
	return session_end(&s, 0);
}

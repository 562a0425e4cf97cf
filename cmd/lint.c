#include "cmd/lint.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/commands.h"
#include "cmd/table.h"
#include "image/reference.h"
#include "os/file.h"
#include "recipe/graph.h"

enum { RECIPE_MAX = 4 << 20 };

void lint_add(struct lint *l, const char *rule, const struct place *p,
              const struct target *t, struct buf *message)
{
	struct finding f = { .rule = lint_rule_find(rule, strlen(rule)),
		             .place = *p,
		             .target = t };

	for (size_t i = 0; i < l->list.len; i++) {
		const struct finding *old = &l->list.at[i];

		if (old->rule == f.rule && old->place.line == p->line &&
		    !strcmp(old->place.file, p->file)) {
			buf_fini(message);
			return;
		}
	}
	f.message = buf_take(message);
	vec_push(&l->list, f);
}

/* What the library found in the recipe. */
static int take_recipe(struct lint *l, struct err *e)
{
	struct recipe *r = l->s->recipe;
	AUTO_JSON *list = NULL;
	json_t *item;
	size_t i;

	if (json_read(&list, r->text, strlen(r->text), e) < 0)
		return err_wrap(e, "findings");
	json_array_foreach(list, i, item)
	{
		const char *rule = "", *file = "", *target = "", *message = "";
		struct target *t = NULL;
		struct buf text = BUF_INIT;
		int64_t line = 0;
		struct err ignored;

		if (json_member_str(item, "rule", true, &rule, e) < 0 ||
		    json_member_str(item, "file", true, &file, e) < 0 ||
		    json_member_str(item, "target", true, &target, e) < 0 ||
		    json_member_str(item, "message", true, &message, e) < 0 ||
		    json_member_int(item, "line", true, &line, e) < 0)
			return err_wrap(e, "findings");
		if (*target && recipe_find(r, target, &t, &ignored) < 0)
			t = NULL;
		for (size_t k = 0; *target && !t && k < r->n_targets; k++)
			if (!strcmp(r->targets[k]->name, target))
				t = r->targets[k];
		buf_adds(&text, message);
		lint_add(l, rule,
		         &(struct place){ arena_strdup(&r->arena, file), (int)line }, t,
		         &text);
	}
	return 0;
}

static bool is_local(const char *name)
{
	return !strncmp(name, "oci:", 4) || !strncmp(name, "oci-archive:", 12) ||
	       !strncmp(name, "docker-archive:", 15);
}

/* 1: it means the same tomorrow. */
static int is_pinned(const struct lint *l, const struct target *base, struct err *e)
{
	AUTO_FREE char *name = NULL;
	struct reference ref;
	struct digest d;

	if (is_local(base->name))
		return 1;
	if (reference_parse(&ref, base->name, e) < 0)
		return -1;
	if (ref.has_digest)
		return 1;
	name = reference_text(&ref);
	return lockfile_get(&l->s->lock, LOCK_BASES, name, &d, e);
}

static int check_pins(struct lint *l, const bool *meant, struct err *e)
{
	const struct recipe *r = l->s->recipe;

	for (size_t i = 0; i < r->n_targets; i++) {
		const struct target *t = r->targets[i];
		struct buf text = BUF_INIT;
		int pinned = 1;

		if (t->kind == TARGET_BASE && meant[i])
			pinned = is_pinned(l, t, e);
		if (pinned < 0)
			return -1;
		if (pinned)
			continue;
		buf_addf(
			&text,
			"'%s' is not in Imagefile.lock: build once and commit the lock, or "
			"name the digest",
			t->name);
		lint_add(l, "unpinned", &t->place, t, &text);
	}
	return 0;
}

static void mark(const struct recipe *r, struct target *t, bool *meant)
{
	AUTO_FREE struct target **needs = NULL;
	size_t n = 0;

	if (meant[t->index])
		return;
	meant[t->index] = true;
	graph_needs(r, t, &needs, &n);
	for (size_t i = 0; i < n; i++)
		mark(r, needs[i], meant);
}

/* The targets that were named with all they need; without names, all. Bases that nothing
 * needs are not looked at for pins. */
static int choose(struct lint *l, bool *meant, struct err *e)
{
	const struct recipe *r = l->s->recipe;
	const struct strlist *words = &l->s->options->words;
	struct target *t;

	for (size_t i = 0; i < words->len; i++) {
		if (session_find_target(l->s, words->at[i], &t, e) < 0)
			return -1;
		mark(r, t, meant);
	}
	for (size_t i = 0; !words->len && i < r->n_targets; i++)
		if (r->targets[i]->kind != TARGET_BASE)
			mark(r, r->targets[i], meant);
	return 0;
}

/* Of an image that stands on what is not pinned nothing can be current, and a plan would
 * ask registries. */
static int has_pins(struct lint *l, struct target *t, bool *out, struct err *e)
{
	const struct recipe *r = l->s->recipe;
	AUTO_FREE bool *needed = mem_alloc((r->n_targets + 1) * sizeof(*needed));
	int pinned = 1;

	mark(r, t, needed);
	for (size_t i = 0; pinned > 0 && i < r->n_targets; i++)
		if (needed[i] && r->targets[i]->kind == TARGET_BASE)
			pinned = is_pinned(l, r->targets[i], e);
	*out = pinned > 0;
	return pinned < 0 ? -1 : 0;
}

static void not_seen(struct lint *l, const struct target *t, const char *why)
{
	AUTO_BUF text = BUF_INIT;

	buf_addf(&text, "%s: %s", t->name, why);
	strlist_add(&l->not_seen, text.s);
}

static int look_at_image(struct lint *l, struct target *t, struct err *e)
{
	bool pinned;

	if (has_pins(l, t, &pinned, e) < 0)
		return -1;
	if (!pinned) {
		not_seen(l, t, "its base is not in the lock yet");
		return 0;
	}
	if (session_plan(l->s, &t, 1, e) < 0) {
		if (e->code == ERR_CANCELLED)
			return -1;
		not_seen(l, t, e->msg);
		return 0;
	}
	if (!build_root(l->s->build, t)) {
		not_seen(l, t, "it is not built, or out of date");
		return 0;
	}
	return lint_image(l, t, e);
}

static int look_at_images(struct lint *l, const bool *meant, struct err *e)
{
	const struct recipe *r = l->s->recipe;

	for (size_t i = 0; i < r->n_targets; i++)
		if (r->targets[i]->kind == TARGET_IMAGE && meant[i] &&
		    look_at_image(l, r->targets[i], e) < 0)
			return -1;
	return 0;
}

/* "lint: allow root-user, wasted because …": names of rules up to a word that is none. */
static bool line_allows(const char *line, size_t n, const struct lint_rule *rule)
{
	static const char mark_text[] = "lint: allow";
	const char *end = line + n, *at = memmem(line, n, mark_text, strlen(mark_text));

	if (!at)
		return false;
	at += strlen(mark_text);
	while (at < end) {
		size_t len = 0;
		const struct lint_rule *named;

		while (at < end && (isspace((unsigned char)*at) || *at == ','))
			at++;
		while (at + len < end &&
		       (isalnum((unsigned char)at[len]) || at[len] == '-'))
			len++;
		named = lint_rule_find(at, len);
		if (!named || named == rule)
			return named != NULL;
		at += len;
	}
	return false;
}

static bool is_comment(const char *line, size_t n)
{
	while (n && isspace((unsigned char)*line))
		line++, n--;
	return n && (*line == '#' || (n > 1 && !strncmp(line, "--", 2)));
}

/* At the line itself, or in the comments right above it. */
static bool allows(const struct buf *text, int number, const struct lint_rule *rule)
{
	const char *from = text->s, *end;
	bool allowed = false;

	for (int i = 1; i <= number && *from; i++, from = *end ? end + 1 : end) {
		bool it;

		end = from + strcspn(from, "\n");
		it = line_allows(from, (size_t)(end - from), rule);
		if (i == number)
			return allowed || it;
		allowed = is_comment(from, (size_t)(end - from)) && (allowed || it);
	}
	return false;
}

static bool place_allows(const struct lint *l, const struct place *p,
                         const struct lint_rule *rule)
{
	AUTO_BUF text = BUF_INIT;
	struct err ignored;

	return file_read_beneath(l->s->recipe->root_fd, p->file, &text, RECIPE_MAX,
	                         &ignored) == 0 &&
	       allows(&text, p->line, rule);
}

/* Those that nobody allowed, at their line or their target's, and that are asked for. */
static void drop_allowed(struct lint *l, const bool *meant)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->list.len; i++) {
		struct finding *f = &l->list.at[i];

		if ((l->s->options->words.len && f->target && !meant[f->target->index]) ||
		    place_allows(l, &f->place, f->rule) ||
		    (f->target && place_allows(l, &f->target->place, f->rule)))
			free(f->message);
		else
			l->list.at[kept++] = *f;
	}
	l->list.len = kept;
}

static int by_place(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	int c = strcmp(x->place.file, y->place.file);

	if (c != 0)
		return c;
	if (x->place.line != y->place.line)
		return x->place.line < y->place.line ? -1 : 1;
	return strcmp(x->rule->id, y->rule->id);
}

static void print_text(struct lint *l)
{
	AUTO_BUF out = BUF_INIT;

	for (size_t i = 0; i < l->list.len; i++) {
		const struct finding *f = &l->list.at[i];

		buf_addf(&out, PLACE_FMT "%s: ", PLACE_ARG(f->place), f->rule->id);
		buf_add_printable(&out, f->message, strlen(f->message));
		buf_addc(&out, '\n');
	}
	session_print(l->s, &out);
	for (size_t i = 0; i < l->not_seen.len; i++)
		terminal_note(l->s->terminal, "the layers of %s: not looked at",
		              l->not_seen.at[i]);
}

static void print_json(struct lint *l)
{
	json_t *list = json_array(), *not_looked_at = json_array();

	for (size_t i = 0; i < l->list.len; i++) {
		const struct finding *f = &l->list.at[i];

		json_array_append_new(
			list,
			json_pack("{s:s,s:s,s:i,s:s?,s:s,s:s,s:s}", "rule", f->rule->id,
		                  "file", f->place.file, "line", f->place.line, "target",
		                  f->target ? f->target->name : NULL, "message",
		                  f->message, "why", f->rule->why, "instead",
		                  f->rule->instead));
	}
	for (size_t i = 0; i < l->not_seen.len; i++)
		json_array_append_new(not_looked_at, json_string(l->not_seen.at[i]));
	session_print_json(l->s, json_pack("{s:o,s:o}", "findings", list, "not_looked_at",
	                                   not_looked_at));
}

static int find_all(struct lint *l, struct err *e)
{
	AUTO_FREE bool *meant = mem_alloc((l->s->recipe->n_targets + 1) * sizeof(*meant));

	if (choose(l, meant, e) < 0 || take_recipe(l, e) < 0 ||
	    check_pins(l, meant, e) < 0 || look_at_images(l, meant, e) < 0)
		return -1;
	drop_allowed(l, meant);
	if (l->list.len)
		qsort(l->list.at, l->list.len, sizeof(*l->list.at), by_place);
	return 0;
}

static void lint_fini(struct lint *l)
{
	for (size_t i = 0; i < l->list.len; i++)
		free(l->list.at[i].message);
	vec_fini(&l->list);
	strlist_fini(&l->not_seen);
}

static int list_rules(const struct options *o, struct terminal *t)
{
	static const char *const columns[] = { "RULE", "FINDS", NULL };
	struct session s = { .options = o, .terminal = t };
	AUTO_BUF out = BUF_INIT;
	struct table *table = table_new(columns);
	json_t *list = json_array();

	for (const struct lint_rule *r = lint_rules; r->id; r++) {
		table_add(table, r->id);
		table_add(table, r->what);
		json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s}", "rule", r->id,
		                                      "finds", r->what, "why", r->why,
		                                      "instead", r->instead));
	}
	table_write(table, &out);
	table_free(table);
	if (o->json) {
		buf_reset(&out);
		json_write_pretty(&out, list);
	}
	json_decref(list);
	terminal_print(t, out.s, out.len);
	return session_end(&s, 0);
}

static int explain(const struct options *o, struct terminal *t)
{
	const struct lint_rule *r = lint_rule_find(o->explain, strlen(o->explain));
	AUTO_BUF out = BUF_INIT;
	struct session s = { .options = o, .terminal = t };
	struct err e;

	if (!r) {
		err_set(&e, ERR_NOT_FOUND,
		        "--explain: there is no rule '%s'; imgmake lint --list names them",
		        o->explain);
		return session_fail(&s, &e);
	}
	buf_addf(
		&out,
		"%s: %s.\n\n%s\n\nInstead: %s\n\nTo allow it, in the line or the comments "
		"above it: lint: allow %s\n",
		r->id, r->what, r->why, r->instead, r->id);
	terminal_print(t, out.s, out.len);
	return session_end(&s, 0);
}

int cmd_lint(const struct options *o, struct terminal *t)
{
	struct session s;
	struct lint l = { .s = &s };
	struct err e;
	int rc, found;

	if (o->list)
		return list_rules(o, t);
	if (o->explain)
		return explain(o, t);
	rc = session_open(&s, o, t,
	                  SESSION_RECIPE | SESSION_STORE_READ | SESSION_REGISTRY |
	                          SESSION_BUILD | SESSION_LINT,
	                  &e);
	if (rc == 0)
		rc = find_all(&l, &e);
	found = l.list.len != 0;
	if (rc == 0 && o->json)
		print_json(&l);
	else if (rc == 0)
		print_text(&l);
	lint_fini(&l);
	return rc < 0 ? session_fail(&s, &e) : session_end(&s, found);
}

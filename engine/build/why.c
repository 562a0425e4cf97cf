/* Why something is stale: the components of its key, then and now. */
#include <string.h>

#include "base/path.h"
#include "build/rule_output.h"
#include "build/why_notes.h"

static const char *shown(const struct component *c, struct arena *a)
{
	return c->text ? c->text : arena_strdup(a, DIGEST_STR(&c->digest));
}

/* What differs: all of it is known before the first is told, since notes depend on it. */
struct difference {
	const char *name, *was, *is; /* NULL: absent */
};

struct differences {
	struct arena *arena;
	VEC(struct difference) list;
};

static void differ(struct differences *d, const char *name, const struct component *was,
                   const struct component *is)
{
	struct difference x = { name, was ? shown(was, d->arena) : NULL,
		                is ? shown(is, d->arena) : NULL };

	vec_push(&d->list, x);
}

/* Of several fields of one name, as those of several caches, each is told from the
 * others. */
static const char *name_in(const struct component *at, size_t i, struct map *counts,
                           struct arena *a)
{
	size_t n = (uintptr_t)map_get(counts, at[i].name);

	map_put(counts, at[i].name, (void *)(n + 1));
	return n ? arena_printf(a, "%s (%zu)", at[i].name, n + 1) : at[i].name;
}

/* How many at the front have the same names, mostly all of them: nothing is to be looked
 * up there. */
static size_t compare_front(const struct component *then, const struct component *now,
                            size_t n, struct differences *d)
{
	size_t i;

	for (i = 0; i < n && !strcmp(then[i].name, now[i].name); i++)
		if (*now[i].name != NOTE && !component_same(&then[i], &now[i]))
			differ(d, now[i].name, &then[i], &now[i]);
	return i;
}

/* Those of the key, without notes. */
static void compare(const struct component *then, size_t n_then,
                    const struct component *now, size_t n_now, struct differences *d)
{
	size_t front = compare_front(then, now, n_then < n_now ? n_then : n_now, d);
	AUTO(map_fini) struct map old = MAP_INIT, seen = MAP_INIT;
	AUTO(map_fini) struct map counts = MAP_INIT, again = MAP_INIT;

	for (size_t i = front; i < n_then; i++)
		if (*then[i].name != NOTE)
			map_put(&old, name_in(then, i, &counts, d->arena),
			        (void *)&then[i]);
	for (size_t i = front; i < n_now; i++) {
		const struct component *was, *is = &now[i];
		const char *name;

		if (*is->name == NOTE)
			continue;
		name = name_in(now, i, &again, d->arena);
		was = map_get(&old, name);
		map_put(&seen, name, (void *)is);
		if (!was || !component_same(was, is))
			differ(d, name, was, is);
	}
	for (size_t i = 0; i < old.len; i++)
		if (!map_get(&seen, old.at[i].key))
			differ(d, arena_strdup(d->arena, old.at[i].key), old.at[i].value,
			       NULL);
}

static void compare_key(struct node *n, const struct record *last, struct differences *d)
{
	size_t count;
	const struct component *parts = key_components(&n->key, &count);

	compare(last->parts, last->n, parts, count, d);
}

/* --- Notes ----------------------------------------------------------------------------
 */

/* "step 1 (layer): 2 (copy): file PATH" is about "file PATH". */
static const char *about(const char *name)
{
	static const char *const kinds[] = { "file ", "needs ", "from " };

	for (;;) {
		const char *next = strstr(name, "): ");

		for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
			if (!strncmp(name, kinds[i], strlen(kinds[i])))
				return name;
		if (!next)
			return name;
		name = next + 3;
	}
}

/* Of the recipe's own words, and not of a file or another target. */
static bool is_argument(const struct difference *x)
{
	const char *s = about(x->name);

	return strncmp(s, "file ", 5) && strncmp(s, "needs ", 6) &&
	       strncmp(s, "from ", 5);
}

static bool may_hold(const char *shown, const char *value)
{
	return !shown || !strncmp(shown, "sha256:", 7) || strstr(shown, value);
}

/* An argument went from one with the old value to one with the new one. */
static bool shows_in(const struct difference *v, const struct differences *d)
{
	if (!v->was || !v->is)
		return false;
	for (size_t i = 0; i < d->list.len; i++) {
		const struct difference *x = &d->list.at[i];

		if (is_argument(x) && x->was && x->is && may_hold(x->was, v->was) &&
		    may_hold(x->is, v->is))
			return true;
	}
	return false;
}

static bool is_variable(const struct difference *x)
{
	return !strncmp(x->name, "variable ", 9);
}

/* Variables whose values can be seen in what differs; if there are none, it may be any of
 * them, since a condition shows no value. */
static void tell_project(const struct differences *notes, const struct differences *d,
                         why_fn *fn, void *self)
{
	bool seen = false;

	for (size_t i = 0; i < notes->list.len; i++)
		seen |= is_variable(&notes->list.at[i]) &&
		        shows_in(&notes->list.at[i], d);
	for (size_t i = 0; i < notes->list.len; i++) {
		const struct difference *x = &notes->list.at[i];

		if (!is_variable(x) || !seen || shows_in(x, d))
			fn(self, x->name, x->was, x->is);
	}
}

static const struct component *find_part(const struct component *at, size_t n,
                                         const char *prefix)
{
	for (size_t i = 0; i < n; i++)
		if (!strncmp(at[i].name, prefix, strlen(prefix)))
			return &at[i];
	return NULL;
}

static int note_project(struct node *n, const struct record *last,
                        const struct differences *d, why_fn *fn, void *self,
                        struct err *e)
{
	const struct component *at = find_part(last->parts, last->n, NOTE_PROJECT);
	struct differences notes = { .arena = d->arena };
	AUTO(key_fini) struct key now;
	struct record then;
	int rc = at ? notes_load(n->build, &at->digest, d->arena, &then, e) : 0;

	key_init(&now, d->arena);
	if (rc > 0) {
		notes_list(n->build, &now);
		compare(then.parts, then.n, now.parts.at, now.parts.len, &notes);
		tell_project(&notes, d, fn, self);
		vec_fini(&notes.list);
	}
	return rc < 0 ? -1 : 0;
}

/* Files came or went: it may be that file's doing. */
static void note_ignored(const struct node *n, const struct record *last,
                         const struct differences *d, why_fn *fn, void *self)
{
	const char prefix[] = { NOTE, 'i', '\0' };
	const struct component *was = find_part(last->parts, last->n, prefix), *is;
	AUTO(key_fini) struct key now;

	key_init(&now, d->arena);
	note_ignore_file(n, &now);
	is = find_part(now.parts.at, now.parts.len, prefix);
	if (!was && !is)
		return;
	if (!was || !is || strcmp(was->name, is->name) || !component_same(was, is))
		fn(self, is ? is->name + 1 : was->name + 1,
		   was && (!is || !strcmp(was->name, is->name)) ? shown(was, d->arena)
		                                                : NULL,
		   is ? shown(is, d->arena) : NULL);
}

static int tell_notes(struct node *n, const struct record *last,
                      const struct differences *d, why_fn *fn, void *self, struct err *e)
{
	bool arguments = false, files = false;

	for (size_t i = 0; i < d->list.len; i++) {
		const struct difference *x = &d->list.at[i];

		arguments |= is_argument(x);
		files |= (!x->was || !x->is) && !strncmp(about(x->name), "file ", 5);
	}
	if (files)
		note_ignored(n, last, d, fn, self);
	return arguments ? note_project(n, last, d, fn, self, e) : 0;
}

/* --- -o -------------------------------------------------------------------------------
 */

/* The path in "step 1 (layer): 2 (copy): file PATH", relative to the root. False: it is
 * no file's. */
static bool path_in(const struct node *n, const char *name, struct buf *out)
{
	const char *s = about(name);

	if (!strncmp(s, "needs ", 6))
		buf_adds(out, s + 6); /* a rule's name is relative to the root */
	else if (!strncmp(s, "file ", 5))
		path_join(out, n->target->dir, s + 5);
	else
		return false;
	return true;
}

static bool is_old(const struct build *b, const char *path)
{
	for (size_t i = 0; i < b->o.n_old; i++)
		if (path_below(path, b->o.old[i]))
			return true;
	return false;
}

bool rule_is_old(const struct build *b, const struct target *t)
{
	return t->kind == TARGET_FILE && is_old(b, t->output);
}

int why_only_old(struct node *n, struct digest *key, struct err *e)
{
	AUTO(arena_fini) struct arena a = ARENA_INIT;
	struct differences d = { .arena = &a };
	bool all = true;
	struct record last;
	int known = n->build->o.n_old ? record_components(n, &a, &last, e) : 0;

	if (known <= 0)
		return known;
	compare_key(n, &last, &d);
	for (size_t i = 0; i < d.list.len; i++) {
		AUTO_BUF path = BUF_INIT;

		all &= path_in(n, d.list.at[i].name, &path) && is_old(n->build, path.s);
	}
	known = all && d.list.len;
	vec_fini(&d.list);
	*key = last.plan_key;
	return known;
}

/* --- All of it ------------------------------------------------------------------------
 */

static int tell_key(struct node *n, const struct record *last, why_fn *fn, void *self,
                    struct err *e)
{
	AUTO(arena_fini) struct arena a = ARENA_INIT;
	struct differences d = { .arena = &a };
	int rc;

	compare_key(n, last, &d);
	rc = tell_notes(n, last, &d, fn, self, e);
	for (size_t i = 0; i < d.list.len; i++)
		fn(self, d.list.at[i].name, d.list.at[i].was, d.list.at[i].is);
	vec_fini(&d.list);
	return rc;
}

/* Of a rule: which of its files are not what they were. */
static int tell_output(struct node *n, why_fn *fn, void *self, struct err *e)
{
	AUTO(arena_fini) struct arena a = ARENA_INIT;
	struct differences d = { .arena = &a };
	AUTO(key_fini) struct key now;
	struct record then;
	int rc;

	key_init(&now, &a);
	rc = rule_outputs(n, &a, &then, &now, e);
	if (rc > 0)
		compare(then.parts, then.n, now.parts.at, now.parts.len, &d);
	for (size_t i = 0; i < d.list.len; i++)
		fn(self, arena_printf(&a, "output %s", d.list.at[i].name + 5),
		   d.list.at[i].was, d.list.at[i].is);
	vec_fini(&d.list);
	return rc < 0 ? -1 : 0;
}

int why_node(struct node *n, why_fn *fn, void *self, struct err *e)
{
	AUTO(arena_fini) struct arena a = ARENA_INIT;
	bool rule = n->target->kind == TARGET_FILE;
	struct record last;
	int known = record_components(n, &a, &last, e);

	if (known < 0)
		return -1;
	if (!known)
		fn(self, "never built before", NULL, NULL);
	else if (!n->guessed && !node_waits_for(n) && /* else today's are not known */
	         tell_key(n, &last, fn, self, e) < 0)
		return -1;
	if (known && n->lost)
		fn(self, n->lost, NULL, NULL);
	if (known && n->lost && rule && tell_output(n, fn, self, e) < 0)
		return -1;
	if (known && rule && rule_needs_task(n))
		fn(self, "a task that it needs always runs", NULL, NULL);
	if (n->forced)
		fn(self, n->forced, NULL, NULL);
	if (n->build->o.always)
		fn(self, "-B rebuilds everything", NULL, NULL);
	return 0;
}

/* "sha256:0123…, executable": as many digits as tell digests apart. */
static void add_value(struct buf *out, const char *s)
{
	enum { SHOWN = 19 };

	if (!strncmp(s, "sha256:", 7) && strlen(s) >= DIGEST_TEXT - 1) {
		buf_add(out, s, SHOWN);
		s += DIGEST_TEXT - 1;
	}
	buf_add_printable(out, s, strlen(s));
}

void build_tell(struct buf *out, const char *name, const char *was, const char *is)
{
	buf_add_printable(out, name, strlen(name));
	if (was && is) {
		buf_adds(out, ": was ");
		add_value(out, was);
		buf_adds(out, ", is ");
		add_value(out, is);
	} else if (is) {
		buf_adds(out, ": new, ");
		add_value(out, is);
	} else if (was) {
		buf_adds(out, ": gone, was ");
		add_value(out, was);
	}
	buf_addc(out, '\n');
}

int build_why(struct build *b, const struct target *t, why_fn *fn, void *self,
              struct err *e)
{
	for (struct node *n = nodes_of(b, t); n; n = n->sibling)
		if (why_node(n, fn, self, e) < 0)
			return -1;
	return 0;
}

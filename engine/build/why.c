/* Why something is stale: the components of its key, then and now. */
#include <string.h>

#include "base/path.h"
#include "build/node.h"

struct parts {
	const struct component *at;
	size_t n;
};

static const char *shown(const struct component *c, char space[DIGEST_TEXT])
{
	return c->text ? c->text : digest_text(&c->digest, space);
}

/* Says what differs in front of the first name that is another, and leaves the two lists
 * behind it. Mostly that is all of them: nothing is to be looked up then. */
static void compare_front(struct parts *then, struct parts *now, why_fn *fn, void *self)
{
	char a[DIGEST_TEXT], b[DIGEST_TEXT];

	for (; then->n && now->n && !strcmp(then->at->name, now->at->name);
	     then->n--, now->n--, then->at++, now->at++)
		if (!digest_equal(&then->at->digest, &now->at->digest))
			fn(self, now->at->name, shown(then->at, a), shown(now->at, b));
}

static void compare(struct key *key, const struct record *last, why_fn *fn, void *self)
{
	struct parts before = { last->parts, last->n }, today;
	AUTO(map_fini) struct map old = MAP_INIT, seen = MAP_INIT;
	char a[DIGEST_TEXT], b[DIGEST_TEXT];
	const struct component *then, *parts;
	size_t n, n_parts;

	today.at = key_components(key, &today.n);
	compare_front(&before, &today, fn, self);
	then = before.at;
	n = before.n;
	parts = today.at;
	n_parts = today.n;
	for (size_t i = 0; i < n; i++)
		map_put(&old, then[i].name, (void *)&then[i]);
	for (size_t i = 0; i < n_parts; i++) {
		const struct component *c = &parts[i], *was = map_get(&old, c->name);

		map_put(&seen, c->name, (void *)c);
		if (!was)
			fn(self, c->name, NULL, shown(c, b));
		else if (!digest_equal(&was->digest, &c->digest))
			fn(self, c->name, shown(was, a), shown(c, b));
	}
	for (size_t i = 0; i < n; i++)
		if (!map_get(&seen, then[i].name))
			fn(self, then[i].name, shown(&then[i], a), NULL);
}

struct old_search {
	const struct node *node;
	bool found, other;
};

/* The path in "step 1 (layer): 2 (copy): file PATH", relative to the root; NULL: it is no
 * file's. */
static const char *path_in(const struct node *n, const char *name, struct buf *out)
{
	const char *s = name;

	while (strncmp(s, "file ", 5) != 0 && strncmp(s, "needs ", 6) != 0) {
		s = strstr(s, "): ");
		if (!s)
			return NULL;
		s += 3;
	}
	if (*s == 'n')
		buf_adds(out, s + 6); /* a rule's name is relative to the root */
	else
		path_join(out, n->target->dir, s + 5);
	return out->s;
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

static void look_for_others(void *self, const char *name, const char *was, const char *is)
{
	struct old_search *o = self;
	AUTO_BUF path = BUF_INIT;

	(void)was, (void)is;
	if (path_in(o->node, name, &path) && is_old(o->node->build, path.s))
		o->found = true;
	else
		o->other = true;
}

int why_only_old(struct node *n, struct digest *key, struct err *e)
{
	AUTO(arena_fini) struct arena a = ARENA_INIT;
	struct old_search o = { .node = n };
	struct record last;
	int known = n->build->o.n_old ? record_components(n, &a, &last, e) : 0;

	if (known <= 0)
		return known;
	compare(&n->key, &last, look_for_others, &o);
	*key = last.plan_key;
	return o.found && !o.other;
}

int why_node(struct node *n, why_fn *fn, void *self, struct err *e)
{
	AUTO(arena_fini) struct arena a = ARENA_INIT;
	struct record last;
	int known = record_components(n, &a, &last, e);

	if (known < 0)
		return -1;
	if (!known)
		fn(self, "never built before", NULL, NULL);
	else if (!n->guessed && !node_waits_for(n)) /* else today's are not known */
		compare(&n->key, &last, fn, self);
	if (known && n->lost)
		fn(self, n->lost, NULL, NULL);
	if (known && n->target->kind == TARGET_FILE && rule_needs_task(n))
		fn(self, "a task that it needs always runs", NULL, NULL);
	if (n->forced)
		fn(self, n->forced, NULL, NULL);
	if (n->build->o.always)
		fn(self, "-B rebuilds everything", NULL, NULL);
	return 0;
}

int build_why(struct build *b, const struct target *t, why_fn *fn, void *self,
              struct err *e)
{
	for (struct node *n = nodes_of(b, t); n; n = n->sibling)
		if (why_node(n, fn, self, e) < 0)
			return -1;
	return 0;
}

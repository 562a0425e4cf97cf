/* Why something is stale: the components of its key, then and now. */
#include <string.h>

#include "build/node.h"

static const char *shown(const struct component *c, char space[DIGEST_TEXT])
{
	return c->text ? c->text : digest_text(&c->digest, space);
}

static void compare(struct key *now, const struct component *then, size_t n, why_fn *fn,
                    void *self)
{
	AUTO(map_fini) struct map old = MAP_INIT, seen = MAP_INIT;
	char a[DIGEST_TEXT], b[DIGEST_TEXT];
	size_t n_parts;
	const struct component *parts = key_components(now, &n_parts);

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

int why_node(struct node *n, why_fn *fn, void *self, struct err *e)
{
	AUTO(arena_fini) struct arena a = ARENA_INIT;
	struct component *then;
	size_t count;
	int known = record_components(n, &a, &then, &count, e);

	if (known < 0)
		return -1;
	if (!known)
		fn(self, "never built before", NULL, NULL);
	else if (!node_waits_for_rule(n)) /* else today's are not known yet */
		compare(&n->key, then, count, fn, self);
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

/* How long targets took to be made: what takes longest is begun first the next time. One
 * record a project: of each node u32 length, "NAME PLATFORM", u64 ns. */
#include <endian.h>
#include <string.h>

#include "build/node.h"
#include "store/state.h"

static void node_name(const struct node *n, struct buf *out)
{
	char platform[100];

	buf_addf(out, "%s %s", n->target->name, platform_text(&n->platform, platform));
}

static int64_t *slot_of(struct build *b, const char *name)
{
	int64_t *ns = map_get(&b->times, name);

	if (!ns) {
		ns = arena_alloc(&b->arena, sizeof(*ns));
		map_put(&b->times, name, ns);
	}
	return ns;
}

/* A damaged record is one that says nothing. */
static void decode(struct build *b, const struct buf *record)
{
	const char *s = record->s, *end = s + record->len;
	uint32_t n;
	uint64_t ns;

	while ((size_t)(end - s) >= sizeof(n) + sizeof(ns)) {
		memcpy(&n, s, sizeof(n));
		n = le32toh(n);
		s += sizeof(n);
		if (n > (size_t)(end - s) - sizeof(ns))
			return;
		AUTO_FREE char *name = mem_strndup(s, n);

		memcpy(&ns, s + n, sizeof(ns));
		s += n + sizeof(ns);
		if (strchr(name, ' '))
			*slot_of(b, name) = (int64_t)(le64toh(ns) & INT64_MAX);
	}
}

static int load(struct build *b, struct err *e)
{
	AUTO_BUF record = BUF_INIT;
	const char *root = b->recipe->root;

	if (state_get(b->o.store->state, STATE_TIMES, root, strlen(root), &record, e) < 0)
		return -1;
	decode(b, &record);
	return 0;
}

int times_expect(struct build *b, struct err *e)
{
	if (!b->times_loaded && load(b, e) < 0)
		return -1;
	b->times_loaded = true;
	for (size_t i = 0; i < b->nodes.len; i++) {
		struct node *n = b->nodes.at[i];
		AUTO_BUF name = BUF_INIT;
		const int64_t *ns;

		node_name(n, &name);
		ns = map_get(&b->times, name.s);
		if (ns)
			n->make.expected = n->plan.expected = *ns;
	}
	return 0;
}

static void learn(struct build *b, const struct node *n)
{
	const struct job *j = n->make.state == JOB_DONE ? &n->make : &n->plan;
	AUTO_BUF name = BUF_INIT;

	if (n->status != STATUS_MADE || j->state != JOB_DONE)
		return;
	node_name(n, &name);
	*slot_of(b, name.s) = j->took;
	b->times_changed = true;
}

/* Its target is in the recipe still. */
static bool is_known(const struct recipe *r, const char *name)
{
	AUTO_FREE char *target = mem_strndup(name, (size_t)(strrchr(name, ' ') - name));

	return map_get(&r->by_name, target) != NULL;
}

int times_save(struct build *b, struct err *e)
{
	AUTO_BUF record = BUF_INIT;
	const char *root = b->recipe->root;

	for (size_t i = 0; i < b->nodes.len; i++)
		learn(b, b->nodes.at[i]);
	if (!b->times_changed)
		return 0;
	for (size_t i = 0; i < b->times.len; i++) {
		const struct map_entry *t = &b->times.at[i];

		if (!is_known(b->recipe, t->key))
			continue;
		buf_add_str(&record, t->key, strlen(t->key));
		buf_add_u64(&record, (uint64_t) * (const int64_t *)t->value);
	}
	b->times_changed = false;
	return state_put(b->o.store->state, STATE_TIMES, root, strlen(root), record.s,
	                 record.len, e);
}

/* What became of targets, for those who asked for them. */
#include "build/node.h"

static enum status worse(enum status a, enum status b)
{
	static const int rank[] = { [STATUS_CURRENT] = 0,
		                    [STATUS_MADE] = 1,
		                    [STATUS_STALE] = 2,
		                    [STATUS_UNKNOWN] = 3,
		                    [STATUS_FAILED] = 4 };

	return rank[b] > rank[a] ? b : a;
}

bool build_command_failed(const struct build *b)
{
	return atomic_load(&((struct build *)b)->command_failed);
}

bool build_has_flat_owners(const struct build *b, const struct target *t)
{
	for (const struct node *n = nodes_of(b, t); n; n = n->sibling)
		if (n->flat)
			return true;
	return false;
}

enum status build_status(const struct build *b, const struct target *t)
{
	enum status s = STATUS_CURRENT;
	const struct node *n = nodes_of(b, t);

	if (!n)
		return STATUS_UNKNOWN;
	for (; n; n = n->sibling)
		s = worse(s, n->status);
	return s;
}

const struct descriptor *build_root(const struct build *b, const struct target *t)
{
	return b->roots ? b->roots[t->index] : NULL;
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
		return failed->err;
	}
	return NULL;
}

static bool is_skipped(const struct node *n)
{
	return n->plan.state == JOB_SKIPPED || n->make.state == JOB_SKIPPED;
}

size_t build_skipped(const struct build *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->nodes.len; i++)
		n += is_skipped(b->nodes.at[i]) &&
		     nodes_of(b, b->nodes.at[i]->target) == b->nodes.at[i];
	return n;
}

void build_each(const struct build *b,
                void (*fn)(void *self, const struct target *t, enum status s), void *self)
{
	for (size_t i = 0; i < b->recipe->n_targets; i++) {
		const struct target *t = b->recipe->targets[i];
		enum status s = build_status(b, t);

		if (s != STATUS_UNKNOWN)
			fn(self, t, s);
	}
}

int build_complete(struct build *b, const struct target *t, struct err *e)
{
	for (struct node *n = nodes_of(b, t); n; n = n->sibling) {
		for (size_t k = 0; n->has_result && k < n->result.layers.len; k++)
			if (base_fetch_layer(b, n, &n->result.layers.at[k], e) < 0)
				return -1;
	}
	return 0;
}

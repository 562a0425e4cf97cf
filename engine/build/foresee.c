/* What a dry run can say of images that are not made yet: a step whose result is known
 * need not be done to know what it comes to. */
#include "build/node.h"

static int foresee(struct node *n, struct err *e)
{
	if (n->status != STATUS_STALE || n->foreseen)
		return 0;
	n->foreseen = true;
	if (n->from && foresee(n->from, e) < 0)
		return -1;
	if (n->guessed)
		n->unknown = n->forced;
	else if (n->from)
		n->unknown = n->from->unknown;
	/* A base that cannot be had, and what stands on it. */
	if (n->target->kind == TARGET_BASE || (n->from && !n->from->has_result))
		return 0;
	return node_foresee(n, e);
}

static bool has(const struct foresight *f, const struct digest *d)
{
	for (size_t i = 0; i < f->n_layers; i++)
		if (digest_equal(&f->layers[i].digest, d))
			return true;
	return false;
}

static void add_layers(struct foresight *f, struct descriptor *to, const struct node *n)
{
	for (size_t i = 0; n->has_result && i < n->result.layers.len; i++)
		if (!has(f, &n->result.layers.at[i].blob.digest))
			to[f->n_layers++] = n->result.layers.at[i].blob;
}

/* The target's nodes that it is asked for in. */
static int find_nodes(struct build *b, const struct target *t, struct node ***out,
                      size_t *n)
{
	AUTO_FREE struct platform *platforms = NULL;

	target_platforms(b, t, &platforms, n);
	*out = arena_alloc(&b->arena, (*n + 1) * sizeof(**out));
	for (size_t i = 0; i < *n; i++) {
		(*out)[i] = node_get(b, t, &platforms[i]);
		if (!(*out)[i])
			return -1;
	}
	return 0;
}

static int assemble(struct build *b, const struct target *t, struct node **nodes,
                    size_t n, struct foresight *out, struct err *e)
{
	struct descriptor *root = arena_alloc(&b->arena, sizeof(*root));

	for (size_t i = 0; i < n; i++)
		if (node_assemble(nodes[i], true, e) < 0)
			return -1;
	if (n == 1)
		*root = nodes[0]->manifest;
	else if (assemble_index(b, t, true, root, e) < 0)
		return -1;
	out->root = root;
	return 0;
}

int build_foresee(struct build *b, const struct target *t, struct foresight *out,
                  struct err *e)
{
	struct descriptor *layers;
	struct node **nodes;
	size_t n, most = 0;

	*out = (struct foresight){ .unknown = "it was not planned" };
	if (find_nodes(b, t, &nodes, &n) < 0 || !n)
		return 0;
	out->unknown = NULL;
	out->base_name = nodes[0]->base_name;
	for (size_t i = 0; i < n; i++) {
		if (foresee(nodes[i], e) < 0)
			return -1;
		if (!out->unknown)
			out->unknown = nodes[i]->unknown;
		most += nodes[i]->has_result ? nodes[i]->result.layers.len : 0;
	}
	out->layers = layers = arena_alloc(&b->arena, (most + 1) * sizeof(*layers));
	for (size_t i = 0; i < n; i++)
		add_layers(out, layers, nodes[i]);
	return out->unknown ? 0 : assemble(b, t, nodes, n, out, e);
}

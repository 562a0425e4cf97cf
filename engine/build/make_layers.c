/* The layers that a step's tree comes to: each looked up by what it is made of before it
 * is packed, several packed side by side. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "build/shard.h"
#include "build/work.h"
#include "os/fd.h"
#include "os/lock.h"

/* So many threads read and hash; the whole pool compresses for them. One keeps about ten
 * compressing threads busy, and each has up to 24 MiB of what is on the way. */
enum { PACKERS_MAX = 4, ASKED_AT_ONCE = 8 };

struct piece {
	const struct shard *shard;
	struct digest key;
	struct layer layer; /* once it is known */
	bool known;
};

struct making {
	struct work *w;
	struct piece *pieces; /* in the order of the layers */
	size_t n;
	struct piece **missing;
	size_t n_missing;
	struct pack_meter meter;
};

int build_lock_name(struct build *b, const char *name, const char *who, struct err *e)
{
	const struct timespec tick = { .tv_nsec = 20000000 };
	int fd;

	/* Whoever has it may be at it for hours, and no signal ends a wait in flock(2):
	 * they come to another thread. */
	while ((fd = lock_try(b->locks, name, true, e)) < 0 && e->code == ERR_EXISTS) {
		if (build_cancelled(b))
			return err_set(e, ERR_CANCELLED, "interrupted");
		if (who)
			progress_step(b->o.progress, who, "wait for another build");
		who = NULL;
		nanosleep(&tick, NULL);
	}
	return fd;
}

int build_lock(struct build *b, const struct digest *key, const char *who, struct err *e)
{
	char name[8];

	snprintf(name, sizeof(name), "%02x%02x", key->b[0], key->b[1]);
	return build_lock_name(b, name, who, e);
}

bool node_may_look_up(const struct node *n)
{
	return !n->build->o.always && !n->forced;
}

/* An image that was asked for, on top of `n` or `n` itself. */
static bool will_have(const struct node *image, const struct node *n)
{
	if (image->target->kind != TARGET_IMAGE || !image->asked || image->flat ||
	    image->plan.state != JOB_DONE)
		return false;
	while (image && image != n)
		image = image->from;
	return image != NULL;
}

/* Parts of a `layer` are in no image. While other nodes are still planned, nothing is
 * known of them. */
static void tell_layer(const struct work *w, const struct layer *l)
{
	const struct node *n = w->node;
	const struct build *b = n->build;

	if (!b->on_layer || n->early || w->below != &n->result)
		return;
	for (size_t i = 0; i < b->nodes.len; i++)
		if (will_have(b->nodes.at[i], n))
			b->on_layer(b->on_layer_self, b->nodes.at[i]->target, &l->blob);
}

static int pack(struct making *m, const struct shard *s, struct layer *out, struct err *e)
{
	struct node *n = m->w->node;
	struct pack_options o = { .store = n->build->o.store->blobs,
		                  .codec = n->target->compression,
		                  .pool = n->build->pool,
		                  .meter = &m->meter };

	if (shard_pack(s, &o, out, e) < 0)
		return -1;
	tell_layer(m->w, out);
	return 0;
}

static int find(struct node *n, struct piece *p, bool there, struct err *e)
{
	struct layer_list l;
	int found;

	if (!node_may_look_up(n))
		return 0;
	found = there ? node_find_there(n, &p->key, &l, e)
	              : node_find_here(n, &p->key, &l, e);
	if (found <= 0)
		return found;
	p->known = l.len == 1;
	if (p->known)
		p->layer = l.at[0];
	vec_fini(&l);
	return 0;
}

/* One builder packs a layer, others that want the same wait and find it. A thread holds
 * one lock at a time, so there is no order to get wrong. */
static int make_locked(struct making *m, size_t i, struct err *e)
{
	struct piece *p = m->missing[i];
	struct node *n = m->w->node;
	struct layer_list l = { &p->layer, 1, 1 };
	AUTO_CLOSE int lock = -1;

	if (build_cancelled(n->build))
		return err_set(e, ERR_CANCELLED, "interrupted");
	lock = build_lock(n->build, &p->key, NULL, e);
	if (lock < 0 || find(n, p, false, e) < 0)
		return -1;
	if (p->known)
		return 0;
	if (pack(m, p->shard, &p->layer, e) < 0)
		return -1;
	return node_keep_layers(n, &p->key, 1, &l, e);
}

static int make_piece(void *self, size_t i, struct err *e)
{
	int rc;

	lane_stay(true);
	rc = make_locked(self, i, e);
	lane_stay(false);
	return rc;
}

static int larger_first(const void *a, const void *b)
{
	const struct shard *x = (*(struct piece *const *)a)->shard;
	const struct shard *y = (*(struct piece *const *)b)->shard;

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

static void begin(struct making *m)
{
	struct node *n = m->w->node;

	m->meter.progress = n->build->o.progress;
	m->meter.target = node_title(n);
	for (size_t i = 0; i < m->n_missing; i++)
		for (size_t k = 0; k < m->missing[i]->shard->n; k++)
			m->meter.total += m->missing[i]->shard->at[k]->toc.size;
	progress_begin(m->meter.progress, m->meter.target, "pack", m->meter.total);
}

static void end(struct making *m)
{
	progress_end(m->meter.progress, m->meter.target, "pack",
	             atomic_load(&m->meter.done));
}

static int make_missing(struct making *m, struct err *e)
{
	struct node *n = m->w->node;
	int threads = pool_threads(n->build->pool);
	struct pool_each what = { .n = m->n_missing,
		                  .threads =
		                          threads < PACKERS_MAX ? threads : PACKERS_MAX,
		                  .fn = make_piece,
		                  .self = m };
	uint64_t shards = 0;
	int rc;

	if (!m->n_missing)
		return 1;
	trace_step(n, m->w->step);
	for (size_t i = 0; i < m->n_missing; i++)
		shards |= (uint64_t)1 << m->missing[i]->shard->number;
	qsort(m->missing, m->n_missing, sizeof(struct piece *), larger_first);
	if (work_fetch(m->w, shards, e) < 0)
		return -1;
	begin(m);
	rc = pool_each(n->build->pool, &what, e);
	end(m);
	return rc;
}

static int find_elsewhere(void *self, size_t i, struct err *e)
{
	struct making *m = self;

	return find(m->w->node, m->missing[i], true, e);
}

/* Each is a round trip: side by side. */
static int ask_others(struct making *m, struct err *e)
{
	struct node *n = m->w->node;
	struct pool_each what = { .n = m->n_missing,
		                  .threads = ASKED_AT_ONCE,
		                  .fn = find_elsewhere,
		                  .self = m };
	struct pool *pool;
	size_t left = 0;
	int rc;

	if (!n->build->o.remote || !m->n_missing)
		return 0;
	pool = pool_new(ASKED_AT_ONCE);
	rc = pool_each(pool, &what, e);
	pool_free(pool);
	for (size_t i = 0; i < m->n_missing; i++)
		if (!m->missing[i]->known)
			m->missing[left++] = m->missing[i];
	m->n_missing = left;
	return rc;
}

static int make_all(struct making *m, const struct shards *s, struct err *e)
{
	for (size_t i = 0; i < s->n; i++) {
		struct piece *p = &m->pieces[m->n++];

		p->shard = &s->at[i];
		shard_key(p->shard, m->w->node->target->compression, &p->key);
		if (find(m->w->node, p, false, e) < 0)
			return -1;
		if (!p->known)
			m->missing[m->n_missing++] = p;
	}
	return ask_others(m, e) < 0 ? -1 : make_missing(m, e);
}

int work_layers(struct work *w, const struct shard_rule *r, struct layer_list *out,
                struct err *e)
{
	AUTO_FREE struct piece *pieces = NULL;
	AUTO_FREE struct piece **missing = NULL;
	struct making m = { .w = w };
	struct shards s;
	int rc;

	*out = (struct layer_list){ NULL, 0, 0 };
	tree_cut(&w->tree, r, &s);
	m.pieces = pieces = mem_alloc((s.n + 1) * sizeof(*pieces));
	m.missing = missing = mem_alloc((s.n + 1) * sizeof(struct piece *));
	rc = make_all(&m, &s, e);
	for (size_t i = 0; rc >= 0 && i < m.n; i++)
		vec_push(out, m.pieces[i].layer);
	shards_fini(&s);
	return rc;
}

int work_layer(struct work *w, struct layer_list *out, struct err *e)
{
	static const struct shard_rule whole = { .layers = 1 };
	struct piece p = { .known = false };
	struct piece *missing = &p;
	struct making m = { .w = w, .missing = &missing };
	struct shards s;
	int rc = 0;

	*out = (struct layer_list){ NULL, 0, 0 };
	tree_cut(&w->tree, &whole, &s);
	if (s.n) {
		p.shard = &s.at[0];
		m.n_missing = 1;
		begin(&m);
		rc = pack(&m, p.shard, &p.layer, e);
		end(&m);
		if (rc == 0)
			vec_push(out, p.layer);
	}
	shards_fini(&s);
	return rc;
}

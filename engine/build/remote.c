/* Results of the store first, then of other machines: and ours for them. */
#include "build/remote.h"

#include <string.h>

#include "build/node.h"
#include "image/toc_store.h"
#include "store/sources.h"

#define MEDIA_TABLE "application/vnd.imgmake.toc.v1+zstd"
enum { ASKED_AT_ONCE = 8, LAYERS_MAX = 1024 };

/* Whoever has one owner for all files builds for himself alone. */
static bool may_ask(const struct node *n)
{
	return n->build->o.remote && !n->flat && !atomic_load(&n->build->distrust);
}

bool node_may_tell(const struct node *n)
{
	return n->build->o.remote && n->build->o.remote->writes && !n->flat;
}

/* A cache forgets, and it may lie: then what it said is made here. */
static bool lost(struct build *b, const struct layer_list *l)
{
	for (size_t i = 0; atomic_load(&b->distrust) && i < l->len; i++)
		if (l->at[i].remote)
			return true;
	return false;
}

/* Another machine's layers, from the given one on, may stay where they are. False: it
 * cannot have made such. */
static bool take_remote(struct layer_list *l, size_t from)
{
	if (l->len > LAYERS_MAX)
		return false;
	for (size_t i = from; i < l->len; i++) {
		struct layer *x = &l->at[i];
		enum codec codec;
		struct err odd;

		if (digest_is_zero(&x->toc) || x->toc_size <= 0 ||
		    x->toc_size > TOC_MAX || x->blob.size <= 0 ||
		    media_layer_codec(x->blob.media_type, &codec, &odd) < 0)
			return false;
		x->remote = true;
	}
	return true;
}

/* The base's layers are known here; of their repository the other machine's entry says
 * nothing. */
static bool take_base(const struct node *n, struct layer_list *l, size_t *count)
{
	const struct node *base = n;

	*count = 0;
	while (base->from)
		base = base->from;
	if (base->target->kind != TARGET_BASE)
		return true;
	*count = base->result.layers.len;
	if (!base->has_result || l->len < *count)
		return false;
	for (size_t i = 0; i < *count; i++) {
		if (!digest_equal(&l->at[i].diff_id, &base->result.layers.at[i].diff_id))
			return false;
		l->at[i] = base->result.layers.at[i];
	}
	return true;
}

/* Whether configuration and layers agree with each other, and with what was asked for. */
static bool take_result(const struct node *n, struct result *r)
{
	size_t base, count = config_layer_count(&r->config);
	struct platform p;
	struct digest d;

	config_platform(&r->config, &p);
	if (strcmp(p.os, n->platform.os) != 0 || strcmp(p.arch, n->platform.arch) != 0 ||
	    count != r->layers.len || !take_base(n, &r->layers, &base))
		return false;
	for (size_t i = 0; i < count; i++) {
		config_diff_id(&r->config, i, &d);
		if (!digest_equal(&d, &r->layers.at[i].diff_id))
			return false;
	}
	return take_remote(&r->layers, base);
}

/* Once: who has written one such entry has written more. */
static void tell_malformed(const struct node *n)
{
	if (atomic_exchange(&n->build->malformed, true))
		return;
	progress_warning(n->build->o.progress,
	                 "the remote cache's entry for %s is not one that imgmake "
	                 "writes; it is made here, and so is what else is such",
	                 n->target->name);
}

/* --- Layers of a step
 * ------------------------------------------------------------------- */

int node_find_here(struct node *n, const struct digest *key, struct layer_list *out,
                   struct err *e)
{
	int found = layer_list_load(n->build->o.store, key, out, e);

	if (found > 0 && lost(n->build, out)) {
		vec_fini(out);
		return 0;
	}
	return found;
}

/* A job gives up its place meanwhile, unless it holds a lock. */
int node_ask_remote(const struct node *n, enum remote_kind kind, const struct digest *key,
                    struct buf *text, struct err *e)
{
	struct build_remote *r = n->build->o.remote;
	enum lane was = lane_now();
	int found;

	if (!may_ask(n))
		return 0;
	if (lane_move(LANE_NETWORK, e) < 0)
		return -1;
	found = r->get(r, kind, key, text);
	return lane_back(was, 0, e) < 0 ? -1 : found;
}

int node_find_there(struct node *n, const struct digest *key, struct layer_list *out,
                    struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	struct err odd;
	int found;

	*out = (struct layer_list){ NULL, 0, 0 };
	found = node_ask_remote(n, REMOTE_STEP, key, &text, e);
	if (found <= 0)
		return found;
	if (layer_list_read(out, &text, &odd) < 0 || !take_remote(out, 0)) {
		vec_fini(out);
		tell_malformed(n);
		return 0;
	}
	if (n->build->o.dry_run ||
	    layer_list_save(n->build->o.store, key, 1, out, e) == 0)
		return 1;
	vec_fini(out);
	return -1;
}

int node_find_layers(struct node *n, const struct digest *key, struct layer_list *out,
                     struct err *e)
{
	int found = node_find_here(n, key, out, e);

	return found ? found : node_find_there(n, key, out, e);
}

static void add_blobs(const struct layer_list *l, struct descriptor *out, size_t *n)
{
	for (size_t i = 0; i < l->len; i++) {
		const struct layer *x = &l->at[i];
		struct descriptor table = { .media_type = MEDIA_TABLE,
			                    .digest = x->toc,
			                    .size = x->toc_size };

		if (digest_is_zero(&x->toc) || !x->toc_size)
			continue;
		out[(*n)++] = x->blob;
		out[(*n)++] = table;
	}
}

static void tell(const struct node *n, enum remote_kind kind, const struct digest *key,
                 const struct layer_list *l, const struct buf *text)
{
	AUTO_FREE struct descriptor *blobs = mem_alloc((2 * l->len + 1) * sizeof(*blobs));
	struct remote_entry entry = {
		.kind = kind, .key = *key, .text = text->s, .blobs = blobs
	};

	add_blobs(l, blobs, &entry.n);
	n->build->o.remote->put(n->build->o.remote, &entry);
}

int node_keep_layers(struct node *n, const struct digest *keys, size_t count,
                     const struct layer_list *l, struct err *e)
{
	AUTO_BUF text = BUF_INIT;

	if (layer_list_save(n->build->o.store, keys, count, l, e) < 0)
		return -1;
	if (!node_may_tell(n))
		return 0;
	layer_list_write(l, &text);
	for (size_t i = 0; i < count; i++)
		tell(n, REMOTE_STEP, &keys[i], l, &text);
	return 0;
}

/* --- Whole targets
 * ---------------------------------------------------------------------- */

int node_find_result(struct node *n, bool *gone, struct err *e)
{
	const struct result *below =
		n->from && n->from->has_result && n->from->status == STATUS_CURRENT
			? &n->from->result
			: NULL;
	int found =
		result_load(n->build->o.store, &n->plan_key, below, &n->result, gone, e);

	if (found > 0 && lost(n->build, &n->result.layers)) {
		result_fini(&n->result);
		return 0;
	}
	/* A record as they were before is written anew once; an image's, with its
	 * documents. */
	n->noted = found > 0 && n->result.config.root && n->target->kind == TARGET_STAGE;
	return found;
}

static void tell_result(struct node *n)
{
	AUTO_BUF text = BUF_INIT;
	struct err odd;

	if (result_config(&n->result, &odd) < 0)
		return; /* who needs it says so */
	result_write(&n->result, &text);
	tell(n, REMOTE_RESULT, &n->plan_key, &n->result.layers, &text);
}

int node_keep_result(struct node *n, struct err *e)
{
	if (result_save(n->build->o.store, &n->plan_key, &n->result, e) < 0)
		return -1;
	if (node_may_tell(n))
		tell_result(n);
	return 0;
}

/* What was here before the cache was: told once. The cache notes where an entry is. */
static int tell_current(struct node *n, struct err *e)
{
	AUTO_STRLIST known = STRLIST_INIT;

	if (!node_may_tell(n) || n->build->o.dry_run || !n->has_result || !n->asked)
		return 0;
	if (blob_sources_get(n->build->o.store->state, &n->plan_key, &known, e) < 0)
		return -1;
	if (!strlist_has(&known, n->build->o.remote->repos.at[0]))
		tell_result(n);
	return 0;
}

struct asking {
	VEC(struct node *) now, next;
	struct map seen; /* by address, as text */
};

static int ask(void *self, size_t i, struct err *e)
{
	struct node *n = ((struct asking *)self)->now.at[i];
	struct build_remote *r = n->build->o.remote;
	AUTO_BUF text = BUF_INIT;
	struct err odd;

	if (r->get(r, REMOTE_RESULT, &n->plan_key, &text) == 0)
		return 0;
	if (result_read(&n->result, &text, &odd) < 0) {
		tell_malformed(n);
		return 0;
	}
	if (!take_result(n, &n->result)) {
		result_fini(&n->result);
		tell_malformed(n);
		return 0;
	}
	n->has_result = true;
	if (n->target->kind == TARGET_IMAGE && node_assemble(n, true, e) < 0)
		return -1;
	n->status = STATUS_CURRENT;
	return n->build->o.dry_run
	               ? 0
	               : result_save(n->build->o.store, &n->plan_key, &n->result, e);
}

static bool worth_asking(const struct node *n)
{
	return n->status == STATUS_STALE && n->plan.state == JOB_DONE && !n->forced &&
	       (n->target->kind == TARGET_IMAGE || n->target->kind == TARGET_STAGE) &&
	       may_ask(n);
}

static void consider(struct asking *a, struct node *n)
{
	char name[32];

	snprintf(name, sizeof(name), "%p", (void *)n);
	if (map_get(&a->seen, name))
		return;
	map_put(&a->seen, name, n);
	if (worth_asking(n))
		vec_push(&a->next, n);
	else if (n->status != STATUS_CURRENT)
		for (size_t i = 0; i < n->needs.len; i++)
			consider(a, n->needs.at[i]);
}

/* Who stands on what: only where a target is not known is what it needs asked for. */
static int ask_all(struct build *b, struct asking *a, struct err *e)
{
	struct pool *pool = pool_new(ASKED_AT_ONCE);
	int rc = 0;

	while (rc == 0 && a->next.len) {
		struct pool_each what = { .fn = ask,
			                  .self = a,
			                  .threads = ASKED_AT_ONCE };

		vec_fini(&a->now);
		a->now.at = a->next.at;
		a->now.len = what.n = a->next.len;
		a->now.cap = a->next.cap;
		a->next.at = NULL;
		a->next.len = a->next.cap = 0;
		rc = build_cancelled(b) ? err_set(e, ERR_CANCELLED, "interrupted")
		                        : pool_each(pool, &what, e);
		for (size_t i = 0; i < a->now.len; i++)
			for (size_t k = 0; a->now.at[i]->status == STATUS_STALE &&
			                   k < a->now.at[i]->needs.len;
			     k++)
				consider(a, a->now.at[i]->needs.at[k]);
	}
	pool_free(pool);
	return rc;
}

int build_ask_remote(struct build *b, struct err *e)
{
	struct asking a = { .seen = MAP_INIT };
	int rc;

	if (!b->o.remote)
		return 0;
	for (size_t i = 0; i < b->nodes.len; i++)
		if (b->nodes.at[i]->asked)
			consider(&a, b->nodes.at[i]);
	rc = ask_all(b, &a, e);
	for (size_t i = 0; rc == 0 && i < b->nodes.len; i++)
		if (b->nodes.at[i]->status == STATUS_CURRENT)
			rc = tell_current(b->nodes.at[i], e);
	vec_fini(&a.now);
	vec_fini(&a.next);
	map_fini(&a.seen);
	return rc;
}

/* --- Tables of bases' layers
 * ------------------------------------------------------------ */

bool node_find_table(const struct node *n, const struct digest *diff_id,
                     struct digest *toc)
{
	struct build_remote *r = n->build->o.remote;
	AUTO_BUF text = BUF_INIT;
	AUTO_JSON *j = NULL;
	struct descriptor d;
	struct err odd;

	if (node_ask_remote(n, REMOTE_TABLE, diff_id, &text, &odd) <= 0 ||
	    json_read(&j, text.s, text.len, &odd) < 0 ||
	    descriptor_read(&d, j, &odd) < 0 || d.size > TOC_MAX ||
	    build_fetch_blob(n->build, &d, &r->repos, &odd) < 0)
		return false;
	*toc = d.digest;
	return true;
}

void node_tell_table(const struct node *n, const struct digest *diff_id,
                     const struct digest *toc, int64_t size)
{
	struct descriptor d = { .media_type = MEDIA_TABLE, .digest = *toc, .size = size };
	AUTO_JSON *j = descriptor_json(&d);
	AUTO_BUF text = BUF_INIT;
	struct remote_entry entry = {
		.kind = REMOTE_TABLE, .key = *diff_id, .blobs = &d, .n = 1
	};

	if (!node_may_tell(n))
		return;
	json_write(&text, j);
	entry.text = text.s;
	n->build->o.remote->put(n->build->o.remote, &entry);
}

/* Making a stale node: layer by layer, each looked up by what it depends on before it is
 * packed. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "build/configure.h"
#include "build/describe.h"
#include "build/node.h"
#include "build/run.h"
#include "os/fd.h"
#include "os/lock.h"
#include "store/blobs.h"

/* One builder packs a layer, others that want the same wait and find it. A lock is held
 * for one layer at a time, so there is no order to get wrong. */
static int lock_key(struct build *b, const struct digest *key, struct err *e)
{
	char name[8];

	snprintf(name, sizeof(name), "%02x", key->b[0]);
	return lock_take(b->locks, name, true, e);
}

static bool may_look_up(const struct node *n)
{
	return !n->build->o.always && !n->forced;
}

/* What a step came to, by what it depends on and by what it is. */
static int save(struct work *w, const struct digest *key, const struct step_plan *p,
                const struct layer_result *r, struct err *e)
{
	struct digest keys[2] = { *key, p->plan_key };

	return layer_result_save(w->node->build->o.store, keys, 2, r, e);
}

static int pack(struct work *w, struct layer *out, struct err *e)
{
	struct node *n = w->node;
	struct pack_options o = { .store = n->build->o.store->blobs,
		                  .codec = n->target->compression,
		                  .pool = n->build->pool,
		                  .progress = n->build->o.progress,
		                  .target = n->target->name };

	return work_fetch(w, e) < 0 ? -1 : tree_pack(&w->tree, &o, out, e);
}

/* The commands, between a begin and an end, so that whoever watches sees what is going
 * on.
 */
static int run_told(struct work *w, const struct step *s, const struct step_plan *p,
                    struct err *e)
{
	struct progress *progress = w->node->build->o.progress;
	const char *target = w->node->target->name;
	AUTO_BUF what = BUF_INIT;
	int rc;

	step_describe(s, &what);
	trace_step(w->node, s);
	progress_begin(progress, target, what.s, -1);
	rc = work_step(w, s, p, e);
	progress_end(progress, target, what.s, 0);
	return rc;
}

/* 1: it was there. */
static int find_or_pack(struct work *w, const struct step *s, const struct step_plan *p,
                        struct layer_result *out, struct err *e)
{
	struct node *n = w->node;
	AUTO_CLOSE int lock = -1;
	struct digest key;
	int found = 0;

	*out = (struct layer_result){ .has_layer = !tree_is_empty(&w->tree) };
	if (!out->has_layer)
		return layer_result_save(n->build->o.store, &p->plan_key, 1, out, e);
	tree_key(&w->tree, n->target->compression, &key);
	lock = lock_key(n->build, &key, e);
	if (lock < 0)
		return -1;
	if (may_look_up(n))
		found = layer_result_load(n->build->o.store, &key, out, e);
	if (found < 0)
		return -1;
	if (!found)
		trace_step(n, s);
	out->has_layer = true;
	if (!found && pack(w, &out->layer, e) < 0)
		return -1;
	return save(w, &key, p, out, e) < 0 ? -1 : found;
}

static int run(struct work *w, const struct step *s, const struct step_plan *p,
               struct layer_result *out, struct err *e)
{
	struct digest settled;

	if (run_told(w, s, p, e) < 0)
		return -1;
	*out = (struct layer_result){ .has_layer = !tree_is_empty(&w->tree) };
	if (!out->has_layer)
		return 0;
	tree_key(&w->tree, w->node->target->compression, &settled);
	return pack(w, &out->layer, e);
}

/* What a command does is not known before it has run: its key is of what it sees, and it
 * runs only if nothing is known under that. */
static int run_or_find(struct work *w, const struct step *s, const struct step_plan *p,
                       struct layer_result *out, struct err *e)
{
	struct node *n = w->node;
	AUTO_CLOSE int lock = -1;
	struct digest key;
	int found = 0;

	run_result_key(w, &s->run, p, &key);
	lock = lock_key(n->build, &key, e);
	if (lock < 0)
		return -1;
	if (may_look_up(n))
		found = layer_result_load(n->build->o.store, &key, out, e);
	if (found < 0 || (!found && run(w, s, p, out, e) < 0))
		return -1;
	return save(w, &key, p, out, e) < 0 ? -1 : found;
}

/* 1: nothing had to be made, since what it came to was known. */
static int make_layer(struct node *n, const struct step *s, const struct step_plan *p,
                      struct layer_result *out, struct err *e)
{
	struct work w;
	int rc = work_init(&w, n, &n->result, e);

	if (rc == 0 && s->kind == STEP_RUN)
		rc = run_or_find(&w, s, p, out, e);
	else if (rc == 0)
		rc = work_step(&w, s, p, e) < 0 ? -1 : find_or_pack(&w, s, p, out, e);
	work_fini(&w);
	return rc;
}

static void report(struct node *n, const char *what, const struct layer_result *r,
                   bool known)
{
	if (!r->has_layer)
		progress_step(n->build->o.progress, node_title(n), "%s: no change", what);
	else
		progress_step(n->build->o.progress, node_title(n), "%s: %s%s", what,
		              DIGEST_STR(&r->layer.diff_id), known ? " (known)" : "");
}

static int layer_step(struct node *n, const struct step *s, const struct step_plan *p,
                      struct err *e)
{
	AUTO_BUF what = BUF_INIT;
	struct history h = { .comment = "imgmake" };
	struct layer_result r = { .has_layer = false };
	int known = 0;

	step_describe(s, &what);
	if (may_look_up(n))
		known = layer_result_load(n->build->o.store, &p->plan_key, &r, e);
	if (!known)
		known = make_layer(n, s, p, &r, e);
	if (known < 0)
		return -1;
	report(n, what.s, &r, known > 0);
	h.created_by = what.s;
	h.empty_layer = !r.has_layer;
	if (!r.has_layer) {
		config_add_history(&n->result.config, &h, build_epoch(n->build));
		return 0;
	}
	vec_push(&n->result.layers, r.layer);
	config_add_layer(&n->result.config, &r.layer.diff_id, &h, build_epoch(n->build));
	return 0;
}

static int one_step(struct node *n, const struct step *s, const struct step_plan *p,
                    bool *inherited_cmd, struct err *e)
{
	AUTO_BUF what = BUF_INIT;
	struct history h = { .comment = "imgmake", .empty_layer = true };

	if (step_changes_files(s))
		return layer_step(n, s, p, e);
	configure(&n->result.config, s, inherited_cmd);
	step_describe(s, &what);
	h.created_by = what.s;
	config_add_history(&n->result.config, &h, build_epoch(n->build));
	return 0;
}

static void start_result(struct node *n)
{
	if (n->has_result)
		result_fini(&n->result);
	if (n->from)
		result_copy(&n->result, &n->from->result);
	else
		result_init(&n->result, &n->platform);
	n->has_result = true;
	config_set_created(&n->result.config, build_epoch(n->build));
}

static int make_steps(struct node *n, struct err *e)
{
	const struct target *t = n->target;
	bool inherited_cmd = true;

	for (size_t i = 0; i < t->n_steps; i++) {
		const struct step *s = &t->steps[i];

		if (build_cancelled(n->build))
			return err_set(e, ERR_CANCELLED, "interrupted");
		if (one_step(n, s, &n->steps[i], &inherited_cmd, e) < 0)
			return err_wrap(e, PLACE_FMT "%s '%s': %s", PLACE_ARG(s->place),
			                target_kind_text(t->kind), t->name,
			                step_kind_text(s->kind));
	}
	return 0;
}

int node_make(struct node *n, struct err *e)
{
	start_result(n);
	trace_node(n);
	if (make_steps(n, e) < 0 ||
	    result_save(n->build->o.store, &n->plan_key, &n->result, e) < 0)
		return -1;
	if (n->target->kind == TARGET_IMAGE && node_assemble(n, true, e) < 0)
		return -1;
	n->status = STATUS_MADE;
	return 0;
}

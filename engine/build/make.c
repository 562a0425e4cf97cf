/* Making a stale node: step by step, each looked up by what it depends on before its
 * layers are made. */
#include <string.h>

#include "build/configure.h"
#include "build/describe.h"
#include "build/node.h"
#include "build/run.h"
#include "build/shard.h"
#include "os/fd.h"
#include "store/blobs.h"

/* Layers of a whole image stay below 64, which many tools have as their limit, as far as
 * that is up to us. Half of what is left is for later copies, and images on top. */
enum { IMAGE_LAYERS = 63, SPLIT_AUTO = 18, SPLIT_LEAST = 16 << 20 };

static struct shard_rule split_rule(const struct node *n, const struct step *s,
                                    const struct step_plan *p)
{
	struct shard_rule r = { .layers = 1 };
	int64_t room = IMAGE_LAYERS - (int64_t)n->result.layers.len - p->later_layers;

	if (s->kind != STEP_COPY || s->copy.split == SPLIT_NEVER)
		return r;
	r.layers = (unsigned)s->copy.split;
	if (s->copy.split == 0) {
		r = (struct shard_rule){ .layers = SPLIT_AUTO, .least = SPLIT_LEAST };
		room /= 2;
	}
	while (r.layers > 1 && r.layers > room)
		r.layers /= 2;
	return r;
}

/* What a step came to, by what it depends on and by what it is. */
static int save(struct work *w, const struct digest *key, const struct step_plan *p,
                const struct layer_list *l, struct err *e)
{
	struct digest keys[2] = { *key, p->plan_key };

	return node_keep_layers(w->node, keys, 2, l, e);
}

/* The commands, between a begin and an end, so that whoever watches sees what is going
 * on.
 */
static int run_told(struct work *w, const struct step_plan *p, struct err *e)
{
	struct progress *progress = w->node->build->o.progress;
	const char *target = w->node->target->name;
	AUTO_BUF what = BUF_INIT;
	int rc;

	step_describe(w->step, &what);
	trace_step(w->node, w->step);
	progress_begin(progress, target, what.s, -1);
	rc = work_step(w, w->step, p, e);
	progress_end(progress, target, what.s, 0);
	return rc;
}

/* What a command does is not known before it has run: its key is of what it sees, and it
 * runs only if nothing is known under that. 1: something was. */
static int run_or_find(struct work *w, const struct step_plan *p, struct layer_list *out,
                       struct err *e)
{
	struct node *n = w->node;
	AUTO_CLOSE int lock = -1;
	struct digest key;
	int found = 0;

	run_result_key(w, &w->step->run, p, &key);
	lock = build_lock(n->build, &key, e);
	if (lock < 0)
		return -1;
	if (node_may_look_up(n))
		found = node_find_layers(n, &key, out, e);
	if (found < 0 || (!found && (run_told(w, p, e) < 0 || work_layer(w, out, e) < 0)))
		return -1;
	return save(w, &key, p, out, e) < 0 ? -1 : found;
}

/* In the sandboxes' lane from before it has its lock until after. */
static int run_in_lane(struct work *w, const struct step_plan *p, struct layer_list *out,
                       struct err *e)
{
	enum lane was = lane_now();
	int rc;

	if (lane_move(LANE_SANDBOX, e) < 0)
		return -1;
	lane_stay(true);
	rc = run_or_find(w, p, out, e);
	lane_stay(false);
	return lane_back(was, rc, e);
}

/* 1: all that it came to was known. */
static int find_or_pack(struct work *w, const struct step_plan *p, struct layer_list *out,
                        struct err *e)
{
	struct shard_rule rule = split_rule(w->node, w->step, p);
	int found;

	if (work_step(w, w->step, p, e) < 0)
		return -1;
	found = work_layers(w, &rule, out, e);
	if (found < 0)
		return -1;
	return node_keep_layers(w->node, &p->plan_key, 1, out, e) < 0 ? -1 : found;
}

/* 1: nothing had to be made, since what it came to was known. */
static int make_layers(struct node *n, const struct step *s, const struct step_plan *p,
                       struct layer_list *out, struct err *e)
{
	struct work w;
	int rc = work_init(&w, n, &n->result, e);

	w.step = s;
	if (rc == 0)
		rc = s->kind == STEP_RUN ? run_in_lane(&w, p, out, e)
		                         : find_or_pack(&w, p, out, e);
	work_fini(&w);
	return rc;
}

static void report(struct node *n, const char *what, const struct layer_list *l,
                   bool known)
{
	struct progress *p = n->build->o.progress;
	const char *title = node_title(n), *mark = known ? " (known)" : "";

	if (!l->len)
		progress_step(p, title, "%s: no change", what);
	else if (l->len == 1)
		progress_step(p, title, "%s: %s%s", what, DIGEST_STR(&l->at[0].diff_id),
		              mark);
	else
		progress_step(p, title, "%s: %zu layers%s", what, l->len, mark);
}

static void add_layers(struct node *n, const char *what, const struct layer_list *l)
{
	for (size_t i = 0; i < l->len; i++) {
		AUTO_BUF by = BUF_INIT;
		struct history h = { .comment = "imgmake" };

		buf_adds(&by, what);
		if (l->len > 1)
			buf_addf(&by, " (part %zu of %zu)", i + 1, l->len);
		h.created_by = by.s;
		vec_push(&n->result.layers, l->at[i]);
		config_add_layer(&n->result.config, &l->at[i].diff_id, &h,
		                 build_epoch(n->build));
	}
}

/* Of a step that made no layer. */
static void add_history(struct node *n, const char *what)
{
	struct history h = { .created_by = what,
		             .comment = "imgmake",
		             .empty_layer = true };

	config_add_history(&n->result.config, &h, build_epoch(n->build));
}

static int layer_step(struct node *n, const struct step *s, const struct step_plan *p,
                      struct err *e)
{
	AUTO_BUF what = BUF_INIT;
	struct layer_list l = { NULL, 0, 0 };
	int known = 0;

	step_describe(s, &what);
	if (node_may_look_up(n))
		known = node_find_layers(n, &p->plan_key, &l, e);
	if (!known)
		known = make_layers(n, s, p, &l, e);
	if (known < 0) {
		vec_fini(&l);
		return -1;
	}
	report(n, what.s, &l, known > 0);
	add_layers(n, what.s, &l);
	if (!l.len)
		add_history(n, what.s);
	vec_fini(&l);
	return 0;
}

static int one_step(struct node *n, const struct step *s, const struct step_plan *p,
                    bool *inherited_cmd, struct err *e)
{
	AUTO_BUF what = BUF_INIT;

	if (step_changes_files(s))
		return layer_step(n, s, p, e);
	configure(&n->result.config, s, inherited_cmd);
	step_describe(s, &what);
	add_history(n, what.s);
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
	if (make_steps(n, e) < 0 || node_keep_result(n, e) < 0)
		return -1;
	if (n->target->kind == TARGET_IMAGE && node_assemble(n, true, e) < 0)
		return -1;
	n->status = STATUS_MADE;
	return 0;
}

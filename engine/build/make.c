/* Making a stale node: step by step, each looked up by what it depends on before its
 * layers are made. */
#include <string.h>

#include "build/configure.h"
#include "build/describe.h"
#include "build/join.h"
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
	lock = build_lock(n->build, &key, n->target->name, e);
	if (lock < 0)
		return -1;
	if (node_may_look_up(n))
		found = node_find_layers(n, &key, out, e);
	if (found < 0 || (!found && (run_told(w, p, e) < 0 || work_layer(w, out, e) < 0)))
		return -1;
	if (save(w, &key, p, out, e) < 0)
		return -1;
	if (!found)
		run_export(w, &(struct run_step){ &w->step->run, p });
	return found;
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

/* Of the work's tree, which is complete. 1: all that it came to was known. */
static int find_or_pack(struct work *w, const struct step_plan *p, struct layer_list *out,
                        struct err *e)
{
	struct shard_rule rule = split_rule(w->node, w->step, p);
	int found = work_layers(w, &rule, out, e);

	if (found < 0)
		return -1;
	return node_keep_layers(w->node, &p->plan_key, 1, out, e) < 0 ? -1 : found;
}

/* A step, or some of those of a `layer`, over what is below. */
struct making {
	struct node *node;
	const struct result *below;
	const struct step *step;
	const struct step_plan *plan;
};

/* 1: nothing had to be made, since what it came to was known. */
static int make_apart(const struct making *m, struct layer_list *out, struct err *e)
{
	struct work w;
	int rc = work_init(&w, m->node, m->below, e);

	w.step = m->step;
	if (rc == 0 && m->step->kind == STEP_RUN) {
		rc = run_in_lane(&w, m->plan, out, e);
	} else if (rc == 0) {
		rc = work_step(&w, m->step, m->plan, e);
		if (rc == 0)
			rc = find_or_pack(&w, m->plan, out, e);
	}
	work_fini(&w);
	return rc;
}

/* Of the steps of a `layer`, from `first` on: a command alone, or those up to the next.
 * How many. */
static size_t next_part(const struct making *m, size_t first, struct step *s,
                        struct step_plan *p)
{
	const struct step *all = m->step->layer.at;
	size_t n = 1;

	*s = all[first];
	*p = m->plan->inner[first];
	if (s->kind == STEP_RUN)
		return 1;
	while (first + n < m->step->layer.n && all[first + n].kind != STEP_RUN)
		n++;
	*s = (struct step){ .kind = STEP_LAYER, .place = all[first].place };
	s->layer.at = &m->step->layer.at[first];
	s->layer.n = n;
	*p = (struct step_plan){ .plan_key = m->plan->inner[first + n - 1].plan_key,
		                 .inner = &m->plan->inner[first] };
	return n;
}

/* Layers of their own, as those of any step are: each is looked up by what it depends on,
 * and made of what it sees. They are in no image. */
static int make_parts(const struct making *m, struct result *upto, struct err *e)
{
	size_t n;

	for (size_t i = 0; i < m->step->layer.n; i += n) {
		struct layer_list l = { NULL, 0, 0 };
		struct step s;
		struct step_plan p;
		struct making part = { m->node, upto, &s, &p };
		int known = 0;

		if (build_cancelled(m->node->build))
			return err_set(e, ERR_CANCELLED, "interrupted");
		n = next_part(m, i, &s, &p);
		if (node_may_look_up(m->node))
			known = node_find_layers(m->node, &p.plan_key, &l, e);
		if (known == 0)
			known = make_apart(&part, &l, e);
		for (size_t k = 0; known >= 0 && k < l.len; k++)
			vec_push(&upto->layers, l.at[k]);
		vec_fini(&l);
		if (known < 0 && s.kind == STEP_RUN)
			return err_wrap(e, PLACE_FMT "%s", PLACE_ARG(s.place),
			                step_kind_text(s.kind));
		if (known < 0)
			return -1;
	}
	return 0;
}

/* A command sees files, not what is on its way into a layer: so the steps of a `layer`
 * with commands are made apart, and then the difference that they come to. */
static int make_joined(const struct making *m, struct layer_list *out, struct err *e)
{
	struct result upto;
	struct work w;
	int rc;

	result_copy(&upto, m->below);
	rc = make_parts(m, &upto, e);
	if (rc == 0) {
		rc = work_init(&w, m->node, m->below, e);
		w.step = m->step;
		if (rc == 0)
			rc = work_join(&w, &upto, e);
		if (rc == 0)
			rc = find_or_pack(&w, m->plan, out, e);
		work_fini(&w);
	}
	result_fini(&upto);
	return rc;
}

static int make_layers(const struct making *m, struct layer_list *out, struct err *e)
{
	return m->step->kind == STEP_LAYER && step_runs(m->step) ? make_joined(m, out, e)
	                                                         : make_apart(m, out, e);
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
	struct making m = { n, &n->result, s, p };
	struct layer_list l = { NULL, 0, 0 };
	int known = 0;

	step_describe(s, &what);
	if (node_may_look_up(n))
		known = node_find_layers(n, &p->plan_key, &l, e);
	if (!known && n->build->o.dry_run) {
		n->unknown = arena_printf(&n->arena, "%s has to be built first (%s)",
		                          node_title(n), what.s);
		return 0;
	}
	if (!known)
		known = make_layers(&m, &l, e);
	if (known < 0) {
		vec_fini(&l);
		return -1;
	}
	if (!n->build->o.dry_run)
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

static int start_result(struct node *n, struct err *e)
{
	if (n->has_result)
		result_fini(&n->result);
	if (n->from)
		result_copy(&n->result, &n->from->result);
	else
		result_init(&n->result, &n->platform);
	n->has_result = true;
	if (result_config(&n->result, e) < 0)
		return -1;
	config_set_created(&n->result.config, build_epoch(n->build));
	return 0;
}

static int make_steps(struct node *n, struct err *e)
{
	const struct target *t = n->target;
	bool inherited_cmd = true;

	for (size_t i = 0; i < t->n_steps && !n->unknown; i++) {
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
	if (start_result(n, e) < 0)
		return -1;
	trace_node(n);
	if (make_steps(n, e) < 0 ||
	    (n->target->kind == TARGET_IMAGE && node_assemble(n, true, e) < 0) ||
	    node_keep_result(n, e) < 0)
		return -1;
	n->status = STATUS_MADE;
	return 0;
}

int node_foresee(struct node *n, struct err *e)
{
	return start_result(n, e) < 0 ? -1 : make_steps(n, e);
}

/* Run steps: a command in the image so far, and the difference that it makes. */
#include "build/run.h"

#include "build/runner.h"

static enum diff_kind kind_of(const struct sandbox_probe *p)
{
	if (p->rootfs == SANDBOX_COPY)
		return DIFF_COPY;
	if (p->rootfs == SANDBOX_FUSE_OVERLAY)
		return DIFF_FUSE_OVERLAY;
	return p->users == SANDBOX_ROOT ? DIFF_OVERLAY : DIFF_OVERLAY_USER;
}

static int read_difference(struct runner *x, struct err *e)
{
	struct diff_options o = { .upper = x->upper,
		                  .lower = layers_view(&x->layers),
		                  .kind = kind_of(x->probe),
		                  .stubs = &x->stubs,
		                  .mtime = build_epoch(x->w->node->build),
		                  .flat = x->probe->users == SANDBOX_SINGLE,
		                  .no_devices = x->probe->users != SANDBOX_ROOT ||
		                                x->probe->chroot,
		                  .inside = x->inside };

	return diff_read(&x->diff, &o, e);
}

static int take_difference(struct runner *x, struct err *e)
{
	struct tree *t = &x->w->tree;

	if (read_difference(x, e) < 0)
		return -1;
	for (size_t i = 0; i < x->diff.removed.n; i++)
		if (tree_remove(t, work_keep(x->w, x->diff.removed.at[i].path), e) < 0)
			return -1;
	tree_next_step(t);
	for (size_t i = 0; i < x->diff.entries.n; i++) {
		struct toc_entry entry = x->diff.entries.at[i];
		struct content c = { .kind = CONTENT_NONE };

		entry.path = work_keep(x->w, entry.path);
		if (entry.type == TOC_FILE)
			c = (struct content){ .kind = CONTENT_PATH,
				              .fd = x->upper,
				              .path = entry.path };
		if (tree_put(t, &entry, &c, 0755, e) < 0)
			return -1;
	}
	return 0;
}

int work_run(struct work *w, const struct step_run *r, const struct step_plan *p,
             struct err *e)
{
	struct runner *x = arena_alloc(&w->arena, sizeof(*x));
	struct sandbox_result res = { 0 };
	int rc;

	x->w = w;
	x->r = r;
	x->p = p;
	x->name = node_title(w->node);
	if (runner_open(x, e) < 0 || runner_owners(x, e) < 0)
		return -1;
	rc = runner_run(x, &res, e);
	if (rc == 0)
		rc = runner_judge(x, &res, e);
	sandbox_result_fini(&res);
	return rc < 0 ? -1 : take_difference(x, e);
}

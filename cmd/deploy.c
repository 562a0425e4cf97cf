/* imgmake deploy: build, check, push, tag. */
#include <string.h>

#include "build/remote.h"
#include "cmd/commands.h"
#include "cmd/shipped.h"
#include "os/process.h"
#include "publish/ahead.h"
#include "publish/attach.h"
#include "publish/deploy.h"
#include "store/blobs.h"

static bool published(const struct target *t)
{
	return t->kind == TARGET_IMAGE && t->publish && t->publish->repos.n;
}

static void add_once(struct target **list, size_t *n, struct target *t)
{
	for (size_t i = 0; i < *n; i++)
		if (list[i] == t)
			return;
	list[(*n)++] = t;
}

/* The published images of the recipe; or those named, and with --with-parents what they
 * stand on. */
static int choose(struct session *s, struct target ***out, size_t *n, struct err *e)
{
	AUTO_FREE struct target **named = NULL;
	const struct recipe *r = s->recipe;
	size_t n_named = 0;

	*out = mem_alloc((r->n_targets + 1) * sizeof(**out));
	*n = 0;
	if (s->options->words.len && session_targets(s, &named, &n_named, e) < 0)
		return -1;
	for (size_t i = 0; i < n_named; i++) {
		if (!published(named[i]))
			return err_set(
				e, ERR_INVALID,
				"'%s' is not published; give the image publish = { \"REPO\" }",
				named[i]->name);
		for (struct target *t = named[i]->from; t && s->options->with_parents;
		     t = t->from)
			if (published(t))
				add_once(*out, n, t);
		add_once(*out, n, named[i]);
	}
	for (size_t i = 0; !n_named && i < r->n_targets; i++)
		if (published(r->targets[i]))
			add_once(*out, n, r->targets[i]);
	if (!*n)
		return err_set(
			e, ERR_INVALID,
			"no image of the Imagefile is published; give one publish = { \"REPO\", "
			"version = … }");
	return 0;
}

/* Whether git knows of changes that are not committed. No git, or no repository: no. */
static bool dirty(const struct recipe *r)
{
	static const char *const argv[] = { "git",
		                            "-c",
		                            "core.fsmonitor=false",
		                            "-c",
		                            "core.hooksPath=/dev/null",
		                            "status",
		                            "--porcelain",
		                            "--untracked-files=no",
		                            NULL };
	AUTO_BUF out = BUF_INIT, err = BUF_INIT;
	struct process_options p = {
		.argv = argv, .cwd = r->root_fd, .out = &out, .err = &err
	};
	struct err ignored;
	int status;

	return process_run(&p, &status, &ignored) == 0 && status == 0 && out.len > 0;
}

static int refuse_dirty(struct session *s, struct target *const *images, size_t n,
                        struct err *e)
{
	if (s->options->dirty)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (!publish_is_release(images[i]->publish))
			continue;
		if (!dirty(s->recipe))
			return 0;
		return err_set(
			e, ERR_INVALID,
			"release %s from a working tree with changes; commit them, or say "
			"--dirty",
			images[i]->publish->version);
	}
	return 0;
}

/* What a user without a range of ids builds is right for a desk, not for others. */
static int refuse_flat_owners(struct session *s, struct target *const *images, size_t n,
                              struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (build_has_flat_owners(s->build, images[i]) &&
		    !s->options->allow_flat_owners)
			return err_set(
				e, ERR_INVALID,
				"image '%s': all files of its run steps have one owner, since "
				"you have no range of ids; add one to /etc/subuid and "
				"/etc/subgid, or say --allow-flat-owners",
				images[i]->name);
	return 0;
}

/* Of a dry run: what is not built is known as far as its steps are. */
static int foresee(struct session *s, const struct target *t, struct deploy_image *image,
                   struct err *e)
{
	struct foresight f;

	if (build_root(s->build, t))
		return build_documents(s->build, t, e);
	if (build_foresee(s->build, t, &f, e) < 0)
		return -1;
	image->root = f.root;
	image->layers = f.layers;
	image->n_layers = f.n_layers;
	image->base_name = f.base_name;
	image->unknown = f.unknown;
	return 0;
}

/* Which packages it holds, where the recipe asks for that. A plan tells of what is known.
 */
static int attach(struct session *s, const struct target *t, struct deploy_image *image,
                  struct err *e)
{
	AUTO_FREE struct build_sbom *sboms = NULL;
	struct descriptor *attached;
	size_t n;

	if (!t->publish->sbom)
		return 0;
	image->more_attached = true;
	if (!image->root)
		return 0;
	if (build_sboms(s->build, t, &sboms, &n, &image->more_attached, e) < 0)
		return -1;
	image->attached = attached = mem_alloc((n + 1) * sizeof(*attached));
	for (size_t i = 0; i < n; i++)
		if (attach_sbom(s->store.blobs, &sboms[i].image, &sboms[i].document,
		                &attached[i], e) < 0)
			return -1;
	image->n_attached = n;
	return 0;
}

static void free_list(struct deploy_image *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free((void *)list[i].attached);
	free(list);
}

/* `ahead`: NULL in a plan. */
static int ship_images(struct session *s, struct target *const *images, size_t n,
                       struct ahead *ahead, struct err *e)
{
	struct deploy_image *list = mem_alloc(n * sizeof(*list));
	struct deploy_result result;
	bool plan_only = s->options->dry_run;
	struct ship_options o;
	int rc = 0;

	/* What goes to the cache's registry need not go there twice. */
	session_wait_remote(s);
	ship_options_of(s, plan_only, &o);
	o.ahead = ahead;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		list[i] =
			(struct deploy_image){ .name = images[i]->name,
			                       .publish = images[i]->publish,
			                       .root = build_root(s->build, images[i]) };
		if (plan_only)
			rc = foresee(s, images[i], &list[i], e);
		if (rc == 0)
			rc = attach(s, images[i], &list[i], e);
	}
	if (rc == 0)
		rc = deploy(&result, list, n, &o, e);
	free_list(list, n);
	if (rc == 0)
		shipped_print(s, &result, plan_only);
	return rc;
}

static int build_and_ship(struct session *s, struct target **images, size_t n,
                          struct ahead *ahead, struct err *e)
{
	if (ahead)
		build_on_layer(s->build, ahead_layer, ahead);
	if (session_build(s, images, n, e) < 0 ||
	    refuse_flat_owners(s, images, n, e) < 0 ||
	    build_check(s->build, images, n, e) < 0)
		return -1;
	return ship_images(s, images, n, ahead, e);
}

static int build_and_ship_anew(struct session *s, struct target **images, size_t n,
                               struct ahead *ahead, struct err *e)
{
	if (build_and_ship(s, images, n, ahead, e) == 0)
		return 0;
	if (ahead)
		ahead_explain(ahead, e);
	if (e->code != ERR_CORRUPT && e->code != ERR_CHANGED &&
	    !(e->code == ERR_NOT_FOUND && s->remote))
		return -1;
	/* A damaged blob was put aside when it was noticed, on its way out: now it is
	 * made anew. So is what a remote cache knew of and has no longer. */
	s->distrust = true;
	progress_warning(terminal_progress(s->terminal), "%s; once more", e->msg);
	return session_rebuild(s, e) < 0 ? -1 : build_and_ship(s, images, n, ahead, e);
}

static int deploy_images(struct session *s, struct target **images, size_t n,
                         struct err *e)
{
	struct build_remote *remote = session_remote(s);
	struct ahead *ahead = NULL;
	struct ship_options o;
	int rc;

	if (refuse_dirty(s, images, n, e) < 0)
		return -1;
	if (s->options->dry_run)
		return session_plan(s, images, n, e) < 0
		               ? -1
		               : ship_images(s, images, n, NULL, e);
	ship_options_of(s, false, &o);
	/* A cache gets all layers meanwhile: from there they are mounted. */
	if (!remote || !remote->writes)
		ahead = ahead_new(s->recipe, images, n, &o);
	rc = build_and_ship_anew(s, images, n, ahead, e);
	if (rc < 0 && ahead)
		registry_cancel(s->registry);
	ahead_free(ahead);
	return rc;
}

int cmd_deploy(const struct options *o, struct terminal *t)
{
	AUTO_FREE struct target **images = NULL;
	struct session s;
	struct err e;
	size_t n;

	if (session_open(&s, o, t,
	                 SESSION_RECIPE | SESSION_REGISTRY | SESSION_BUILD |
	                         (o->dry_run ? SESSION_STORE_READ | SESSION_FORESEE
	                                     : SESSION_STORE),
	                 &e) < 0 ||
	    choose(&s, &images, &n, &e) < 0 || deploy_images(&s, images, n, &e) < 0)
		return session_fail(&s, &e);
	return session_end(&s, 0);
}

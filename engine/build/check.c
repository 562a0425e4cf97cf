/* Checks of images, in them or on the host: a pass is remembered by (image digest, the
 * check's own key). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build/fileset.h"
#include "build/inside.h"
#include "build/node.h"
#include "build/remote.h"
#include "image/layout.h"
#include "os/clock.h"
#include "os/file.h"
#include "store/stat_cache.h"
#include "store/state.h"

/* Rules are made while an image is planned, which a check is no part of. */
static int check_sources(const struct fileset *set, const struct context *c,
                         struct err *e)
{
	for (size_t i = 0; i < set->files.len; i++)
		if (context_in_output(c, set->files.at[i].path))
			return err_set(
				e, ERR_INVALID,
				"deps: %s is made by a rule; name what that is made "
				"of",
				set->files.at[i].path);
	return 0;
}

static int digest_deps(struct build *b, const struct target *t, struct digest *out,
                       struct err *e)
{
	struct context *c;
	struct fileset *set;
	int rc;

	if (build_context(b, t, &c, e) < 0 || fileset_glob(&set, c, &t->deps, e) < 0)
		return -1;
	rc = check_sources(set, c, e);
	if (rc == 0)
		rc = fileset_hash(set, c, e);
	if (rc == 0)
		fileset_digest(set, false, out);
	fileset_free(set);
	stat_cache_rest(b->cache);
	return rc;
}

/* On the host the commands run in `dir`: the same words name other scripts elsewhere. In
 * the image there is nothing but the image. */
static int check_key(struct build *b, const struct target *t,
                     const struct descriptor *image, struct digest *out, struct err *e)
{
	struct digest deps;
	struct hasher h;

	if (t->deps.n && digest_deps(b, t, &deps, e) < 0)
		return -1;

	hasher_init(&h);
	hasher_str(&h, t->on_host ? "check" : "check inside");
	hasher_digest(&h, &image->digest);
	if (t->on_host)
		hasher_str(&h, t->dir);
	for (size_t i = 0; i < t->run.n; i++)
		hasher_str(&h, t->run.at[i]);
	if (t->deps.n)
		hasher_digest(&h, &deps);
	hasher_end(&h, out);
	return 0;
}

static int pass_put(struct build *b, const struct digest *key, const char *when,
                    struct err *e)
{
	return state_put(b->o.store->state, STATE_CHECKS, key->b, DIGEST_SIZE, when,
	                 strlen(when), e);
}

/* Whether a pass of that time counts still. */
static bool fresh_enough(const struct target *t, const char *when)
{
	int64_t age = clock_wall_s() - strtoll(when, NULL, 10);

	return t->fresh < 0 || (age >= 0 && age < t->fresh);
}

/* Of another machine. What it built with one owner for all files is in no cache. */
static int passed_elsewhere(struct build *b, const struct target *t,
                            const struct digest *key, struct err *e)
{
	struct build_remote *r = b->o.remote;
	AUTO_BUF when = BUF_INIT;

	if (!r || atomic_load(&b->distrust) || build_has_flat_owners(b, t->image) ||
	    r->get(r, REMOTE_CHECK, key, &when) == 0 || !fresh_enough(t, when.s))
		return 0;
	return pass_put(b, key, when.s, e) < 0 ? -1 : 1;
}

static int passed_before(struct build *b, const struct target *t,
                         const struct digest *key, struct err *e)
{
	AUTO_BUF when = BUF_INIT;
	int found;

	if (b->o.always)
		return 0;
	found = state_get(b->o.store->state, STATE_CHECKS, key->b, DIGEST_SIZE, &when, e);
	if (found < 0)
		return -1;
	return found && fresh_enough(t, when.s) ? 1 : passed_elsewhere(b, t, key, e);
}

static int remember_pass(struct build *b, const struct target *t,
                         const struct digest *key, struct err *e)
{
	struct remote_entry entry = { .kind = REMOTE_CHECK, .key = *key };
	struct build_remote *r = b->o.remote;
	AUTO_BUF when = BUF_INIT;

	buf_addf(&when, "%lld", (long long)clock_wall_s());
	if (pass_put(b, key, when.s, e) < 0)
		return -1;
	entry.text = when.s;
	if (r && r->writes && !build_has_flat_owners(b, t->image))
		r->put(r, &entry);
	return 0;
}

static int run_with_layout(struct build *b, const struct target *t,
                           const struct descriptor *image, struct err *e)
{
	struct context *context;
	AUTO_BUF name = BUF_INIT, var = BUF_INIT;
	struct err ignored;
	int rc;

	buf_addf(&name, "tmp/check.%d.%zu", (int)getpid(), t->index);
	if (build_context(b, t, &context, e) < 0 || build_complete(b, t->image, e) < 0)
		return -1;
	rc = layout_export(b->o.store->blobs, b->o.store->dir, LAYOUT_OCI_DIR, name.s,
	                   NULL, image, e);
	buf_addf(&var, "IMAGE=%s/%s", b->o.store->path, name.s);
	if (rc == 0)
		rc = host_run(b,
		              &(struct host_command){ .target = t->name,
		                                      .lines = &t->run,
		                                      .dir = context->fd,
		                                      .variable = var.s },
		              e);
	if (file_remove_tree(b->o.store->dir, name.s, &ignored) < 0)
		progress_warning(b->o.progress, "%s", ignored.msg);
	return rc;
}

static int run_inside(struct build *b, const struct target *t, struct err *e)
{
	struct inside_command c = { .script = t->run, .name = t->name };
	struct sandbox_result res;
	int rc = build_inside(b, t->image, &c, &res, e);

	sandbox_result_fini(&res);
	return rc;
}

/* The whole image, with all its platforms; or the one of them that is run. */
static int image_of(struct build *b, const struct target *t, struct descriptor *out,
                    struct err *e)
{
	const struct descriptor *root = build_root(b, t->image);
	struct platform p;

	if (!root)
		return err_set(e, ERR_FAILED, "image '%s' was not built", t->image->name);
	*out = *root;
	if (t->on_host)
		return 0;
	if (build_inside_platform(b, t->image, &p, e) < 0)
		return -1;
	*out = node_get(b, t->image, &p)->manifest;
	return 0;
}

static int check_one(struct build *b, const struct target *t, struct err *e)
{
	struct descriptor image;
	struct digest key;
	bool failed;
	int passed;

	if (image_of(b, t, &image, e) < 0)
		return -1;
	if (check_key(b, t, &image, &key, e) < 0)
		return -1;
	passed = passed_before(b, t, &key, e);
	if (passed) {
		if (passed > 0)
			progress_step(b->o.progress, t->name, "passed before");
		return passed < 0 ? -1 : 0;
	}
	progress_begin(b->o.progress, t->name, "check", -1);
	failed =
		(t->on_host ? run_with_layout(b, t, &image, e) : run_inside(b, t, e)) < 0;
	progress_end(b->o.progress, t->name, "check", 0);
	if (failed)
		return -1;
	progress_step(b->o.progress, t->name, "passed");
	return remember_pass(b, t, &key, e);
}

int build_check(struct build *b, struct target *const *targets, size_t n, struct err *e)
{
	const struct recipe *r = b->recipe;

	for (size_t i = 0; i < r->n_targets; i++) {
		const struct target *t = r->targets[i];
		bool asked = false;

		for (size_t k = 0; k < n; k++)
			asked |= t->kind == TARGET_CHECK &&
			         (targets[k] == t || targets[k] == t->image);
		if (asked && check_one(b, t, e) < 0)
			return err_wrap(e, PLACE_FMT "check '%s'", PLACE_ARG(t->place),
			                t->name);
	}
	return 0;
}

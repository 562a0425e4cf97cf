/* A shell in a failed step: the files that its command left, and all that it had around
 * it. */
#include <errno.h>
#include <sys/stat.h>

#include "build/runner.h"
#include "os/fd.h"

/* Overlayfs' volatile mounts refuse a work directory that one of them has had. */
static const char work_name[] = "work.shell";

static int run_shell(struct runner *x, struct err *e)
{
	struct arena *a = &x->w->arena;
	struct step_run with_terminal = *x->r;
	const struct step_run *r = x->r;
	struct sandbox_result res = { 0 };
	const char *argv[] = { runner_shell_name(&x->w->below->config), NULL };
	struct sandbox_spec spec;
	int rc;

	if (mkdirat(x->w->node->build->o.store->dir,
	            arena_printf(a, "%s/%s", x->at.staging, work_name), 0755) < 0)
		return err_sys(e, "make a work directory");
	run_pass_terminal(a, &with_terminal.env);
	x->r = &with_terminal;
	rc = runner_spec(x, work_name, &spec, e);
	x->r = r;
	if (rc < 0)
		return -1;
	spec.argv = argv;
	spec.interactive = spec.on_terminal = spec.again = true;
	rc = sandbox_run(x->sandbox, &spec, &res, e);
	sandbox_result_fini(&res);
	return rc;
}

void runner_shell(struct runner *x, const char *why)
{
	struct build *b = x->w->node->build;
	AUTO_BUF text = BUF_INIT;
	struct err e;
	int rc = 0;

	pthread_mutex_lock(&b->shell);
	if (!build_cancelled(b)) {
		buf_addf(&text, "%s; this is a shell in what it left, \"exit\" ends it",
		         why);
		progress_hold(b->o.progress, x->name, text.s);
		rc = run_shell(x, &e);
		progress_release(b->o.progress);
	}
	pthread_mutex_unlock(&b->shell);
	if (rc < 0)
		progress_warning(b->o.progress, "no shell could be opened: %s", e.msg);
}

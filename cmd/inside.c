/* imgmake run, shell: a command in the files of a target. */
#include <signal.h>
#include <stdio.h>

#include "build/inside.h"
#include "cmd/commands.h"

static int find_place(struct session *s, struct target **out, struct err *e)
{
	if (session_find_target(s, s->options->words.at[0], out, e) < 0)
		return -1;
	if ((*out)->kind == TARGET_IMAGE || (*out)->kind == TARGET_STAGE)
		return 0;
	return err_set(e, ERR_INVALID, "'%s' is a %s; commands run in images and stages",
	               (*out)->name, target_kind_text((*out)->kind));
}

/* The exit status that a shell would have given; -1 if it was not the command that ended
 * it. */
static int status_of(const struct sandbox_result *res, struct err *e)
{
	switch (res->end) {
	case SANDBOX_EXITED:
	case SANDBOX_SIGNALLED: return res->status;
	case SANDBOX_OUT_OF_MEMORY: return 128 + SIGKILL;
	case SANDBOX_TIMED_OUT:
		return err_set(e, ERR_FAILED, "the command took longer than --timeout");
	case SANDBOX_INTERRUPTED: break;
	}
	return err_set(e, ERR_CANCELLED, "interrupted");
}

/* Who wants a shell in what cannot be made may want one in what is there of it. */
static int hint_shell(const struct session *s, const struct inside_command *c,
                      struct err *e)
{
	char why[sizeof(e->msg)];

	if (c->shell && !s->options->shell_on_fail && build_command_failed(s->build)) {
		snprintf(why, sizeof(why), "%s", e->msg);
		err_set(e, e->code, "%s; --shell-on-fail opens a shell there", why);
	}
	return -1;
}

static int run_in(struct session *s, const struct inside_command *c, int *status,
                  struct err *e)
{
	struct sandbox_result res;
	struct target *t;
	int rc;

	if (find_place(s, &t, e) < 0)
		return -1;
	if (session_build(s, &t, 1, e) < 0)
		return hint_shell(s, c, e);
	terminal_print(s->terminal, "", 0); /* takes the status line away */
	rc = build_inside(s->build, t, c, &res, e);
	if (rc == 0)
		rc = *status = status_of(&res, e);
	sandbox_result_fini(&res);
	if (rc < 0)
		return session_without_remote(s, e) < 0 ? -1 : run_in(s, c, status, e);
	return 0;
}

static int enter(const struct options *o, struct terminal *t,
                 const struct inside_command *c)
{
	struct session s;
	struct err e;
	int status = 0;

	if (session_open(&s, o, t,
	                 SESSION_RECIPE | SESSION_STORE | SESSION_REGISTRY |
	                         SESSION_BUILD,
	                 &e) < 0 ||
	    run_in(&s, c, &status, &e) < 0)
		return session_fail(&s, &e);
	return session_end(&s, status);
}

int cmd_run(const struct options *o, struct terminal *t)
{
	struct inside_command c = {
		.argv = { (const char **)o->rest.at, o->rest.len },
		.interactive = true,
		.secrets = true,
		.ssh = o->ssh,
	};

	return enter(o, t, &c);
}

int cmd_shell(const struct options *o, struct terminal *t)
{
	struct inside_command c = {
		.shell = true, .interactive = true, .secrets = true, .ssh = o->ssh
	};

	return enter(o, t, &c);
}

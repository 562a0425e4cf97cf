#ifndef BUILD_RUNNER_H
#define BUILD_RUNNER_H

/* A command in the files of a result, sandboxed: what run steps, checks, and commands of
 * people have in common. Private to build/. */
#include "build/run.h"
#include "sandbox/diff.h"
#include "sandbox/layers.h"

struct runner {
	/* Given; they outlive the work. */
	struct work *w;
	const struct step_run *r;
	const struct step_plan *p;
	const char *name; /* whose output it is */
	bool finished;    /* in a finished image: it sees nothing of how that was made */
	bool interactive; /* it has our standard input and outputs */

	struct sandbox *sandbox;
	const struct sandbox_probe *probe;
	struct inside inside;
	struct run_place at;
	struct run_limits limits;
	struct run_mounts mounts;
	struct layers layers;
	int upper; /* fd; closed by the work, since its tree may read from it */
	struct strlist stubs; /* made for mounts alone */
	struct diff diff;     /* of a run step; its tree borrows from it */
};

/* Finds out what can be done here, or refuses. From here on work_fini takes down what was
 * set up. */
MUST_CHECK int runner_open(struct runner *x, struct err *e);
/* -1 if it could not be started. What it changed is in `upper`. *res is to be finished in
 * any case. */
MUST_CHECK int runner_run(struct runner *x, struct sandbox_result *res, struct err *e);

/* ERR_FAILED, unless it ended with status 0, and how it ended. A failed one is shown to
 * the user in a shell first, if they want that. */
MUST_CHECK int runner_judge(struct runner *x, const struct sandbox_result *res,
                            struct err *e);

/* run_env.c: the command's environment, built from nothing. Strings are in the work's
 * arena. */
MUST_CHECK int run_environment(struct runner *x, struct strings *out, struct err *e);
/* Adds the one thing of ours that programs on a terminal need. */
void run_pass_terminal(struct arena *a, struct pairs *env);

/* runner_limits.c: the step's, else the build's. What cannot be kept here is said, once a
 * build. */
void runner_limits(struct runner *x);
/* Once a build: that all files get one owner. Else as run_learn_owners. */
MUST_CHECK int runner_owners(struct runner *x, struct err *e);

/* runner_shell.c: a shell in what a failed command left, on the user's terminal. `why` is
 * how it failed. */
void runner_shell(struct runner *x, const char *why);

/* What the sandbox is told of the command, and of the shell after it. The upper directory
 * is the runner's, `work` is a name below its staging directory. */
MUST_CHECK int runner_spec(struct runner *x, const char *work, struct sandbox_spec *out,
                           struct err *e);
/* The image's shell, without the options that make it take a script. */
const char *runner_shell_name(const struct image_config *c);

#endif

#ifndef BUILD_RUN_H
#define BUILD_RUN_H

/* Run steps: their keys, and running them in the sandbox. Private to build/. */
#include "build/work.h"
#include "sandbox/sandbox.h"

/* The sandbox, probed once a build and only when a run step asks. */
MUST_CHECK int run_sandbox(struct build *b, struct sandbox **out, struct err *e);

/* ERR_INVALID if programs of that platform cannot be run here, with what to install. */
MUST_CHECK int run_can_execute(const struct platform *image, struct err *e);
/* Steps here give all files one owner, since we have no others (a user without a range of
 * ids). What was found out by trying is remembered; before that it is told by what is
 * installed. */
bool run_flat_owners(const struct build *b);
/* ERR_CHANGED if the sandbox, which has tried it, knows better than what the plan was
 * made with. */
MUST_CHECK int run_learn_owners(const struct build *b, enum sandbox_users users,
                                struct err *e);

/* The step's arguments into the node's key; its files into the plan. */
MUST_CHECK int run_key(struct node *n, const struct step_run *r, struct step_plan *p,
                       struct err *e);
/* What the step depends on, with the parent's content instead of its key: the chain of
 * diff IDs, and what of the configuration a command sees. */
void run_result_key(struct work *w, const struct step_run *r, const struct step_plan *p,
                    struct digest *out);
struct run_step {
	const struct step_run *r;
	const struct step_plan *p;
};
/* What a cache directory goes by on other machines: first all that the step is given of
 * its own, but for what the image holds; then the cache and the command alone. */
enum { CACHE_KEYS = 2 };
void run_cache_keys(struct work *w, const struct run_step *s, const char *id,
                    struct digest out[CACHE_KEYS]);
/* Runs the command and puts what it changed into the tree. ERR_FAILED says how it ended.
 */
MUST_CHECK int work_run(struct work *w, const struct step_run *r,
                        const struct step_plan *p, struct err *e);

/* Takes down what a run set up, when the tree has been packed. */
void work_run_fini(struct work *w);

/* Where and as whom a command runs. */
struct run_place {
	const char *staging; /* directory of this run, relative to the store */
	const char *workdir;
	struct owner user;
	const gid_t *groups; /* that the user is in beside */
	size_t n_groups;
	const char *home; /* unless the image or the step says one */
	enum sandbox_users users;
	struct sandbox *sandbox;
	bool alone; /* caches are nobody else's meanwhile, however they are shared */
};

/* A cache directory in use. */
struct used_cache {
	const char *id;
	const char *dir; /* relative to the store */
	int fd;
	bool alone; /* nobody else was using it when we began */
};

/* run_import.c, run_export.c: cache directories that travel (`export = true`). One that
 * is not here yet is made of what another machine had, if that can be had; the caller has
 * its lock. */
MUST_CHECK int run_import(struct work *w, const struct run_step *s,
                          const struct run_place *at, const struct used_cache *c,
                          struct err *e);
/* The step has succeeded: what it leaves in its caches is for others. */
void run_export(struct work *w, const struct run_step *s);
/* At the end of a build, when nobody uses them any more. */
void build_export_caches(struct build *b);
void build_exports_free(struct build *b);

/* run_mounts.c: what the step sees beside the image. */
struct timed_file;
struct run_mounts {
	VEC(struct sandbox_mount) list;
	VEC(struct used_cache) caches; /* each once */
	VEC(struct timed_file)
	staged;       /* files put beside, whose times are as those of the layers */
	VEC(int) fds; /* sources and locks */
	struct arena arena;
	const char *dir; /* staging directory of this run, below the store; relative to it
	                  */
};

MUST_CHECK int run_mounts_make(struct run_mounts *m, struct work *w,
                               const struct step_run *r, const struct step_plan *p,
                               const struct run_place *at, struct err *e);
void run_mounts_fini(struct run_mounts *m);
/* Where the agent's socket is in the step, if it has one. */
const char *run_agent_path(const struct step_run *r);
bool run_has_agent(const struct step_run *r);

#endif

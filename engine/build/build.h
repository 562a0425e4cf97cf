#ifndef BUILD_BUILD_H
#define BUILD_BUILD_H

/* Turns a recipe into images in the store: plans each target (its key, from everything
 * that it depends on), and makes what has no result under that key. */
#include "base/progress.h"
#include "image/descriptor.h"
#include "recipe/lockfile.h"
#include "recipe/recipe.h"
#include "registry/client.h"
#include "store/store.h"

struct build_remote;

struct build_options {
	struct store *store;
	struct build_remote *remote; /* results of other machines; or NULL */
	bool distrust;               /* results of other machines do not count */
	struct registry *registry;
	struct lockfile *lock;
	struct progress *progress; /* or NULL */
	int jobs;                  /* threads; 1 or more */
	bool always;               /* -B: results are not looked up */
	bool keep_going;           /* -k */
	bool dry_run;              /* -n, -q: nothing is run or written */
	bool foresee;              /* of a dry run: build_foresee is to be asked */
	bool lock_update; /* bases are locked anew, to what their tags are today */
	bool lock_strict; /* an unlocked base or download is an error */
	bool trace;       /* tells each target's reasons and each step as it is made */
	bool no_host;     /* host rules are refused */
	bool chroot;      /* --isolation=chroot: see struct sandbox_options */
	const char *const *touched; /* -W: project files that count as changed; relative
	                               to the root */
	size_t n_touched;
	const char *const *old; /* -o: files that count as unchanged, likewise */
	size_t n_old;
	struct platform *platforms; /* --platform: instead of the targets' own; none: as
	                               they say */
	size_t n_platforms;
	const struct secrets *secrets; /* for run steps; or NULL */
	const char *runtime;           /* for run steps: see sandbox_options; or NULL */
	struct run_limits limits; /* of run steps and checks that say none; 0: none */
	bool shell_on_fail; /* a run step or check that fails gets a shell on our standard
	                     * input, which is a terminal */
	struct jobserver *shared_jobs; /* make's, whose tokens jobs take; or NULL */
	bool limit_load; /* while others run, no job starts at a load of max_load */
	double max_load;
	bool has_epoch; /* SOURCE_DATE_EPOCH is set */
	int64_t epoch;
};

enum status {
	STATUS_UNKNOWN, /* not looked at: a failure stopped the plan before it, or not
	                   needed */
	STATUS_CURRENT, /* a result is known and whole */
	STATUS_STALE,   /* must be made */
	STATUS_MADE,    /* was stale, was made by this build */
	STATUS_FAILED,
};

struct build;
MUST_CHECK int build_new(struct build **out, const struct recipe *r,
                         const struct build_options *o, struct err *e);
void build_free(struct build *b); /* NULL is fine */

/* Appends the configuration of a base on a platform; nothing in a dry run that would have
 * to pull it first. */
MUST_CHECK int build_base_config(struct build *b, const struct target *t,
                                 const struct platform *p, struct buf *out,
                                 struct err *e);

/* Computes keys of the targets and of all they need, and looks their results up. Host
 * rules that are out of date run here (not in a dry run), since keys depend on what they
 * make. */
MUST_CHECK int build_plan(struct build *b, struct target *const *targets, size_t n,
                          struct err *e);
/* After a plan of a dry run: the documents of images that are current, for build_root's
 * user to read, in memory where the store lacks them. */
MUST_CHECK int build_documents(struct build *b, const struct target *t, struct err *e);
/* After a plan of a dry run: what a stale image will be, as far as what its steps come to
 * is known already, here or in the remote cache. */
struct foresight {
	const struct descriptor *root;   /* its documents are as of build_documents; NULL:
	                                    not known */
	const char *unknown;             /* why not: what has to be made first */
	const struct descriptor *layers; /* that it will have in any case, each once */
	size_t n_layers;
	const char *base_name; /* of the base at the bottom, or NULL */
};
/* *out is the build's. */
MUST_CHECK int build_foresee(struct build *b, const struct target *t,
                             struct foresight *out, struct err *e);
/* fn is called for each layer that build_make packs, as soon as it is in the store: for
 * each image that was asked for and will have it, from any thread. Not for images with
 * flat owners, nor for layers that a host rule waits for. */
void build_on_layer(struct build *b,
                    void (*fn)(void *self, const struct target *image,
                               const struct descriptor *layer),
                    void *self);
/* Makes what is stale, for targets that were planned. */
MUST_CHECK int build_make(struct build *b, struct err *e);
/* Runs the checks of `targets` (checks themselves, or images: all checks of them) on what
 * was made. */
MUST_CHECK int build_check(struct build *b, struct target *const *targets, size_t n,
                           struct err *e);
/* Puts the base layers of a made image into the store, where only the registry had them:
 * for export. */
MUST_CHECK int build_complete(struct build *b, const struct target *t, struct err *e);
/* Bills of materials, one a platform, of an image that is made or current. In a dry run
 * only those that are known; *more: there will be others. *out is the caller's to free.
 */
struct build_sbom {
	struct descriptor image; /* manifest that it is about */
	/* In the store; or, as long as others are trusted, only known of from the remote
	 * cache: whoever misses it builds again and distrusts. */
	struct descriptor document;
};
MUST_CHECK int build_sboms(struct build *b, const struct target *t,
                           struct build_sbom **out, size_t *n, bool *more, struct err *e);
/* Makes calls under way stop soon, with ERR_CANCELLED. Async-signal-safe. */
void build_cancel(struct build *b);

/* A run step or a check failed: its command, and not what is around it. */
bool build_command_failed(const struct build *b);

/* What became of a target: all its platforms together. */
enum status build_status(const struct build *b, const struct target *t);
/* Manifest, or index of several platforms, in the store. NULL while stale, and of what is
 * no image. */
const struct descriptor *build_root(const struct build *b, const struct target *t);
/* All failures, each with its target; NULL at the end. */
const struct err *build_failure(const struct build *b, size_t i, const struct target **t);

/* How many targets were not made because of what failed (-k). */
size_t build_skipped(const struct build *b);
/* Appends ": made last because of …" lines of the build that made it last, if that is
 * known, and ends the line in any case. */
MUST_CHECK int build_why_last(struct build *b, const struct target *t, struct buf *out,
                              struct err *e);

/* Files of its run steps have one owner, since we have no others to give: a user without
 * a range of ids. */
bool build_has_flat_owners(const struct build *b, const struct target *t);

/* Calls fn for every planned target in the order of the recipe. */
void build_each(const struct build *b,
                void (*fn)(void *self, const struct target *t, enum status s),
                void *self);

/* Why a target is stale, or was the last time it was made: one call a difference between
 * the inputs of the last result and today's. `was` and `is` are texts, or digests, or
 * NULL: absent. */
MUST_CHECK int build_why(struct build *b, const struct target *t,
                         void (*fn)(void *self, const char *name, const char *was,
                                    const char *is),
                         void *self, struct err *e);
/* "NAME: was A, is B" and a newline; of digests as much as tells them apart. */
void build_tell(struct buf *out, const char *name, const char *was, const char *is);

#endif

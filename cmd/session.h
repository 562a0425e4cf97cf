#ifndef CMD_SESSION_H
#define CMD_SESSION_H

/* What most commands need, opened in one place from the options: recipe, store, lock
 * file, registry client, build. */
#include <stdatomic.h>

#include "build/build.h"
#include "build/secrets.h"
#include "cmd/options.h"
#include "cmd/terminal.h"
#include "lua/eval.h"

struct session {
	const struct options *options;
	struct terminal *terminal;
	struct recipe *recipe;
	struct base_configs *configs; /* of bases, for evaluation; or NULL */
	struct store store;
	struct lockfile lock;
	struct registry *registry;
	struct build *build;
	struct strlist touched;      /* -W, relative to the root */
	struct strlist old;          /* -o, likewise */
	struct jobserver *jobs;      /* make's, or NULL */
	int n_jobs;                  /* how many at once */
	struct platform *platforms;  /* --platform */
	struct secrets secrets;      /* --secret */
	struct remote_cache *remote; /* --cache, --cache-read; or NULL */
	bool convert;                /* SESSION_CONVERT */
	bool lint;                   /* SESSION_LINT */
	bool foresee;                /* SESSION_FORESEE */
	bool distrust; /* what others made counts only as far as it is here */
};

enum {
	SESSION_RECIPE = 1 << 0,        /* the Imagefile must be there and right */
	SESSION_RECIPE_IF_ANY = 1 << 1, /* it is read if there is one: words may name
	                                   other things */
	SESSION_STORE = 1 << 2,
	SESSION_STORE_READ = 1 << 3, /* opened for reading, as in a dry run */
	SESSION_REGISTRY = 1 << 4,
	SESSION_BUILD = 1 << 5,   /* needs recipe, store and registry */
	SESSION_CONVERT = 1 << 6, /* the recipe, a Dockerfile, is converted; a base that
	                             cannot be had is none of its errors */
	SESSION_LINT = 1 << 7,    /* recipe.text gets findings */
	SESSION_FORESEE = 1 << 8, /* a dry run that asks build_foresee */
};

MUST_CHECK int session_open(struct session *s, const struct options *o,
                            struct terminal *t, unsigned parts, struct err *e);
void session_close(struct session *s);

/* Prints the error, closes, and gives the exit status for it. */
int session_fail(struct session *s, const struct err *e);
/* Closes, and gives `status`, or 2 if standard output could not be written. */
int session_end(struct session *s, int status);

/* session_bases.c: what evaluation has to know of bases. */
struct base_configs;
size_t base_configs_get(const struct base_configs *c, const struct eval_config **out);
void base_configs_free(struct base_configs *c); /* NULL is fine */
/* Looks up the configurations that evaluation asked for, of bases that the targets need;
 * 1: there are new ones, so that it has to be done again. */
MUST_CHECK int session_look_at_bases(struct session *s, struct err *e);

/* "x" is what the Imagefile that was read calls x, also where the project's root is
 * further up. */
MUST_CHECK int session_find_target(struct session *s, const char *word,
                                   struct target **out, struct err *e);
/* The targets that the words name; without words the default ones. *out is the caller's.
 */
MUST_CHECK int session_targets(struct session *s, struct target ***out, size_t *n,
                               struct err *e);

/* Plans the targets and writes the lock file if it grew. */
MUST_CHECK int session_plan(struct session *s, struct target *const *targets, size_t n,
                            struct err *e);
/* Plan, make, and lock file. Of several failures, prints each; *e tells how many. */
MUST_CHECK int session_build(struct session *s, struct target *const *targets, size_t n,
                             struct err *e);

/* session_remote.c: the remote cache, or NULL. */
MUST_CHECK int session_open_remote(struct session *s, struct err *e);
/* The repository that --cache, IMGMAKE_CACHE or the recipe name; NULL: none. Borrowed. */
const char *session_cache_repo(const struct session *s);
struct build_remote;
struct build_remote *session_remote(struct session *s);
void session_wait_remote(struct session *s);  /* until all that was made is there */
void session_close_remote(struct session *s); /* says what came of it */

/* After a failure: what another machine made, and the cache has lost or lied about, can
 * be made here. 0: nothing is planned, and it is to be tried again; -1: the failure
 * stands.
 */
MUST_CHECK int session_without_remote(struct session *s, struct err *e);

/* Forgets what was planned, since the store has changed under it. */
MUST_CHECK int session_rebuild(struct session *s, struct err *e);

/* An image by whatever name people have for it: a target (built first, if it is out of
 * date), a layout or archive ("oci:DIR"), a digest of the store, a reference (pulled).
 * Its root is in the store then; with `layers`, they are too. */
MUST_CHECK int session_image(struct session *s, const char *name, bool layers,
                             struct descriptor *root, struct err *e);

/* The platform of --platform, or this machine's. */
MUST_CHECK int session_platform(const struct session *s, struct platform *out,
                                struct err *e);

/* Stops the build that is under way, and what looks at session_interrupted. From the
 * signal thread in main.c. */
void session_interrupt(void);
const atomic_bool *session_interrupted(void);

/* gc.c: after a build, keeps the store within its bounds, if it may have grown beyond
 * them. */
void session_keep_bounds(struct session *s);

/* Before an _exit: ends children, and gives back what others would miss. From there, too.
 */
void session_give_up(void);

/* Standard output. */
void session_print(struct session *s, const struct buf *text);
void session_print_json(struct session *s, json_t *j); /* steals j */
/* What an image was found to be: its digest, or with --json its descriptor. */
void session_print_root(struct session *s, const struct descriptor *root);

/* main.c */
extern const struct command commands[];

#endif

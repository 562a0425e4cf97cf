#ifndef BUILD_NODE_H
#define BUILD_NODE_H

/* The build's own view of a recipe: one node a target and platform. Private to build/. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "base/vec.h"
#include "build/build.h"
#include "build/key.h"
#include "build/result.h"
#include "build/schedule.h"
#include "os/pool.h"

#define DOWNLOAD_MAX ((int64_t)16 << 30) /* bytes of one `add` */

/* What planning a step found out, for making it. */
struct step_plan {
	struct digest plan_key; /* of all up to and with this step, if it is to be made */
	struct fileset *files;  /* of a copy from the project, else NULL */
	struct digest source;   /* of an archive or a download, else zero */
	struct git_commit *git; /* of a repository, else NULL */
	struct digest *mounted; /* of a run step: one a mount */
	struct fileset **bound; /* the same; NULL: nothing of the project */
	struct step_plan *inner; /* of the steps of a `layer`, else NULL */
	int64_t later_layers;    /* of a copy: room to leave for the steps after it */
};

struct node {
	/* `look` only where planning can begin before the base is known, `make` only when
	 * chosen */
	struct job look, plan, make;
	struct build *build;
	const struct target *target;
	struct platform platform;     /* {""} for host rules and tasks */
	struct node *from;            /* NULL: scratch, or no file system */
	struct platform for_platform; /* of a build stage: whose files it makes; else as
	                                 above */
	struct node *sibling;         /* the same target for another platform, or NULL */
	VEC(struct node *) needs;     /* from, copied-from, checked image, host rules */
	struct arena arena;
	struct key key;
	struct digest plan_key; /* of the whole node */
	struct step_plan *steps;
	enum status status;
	bool flat;    /* a run step of it, or of what it needs, has one owner for all */
	bool guessed; /* what is not here yet stands in the key as that */
	const char *forced;  /* why no result will do: -W, or a need's own reason; NULL */
	const char *lost;    /* what became of a result that was known; NULL */
	bool foreseen;       /* by a dry run: `result` is as far as it is known */
	const char *unknown; /* of what was foreseen: what has to be made first; or NULL
	                      */
	bool asked;          /* for itself, not because something needs it */
	bool wanted;         /* something to be made needs it */
	bool early;          /* a host rule needs it: made while planning, as rules are */
	struct result result;
	bool has_result;
	bool noted; /* of a result that was found, more is known than its record says */
	const char *base_name; /* of the base at the bottom, or NULL */
	struct digest base_digest;
	struct descriptor manifest; /* of images that are current or made */
	struct context *context;    /* the project files that its steps may name */
};

struct build {
	const struct recipe *recipe;
	struct build_options o;
	struct pool *pool; /* compresses, reads and hashes */
	struct stat_cache *cache;
	atomic_bool cancelled;
	VEC(struct node *) nodes; /* in the recipe's order, then by platform */
	struct arena of_nodes;    /* which they are in; guarded as `nodes` is */
	struct node **of_target;  /* by the target's index: its nodes, linked by `sibling`
	                           */
	const struct descriptor **roots; /* by the target's index; see build_root */
	struct platform host;
	struct arena arena;   /* of roots and failures; guarded by `lock` */
	pthread_mutex_t lock; /* guards what follows, and the lock file */
	struct map tocs;      /* hex diff ID → struct toc * */
	struct map settled;   /* hex of a chain of diff IDs → struct settled * */
	struct map scanning;  /* hex diff ID → not NULL while its layer is read */
	pthread_cond_t scanned;
	struct map files;    /* the same → struct layer_files *, of those scanned now */
	struct map contexts; /* target dir and ignore file → struct context * */
	struct map resolved; /* reference → itself, if locked by this build */
	struct layers_memory *layers; /* in use and no more; has a lock of its own */
	struct sandbox *sandbox;      /* probed when the first run step asks; or NULL */
	atomic_uint runs;             /* for names of staging directories */
	atomic_uint limits_said; /* what cannot be kept, as said: LIMIT_…, OWNERS */
	atomic_bool command_failed;
	atomic_bool distrust;  /* see build_options */
	atomic_bool malformed; /* it was said that a remote cache has such entries */
	pthread_mutex_t shell; /* who has the terminal for a shell in a failed command */
	int locks;             /* directory fd: <store>/locks; -1 in a dry run */
	bool asked_make, make_takes_names; /* the host's make: from 4.4 on */
	struct jobserver *own_jobs; /* offered to host rules; NULL: make's, or no rules */
	void (*on_layer)(void *self, const struct target *image,
	                 const struct descriptor *layer); /* or NULL */
	void *on_layer_self;
	struct cache_exports *exports; /* run_export.c: guarded by `lock`; or NULL */
	struct map times;              /* "NAME PLATFORM" → int64_t *, ns */
	bool times_loaded, times_changed;
	struct digest notes; /* see why_notes.h */
	bool notes_kept;
};

/* nodes.c */
/* The target's name, and its platform where it is made for several: for people. In the
 * node's arena. */
const char *node_title(struct node *n);
struct node *node_get(struct build *b, const struct target *t, const struct platform *p);
/* The first of a target's, the others behind it by `sibling`; NULL if nothing needs it.
 */
static inline struct node *nodes_of(const struct build *b, const struct target *t)
{
	return b->of_target ? b->of_target[t->index] : NULL;
}
/* The one of another target that `n` needs. */
struct node *node_of(const struct node *n, const struct target *t);
/* The project files that a target's steps may name. Not from several threads. */
MUST_CHECK int build_context(struct build *b, const struct target *t,
                             struct context **out, struct err *e);
/* The platforms that an image or stage is asked for, each once. Caller frees. */
void target_platforms(const struct build *b, const struct target *t,
                      struct platform **out, size_t *n);
/* Nodes of a target that is asked for, in all its platforms, and of all that they need.
 */
MUST_CHECK int nodes_add(struct build *b, const struct target *t, struct err *e);
/* The same of a target on one platform, that nobody asked for. */
MUST_CHECK int nodes_add_on(struct build *b, const struct target *t,
                            const struct platform *p, struct err *e);
void nodes_free(struct build *b);

/* Reads the configuration of a result that was only looked up; from any thread. */
MUST_CHECK int node_config(struct node *n, struct err *e);

/* build.c */
bool build_cancelled(void *b);
/* Images, stages and tasks: by a job of their own when they are stale. */
bool node_can_be_made(const struct node *n);
/* In a dry run: what a rule needs, or the rule that it needs, has not been made, so its
 * files cannot be judged. NULL: they can. */
const struct node *node_waits_for(const struct node *n);

/* plan.c: keys and look-ups. */
/* -W names this file, relative to the node's directory. */
bool node_touched(const struct node *n, const char *path);
void node_force(struct node *n, const char *path);
/* In a dry run: what it is made of is not there yet. */
void node_force_after(struct node *n, const struct node *first);
void node_force_touched(struct node *n, const struct fileset *set);
/* -o names what the rule makes: it counts as made. */
bool rule_is_old(const struct build *b, const struct target *t);
/* "removed by gc on 2026-11-20", in the node's arena, if gc took what is noted under
 * `what`; else NULL. */
MUST_CHECK int node_taken(struct node *n, const struct digest *what, const char **out,
                          struct err *e);
/* What forces something that it needs forces it, too. */
void node_inherit_force(struct node *n);
MUST_CHECK int node_plan(struct node *n, struct err *e);
/* What of planning needs no other node: the project's files, hashed while a base is asked
 * for. False: there is nothing of that kind, or nothing to wait for. */
bool node_may_look(const struct node *n);
void node_look(struct node *n);

/* base.c: resolves a base to a manifest of the node's platform and fills key, result,
 * base_name. */
MUST_CHECK int base_plan(struct node *n, struct err *e);
/* What the lock file says, unless --lock=update wants it anew: 1, 0 or -1. */
MUST_CHECK int locked_digest(struct build *b, enum lock_section section, const char *name,
                             struct digest *out, struct err *e);
/* A URL's content into the store. */
MUST_CHECK int download(struct build *b, const char *url, struct digest *out,
                        struct err *e);
/* The digest of a URL that nobody has locked yet: downloads it into the store and locks
 * it. */
MUST_CHECK int download_lock(struct build *b, const char *url, struct digest *out,
                             struct err *e);
/* A blob into the store, from the first of the repositories that has it. A layer's, from
 * wherever it is known to be. */
MUST_CHECK int build_fetch_blob(struct build *b, const struct descriptor *d,
                                const struct strlist *repos, struct err *e);
MUST_CHECK int base_fetch_layer(struct build *b, const struct node *n,
                                const struct layer *l, struct err *e);
/* The same, for somebody to read along if it has to be downloaded; the caller ends the
 * following. */
struct blob_follow;
MUST_CHECK int base_fetch_followed(struct build *b, const struct node *n,
                                   const struct layer *l, struct blob_follow *follow,
                                   struct err *e);
/* What another machine made was of no use, as `e` says: if it was another machine's, and
 * may have been the fault of that, it is ERR_CHANGED from now on, and the build does
 * without such. Returns -1. */
int layer_doubt(struct build *b, const struct layer *l, struct err *e);
/* The table of a layer that another machine made. */
MUST_CHECK int base_fetch_table(struct build *b, const struct layer *l, struct err *e);

/* make_layers.c. Who looks a key up and makes what is not there, holds this; the fd is
 * the caller's. Waits until the build is cancelled; `who`, a target's name or NULL, is
 * told to wait. */
MUST_CHECK int build_lock_name(struct build *b, const char *name, const char *who,
                               struct err *e);
MUST_CHECK int build_lock(struct build *b, const struct digest *key, const char *who,
                          struct err *e);
bool node_may_look_up(const struct node *n);

/* make.c: layers and configuration of a stale node. */
MUST_CHECK int node_make(struct node *n, struct err *e);
/* The same in a dry run: up to the first step whose layers are not known, which is then
 * n->unknown. */
MUST_CHECK int node_foresee(struct node *n, struct err *e);

/* tables.c: tables of contents of all layers of a result, fetched and scanned where not
 * known. The tables are borrowed from the build; caller frees the array. */
MUST_CHECK int node_tables(const struct node *n, const struct result *r,
                           const struct toc ***out, struct err *e);

/* settled.c: the same, but no name in them leads through a symlink: what people name, and
 * what a command has removed, is found under the one name that it has. */
MUST_CHECK int node_tocs(const struct node *n, const struct result *r,
                         const struct toc ***out, struct err *e);
/* What a layer of it itself calls paths that node_tocs has under another name; NULL: all
 * as they are. */
const struct map *node_moved(const struct node *n, const struct result *r, size_t layer);
void settled_fini(struct map *m); /* of the build */

/* The files of a layer whose table was made in this build, to be unpacked; or NULL. */
struct layer_files;
struct layer_files *layer_files_of(struct build *b, const struct digest *diff_id);

/* assemble.c: writes config and manifest of an image, where they are not known to be
 * there, and sets n->manifest. The record of a current one remembers them. */
MUST_CHECK int node_assemble(struct node *n, bool write, struct err *e);
/* An index over the platforms of a target; *out is its descriptor. */
MUST_CHECK int assemble_index(struct build *b, const struct target *t, bool write,
                              struct descriptor *out, struct err *e);

/* rule.c: host rules and tasks. */
MUST_CHECK int rule_plan(struct node *n, struct err *e);
/* As in make: what depends on something that always runs is always made. */
bool rule_needs_task(const struct node *n);
MUST_CHECK int task_run(struct node *n, struct err *e);

/* host.c: commands on the host. */
struct host_command {
	const char *target;
	const struct strings *lines; /* of one script */
	int dir;                     /* where it runs */
	const char *variable; /* "NAME=value" for its environment beside ours; or NULL */
};
/* Before jobs run: what host rules are offered. */
MUST_CHECK int host_open(struct build *b, struct err *e);
/* Output goes to the progress. ERR_FAILED. */
MUST_CHECK int host_run(struct build *b, const struct host_command *c, struct err *e);

/* times.c: fills `expected` of all jobs from what was measured before. */
MUST_CHECK int times_expect(struct build *b, struct err *e);
/* Writes down what was made, if anything was. */
MUST_CHECK int times_save(struct build *b, struct err *e);

/* why.c: one call a difference between the components of the last build and today's. */
typedef void why_fn(void *self, const char *name, const char *was, const char *is);
MUST_CHECK int why_node(struct node *n, why_fn *fn, void *self, struct err *e);
/* 1: nothing but files of -o differs from the last build, whose key *key is; 0: not so.
 */
MUST_CHECK int why_only_old(struct node *n, struct digest *key, struct err *e);

/* remote.c: results of the store, and of other machines. 1: found, *out is to be freed by
 * vec_fini; 0; -1. */
MUST_CHECK int node_find_layers(struct node *n, const struct digest *key,
                                struct layer_list *out, struct err *e);
/* The two halves of it. */
MUST_CHECK int node_find_here(struct node *n, const struct digest *key,
                              struct layer_list *out, struct err *e);
MUST_CHECK int node_find_there(struct node *n, const struct digest *key,
                               struct layer_list *out, struct err *e);
MUST_CHECK int node_keep_layers(struct node *n, const struct digest *keys, size_t count,
                                const struct layer_list *l, struct err *e);
/* Of the store: fills n->result. */
MUST_CHECK int node_find_result(struct node *n, bool *gone, struct err *e);
MUST_CHECK int node_keep_result(struct node *n, struct err *e);
/* 1: *text is what another machine put under the key; 0. */
enum remote_kind;
MUST_CHECK int node_ask_remote(const struct node *n, enum remote_kind kind,
                               const struct digest *key, struct buf *text, struct err *e);
/* What is made of it is for other machines, too. */
bool node_may_tell(const struct node *n);
/* Other machines' results of planned nodes that are stale: those asked for first, and
 * what they need only where there is none. */
MUST_CHECK int build_ask_remote(struct build *b, struct err *e);
/* The table of a base's layer. True: *toc is in the store, and may be anything. */
bool node_find_table(const struct node *n, const struct digest *diff_id,
                     struct digest *toc);
void node_tell_table(const struct node *n, const struct digest *diff_id,
                     const struct digest *toc, int64_t size);

/* trace.c: with --trace, what is made and why; a step and its commands; a script. */
void trace_node(struct node *n);
void trace_step(const struct node *n, const struct step *s);
void trace_lines(const struct node *n, const struct strings *lines);

/* record.c: what the last build of a target came to, for `why` and for people who name
 * it. */
MUST_CHECK int record_target(struct node *n, struct err *e);
MUST_CHECK int record_image(struct build *b, const struct target *t,
                            const struct descriptor *d, struct err *e);
/* Of results that were found, what is `noted`. */
MUST_CHECK int record_results(struct build *b, struct err *e);
struct record { /* of the last build */
	struct digest plan_key;
	struct component *parts;
	size_t n;
};
/* 1: *out is filled, in the arena; 0: never built. */
MUST_CHECK int record_components(const struct node *n, struct arena *a,
                                 struct record *out, struct err *e);

#endif

#ifndef RECIPE_RECIPE_H
#define RECIPE_RECIPE_H

/* What an Imagefile says, as plain data: the whole graph of targets, after evaluation.
 * Everything lives in the recipe's arena; strings are never NULL unless said. Nothing
 * here knows Lua. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/map.h"
#include "image/descriptor.h"

struct place {
	const char *file; /* relative to the project root: "services/Imagefile" */
	int line;
};

/* Prints as "%s:%d: " in front of messages. */
#define PLACE_FMT "%s:%d: "
#define PLACE_ARG(p) (p).file, (p).line

struct strings {
	const char **at;
	size_t n;
};

enum step_kind {
	STEP_COPY,
	STEP_WRITE,
	STEP_MKDIR,
	STEP_SYMLINK,
	STEP_REMOVE,
	STEP_UNPACK,
	STEP_ADD,
	STEP_GIT,
	STEP_ACCOUNT,
	STEP_LAYER,
	STEP_RUN, /* change files */
	STEP_ENV,
	STEP_WORKDIR,
	STEP_USER,
	STEP_CONFIG, /* change the configuration only */
};

enum mtime_kind { MTIME_FIXED, MTIME_CONTENT, MTIME_KEEP, MTIME_NUMBER };

/* Owner as written: "" (0:0, or kept when copied from a target), "uid", "uid:gid", or
 * names that the image's /etc/passwd and /etc/group know. Modes are -1 when not given. */
struct step_copy {
	struct strings sources; /* patterns as written, relative to the target's dir */
	const char *to;
	struct target *from; /* NULL: the project */
	struct strings exclude;
	int mode, dir_mode;
	const char *chmod, *dir_chmod; /* letters, as base/mode.h: of what it is so far */
	const char *owner;
	bool parents, optional;
	bool as_docker; /* a single match of a pattern may be named by `to`, a pattern may
	                 * match nothing, links named as sources are followed, and with
	                 * `parents` what is before "/./" is left off */
	enum mtime_kind mtime;
	int64_t mtime_value; /* of MTIME_NUMBER */
	int64_t split;       /* layers at most; 0: as it seems best */
};

enum { SPLIT_NEVER = 1 };

struct step_write {
	const char *path;
	const char *name; /* its own, where `path` is a directory; NULL: it is none */
	const void *text;
	size_t size;
	int mode;
	const char *owner;
};

struct step_mkdir {
	struct strings paths;
	int mode;
	const char *owner;
	bool keep; /* those that exist stay as they are; all others get the owner */
};

struct step_symlink {
	const char *path;   /* where the link is */
	const char *target; /* its text */
	const char *owner;
};

struct step_remove {
	struct strings paths; /* patterns, in the image so far */
	bool optional;
};

struct step_unpack {
	const char *source;  /* archive of the project */
	struct target *from; /* NULL: the project */
	const char *to;
	const char *owner;
};

struct step_add {
	const char *url;
	const char *sha256; /* 64 hex, or "": locked on first use */
	const char *to;
	int mode;
	const char *owner;
	bool unpack;
};

/* Files of a repository of git. */
struct step_git {
	const char *url;    /* without ref */
	const char *ref;    /* branch, tag, "refs/…" or a full hash; "": its HEAD */
	const char *commit; /* its full hash, or "": locked on first use */
	const char *subdir; /* whose content it is, or "" */
	const char *to;
	struct strings exclude;
	int mode;
	const char *chmod; /* letters, as in step_copy */
	const char *owner;
	bool keep_dir;      /* .git as well, where there is no subdir */
	bool no_submodules; /* they are empty directories; else an error */
};

/* A user with its group, or a group alone. */
struct step_account {
	const char *user;  /* "": a group alone */
	const char *group; /* made unless the image has it */
	int64_t uid, gid;  /* -1: the first that is free */
	bool system;       /* free ones are looked for from 100, else from 1000 */
	const char *comment, *shell;
	const char *home;      /* "": none is made */
	struct strings groups; /* of the image, which the user joins */
};

struct pair {
	const char *key, *value;
};

struct pairs {
	struct pair *at; /* sorted by key */
	size_t n;
};

struct run_cache {
	const char *path;
	const char *id; /* the path when not given */
	enum { CACHE_SHARED, CACHE_PRIVATE, CACHE_LOCKED } sharing;
	bool readonly;
	bool exported; /* to the remote cache, and from there to other machines */
	int mode;      /* of the directory when it is made; -1: 0755 */
	int64_t uid, gid;
};

struct run_mount {
	enum { MOUNT_BIND, MOUNT_TMPFS } type;
	const char *path;    /* in the step */
	const char *source;  /* of a bind: in `from`, or in the project */
	struct target *from; /* NULL: the project */
	bool writable;       /* of `from`: what is written is forgotten */
	int64_t size;        /* of a tmpfs: bytes at most; 0: half of the memory */
};

struct run_secret {
	const char *id;
	const char *path; /* of the file in the step; NULL: only in `env` */
	const char *env;  /* variable that holds it, or NULL */
	bool optional;    /* not having been given is no error */
	int mode;         /* -1: 0400 */
	int64_t uid, gid; /* -1: the step's user */
};

/* 0: as the build says. In no key. */
struct run_limits {
	int64_t timeout; /* seconds */
	int64_t memory;  /* bytes */
	int64_t pids;    /* processes at once */
};

struct step_run {
	struct strings lines; /* one script */
	struct strings exec;  /* or an argument vector; then lines.n is 0 */
	struct run_cache *caches;
	size_t n_caches;
	struct run_mount *mounts;
	size_t n_mounts;
	struct run_secret *secrets;
	size_t n_secrets;
	struct pairs env;      /* for this step only */
	struct strings inputs; /* patterns below the target's dir, mounted read-only */
	const char *network;   /* "host", "none", "private", or NULL: the default */
	const char *user, *workdir; /* NULL: as the image so far says */
	bool ssh;
	bool ssh_optional;    /* without an agent it goes on */
	const char *ssh_path; /* of the socket in the step; NULL: our own choice */
	bool platform;        /* variables say for and on which platform it runs */
	struct pairs proxies; /* variables that change no result: in no key */
	struct run_limits limits;
};

struct step {
	enum step_kind kind;
	struct place place;
	union {
		struct step_copy copy;
		struct step_write write;
		struct step_mkdir mkdir;
		struct step_symlink symlink;
		struct step_remove remove;
		struct step_unpack unpack;
		struct step_add add;
		struct step_git git;
		struct step_account account;
		struct step_run run;
		struct pairs env;
		const char *workdir;
		const char *user;
		/* An object of what was given, checked and in one form: entrypoint, cmd,
		 * shell: arrays of strings (a string was made {"/bin/sh", "-c", it});
		 * expose: array of "8080/tcp"; volumes: array of paths; labels,
		 * annotations: objects of strings; stop_signal: string; healthcheck:
		 * {test: array, interval, timeout, start_period: nanoseconds, retries:
		 * integer} or {test: ["NONE"]}; onbuild: array, in place of what there
		 * is; author: string. Owned by the recipe. */
		json_t *config;
		struct {
			struct step *at;
			size_t n;
		} layer;
	};
};

/* publish = { REPO…, … } (4-publishing.md). Absent strings are NULL. */
struct publish {
	struct place place;
	struct strings repos;
	const char *version, *rebuild, *prefix, *variant;
	struct strings tags; /* plain moving tags */
	struct strings aliases, variants, channels_list, yanked, levels;
	bool is_default; /* this image has the bare tags: default = false says no */
	bool channels;
	bool zero_major;
	bool immutable; /* true by default */
	bool sbom;      /* a bill of materials is published with it */
	enum { LATEST_ANY, LATEST_LINE, LATEST_HIGHEST, LATEST_NEVER } latest;
	const char *latest_line; /* "2" */
};

enum target_kind {
	TARGET_BASE,
	TARGET_STAGE,
	TARGET_IMAGE,
	TARGET_CHECK,
	TARGET_FILE,
	TARGET_TASK
};

struct target {
	enum target_kind kind;
	const char *name; /* as on the command line: "web", "services/api"; of a base its
	                     REF */
	const char *dir;  /* its Imagefile's directory, relative to the root; "" is the
	                     root */
	struct place place;
	size_t index; /* in recipe.targets */

	/* base */
	struct strings wants_config; /* platforms whose configuration evaluation asked for
	                              */

	/* stage, image */
	bool of_dockerfile;         /* its name may be that of a command */
	const char *fixed_platform; /* "": as asked for */
	const char *ignore_file; /* relative to the root; "": none; NULL: what `dir` has
	                          */
	struct target *from;     /* NULL: scratch */
	struct step *steps;
	size_t n_steps;
	bool on_build_platform;   /* platform = "build" */
	struct strings platforms; /* empty: the asked-for or the host's */
	struct publish *publish;  /* NULL: not published */
	enum codec compression;   /* CODEC_GZIP by default */
	json_t *annotations; /* of the manifest, an object of strings; NULL if none */

	/* check; of a file: it is a bill of materials of that image, and has no `run` */
	struct target *image;
	bool on_host;
	int64_t fresh; /* seconds that a pass is remembered for; -1: for ever */

	/* file */
	const char *output; /* relative to the root, cleaned; NULL of other kinds. The
	                     * name of a rule that makes a directory ends in '/' */

	/* check, file, task */
	struct strings run;    /* lines of one script */
	struct strings deps;   /* patterns below `dir` */
	struct target **needs; /* targets among the deps of a file or task */
	size_t n_needs;
};

struct variable {
	const char *name;
	const char *value; /* NULL: not given, and without default */
	const char *help;
	struct strings choices;
	enum { VALUE_DEFAULT, VALUE_ENVIRONMENT, VALUE_COMMAND_LINE } origin;
	struct place place;
};

/* Those that a directory may have, the first one wins; NULL ends them. */
extern const char *const ignore_names[];

/* What evaluation looked at, for `why` and for knowing when to evaluate anew. */
struct input {
	const char *what; /* "read VERSION", "glob src", "git describe", "Imagefile" */
	struct digest digest; /* of what was found */
};

struct recipe {
	struct arena arena;
	char *root; /* absolute path of the project root; owned */
	int root_fd;
	const char *dir; /* of the Imagefile read first, relative to root; "" is the root
	                  */
	struct target **targets; /* in order of declaration */
	size_t n_targets;
	struct target **defaults; /* what a bare `imgmake` builds */
	size_t n_defaults;
	const char *cache; /* settings { cache = }: a repository; or NULL */
	const char *text;  /* what evaluation was asked to write; or NULL */
	struct variable *variables;
	size_t n_variables;
	struct input *inputs;
	size_t n_inputs;
	struct map by_name; /* → struct target *; recipe_index fills it, and `rules` */
	struct target **rules; /* those of `file`, by output; see outputs.h */
	size_t n_rules;
	json_t *json; /* array: owns the JSON that steps and targets point to */
};

struct recipe *recipe_new(void);
void recipe_free(struct recipe *r); /* NULL is fine */
/* Fills by_name and rules from the targets; of two with the same name the first stays,
 * and a base never hides another kind. Names must be unique otherwise: graph_check says
 * so. */
void recipe_index(struct recipe *r);

/* ERR_NOT_FOUND names the nearest target. `name` may be an output path of a file rule. */
MUST_CHECK int recipe_find(const struct recipe *r, const char *name, struct target **out,
                           struct err *e);
const char *target_kind_text(enum target_kind k); /* "image" */
const char *step_kind_text(enum step_kind k);     /* "copy" */
bool step_changes_files(const struct step *s);
bool step_runs(const struct step *s); /* a command: itself, or a step of it */

#endif

#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

/* The command line. One table of options for all commands and one for each command's own
 * feed the parser, --help, the manual page and the completions. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"

enum lock_mode { LOCK_AUTO, LOCK_UPDATE, LOCK_STRICT };
enum progress_mode { SHOW_UNSAID, SHOW_AUTO, SHOW_TTY, SHOW_PLAIN, SHOW_JSON };
enum isolation { ISOLATION_UNSAID, ISOLATION_AUTO, ISOLATION_CHROOT };
enum output_sync { SYNC_UNSAID, SYNC_TARGET, SYNC_LINE, SYNC_NONE };
enum debug_mode { DEBUG_NONE, DEBUG_EXPLAIN };

/* What was said. Strings are borrowed from argv and its lists are owned. Commands add
 * members for options of their own. */
struct options {
	const struct command *command;
	bool command_said;        /* false: it is the default one */
	struct strlist words;     /* targets, or what the command takes */
	struct strlist variables; /* NAME=VALUE */
	struct strlist rest;      /* behind `--`, for a command that TAKES_REST */
	bool help, version;

	struct strlist directories; /* -C, each from the one before */
	const char *file;           /* -f; NULL: look for one */
	int jobs;                   /* 0: not said */
	const char *events, *trace_out;
	bool trace;
	bool keep_going, dry_run, question, always, silent, json, no_host, dirty;
	struct strlist touched; /* -W */
	const char *runtime;
	struct strlist old;     /* -o */
	double max_load;        /* -l; 0: not said */
	int output_sync;        /* -O: enum output_sync */
	struct strlist secrets; /* ID=FILE, ID=env:NAME */
	const char *store;
	const char *cache, *cache_key;
	struct strlist cache_read;
	struct strlist limits;  /* NAME=AMOUNT, of what is read from strangers */
	struct strlist mirrors; /* HOST=MIRROR */
	struct strlist insecure;
	struct strlist platforms;
	const char *max_size, *max_age;                     /* gc, cache */
	struct strlist contexts;                            /* NAME=DIR, … */
	bool repair, state_only;                            /* fsck */
	bool all;                                           /* gc */
	int lock;                                           /* enum lock_mode */
	int isolation;                                      /* enum isolation */
	int progress;                                       /* enum progress_mode */
	int debug;                                          /* enum debug_mode */
	bool with_parents, allow_flat_owners;               /* deploy */
	const char *tag_version, *tag_prefix, *tag_variant; /* tags, promote */
	struct strlist tag_aliases, tag_variants;
	bool zero_major, channels;
	int64_t timeout, memory; /* of a run step: seconds, bytes; 0: not said */
	int pids;
	bool shell_on_fail;
	bool ssh; /* run, shell */
	const char *promote_to;
	const char *username; /* login */
	const char *name;     /* load */
	int into;             /* load: 1 + index of the engine, 0: not said */
	bool password_stdin;
	int init_type;       /* init: 1 + index into init_kinds, 0: not said */
	const char *against; /* why */
	bool list;           /* lint */
	const char *explain; /* lint */
	const char *output;  /* convert */
	int format;          /* 1 + index into the command's choices, 0: not said */
};

enum opt_kind {
	OPT_FLAG,
	OPT_TEXT,
	OPT_COUNT,
	OPT_LIST,
	OPT_PAIRS,
	OPT_CHOICE,
	OPT_TIME,
	OPT_SIZE,
	OPT_MODE,
	OPT_NUMBER
};

struct opt {
	char letter;       /* or 0 */
	const char *name;  /* NULL ends a table, and letters may have none: "" */
	const char *value; /* what --help calls the value; NULL: takes none */
	const char *help;  /* lower case, no full stop */
	enum opt_kind kind;
	size_t offset;              /* in struct options */
	const char *const *choices; /* NULL-terminated, for OPT_CHOICE and OPT_MODE */
	unsigned group;             /* TAKES_...; 0: every command takes it */
};

/* Kind and place: bool, const char *, int of 1 or more, struct strlist, struct strlist of
 * A=B with neither empty, int that is 1 + the index into `choices`, int64_t of seconds,
 * of bytes, int as for choices with a value that may be left out (-O, -Oline, --x=line)
 * and is the first one then, double above 0. */
#define FLAG(f) OPT_FLAG, offsetof(struct options, f), NULL
#define TEXT(f) OPT_TEXT, offsetof(struct options, f), NULL
#define COUNT(f) OPT_COUNT, offsetof(struct options, f), NULL
#define LIST(f) OPT_LIST, offsetof(struct options, f), NULL
#define PAIRS(f) OPT_PAIRS, offsetof(struct options, f), NULL
#define TIME(f) OPT_TIME, offsetof(struct options, f), NULL
#define SIZE(f) OPT_SIZE, offsetof(struct options, f), NULL
#define MODE(f, choices) OPT_MODE, offsetof(struct options, f), (choices)
#define NUMBER(f) OPT_NUMBER, offsetof(struct options, f), NULL
#define CHOICE(f, choices) OPT_CHOICE, offsetof(struct options, f), (choices)

/* Which of the common options a command takes, and which words. */
enum {
	TAKES_PROJECT = 1 << 0, /* -f --platform --lock --no-host, and NAME=VALUE */
	TAKES_BUILD = 1 << 1, /* -j -l -k -O -B -W -o -d, secrets and limits of run steps
	                       */
	TAKES_DRY_RUN = 1 << 2,  /* -n */
	TAKES_QUESTION = 1 << 3, /* -q */
	TAKES_NETWORK = 1 << 4,  /* --registry-mirror --insecure-registry */
	TAKES_STORE = 1 << 5,    /* --store */
	TAKES_JSON = 1 << 6,     /* --json */
	TAKES_DEPLOY = 1 << 7,   /* --dirty */
	TAKES_REST = 1 << 8,     /* words behind `--` are kept apart */
	TAKES_PLATFORM = 1 << 9, /* --platform, without a recipe */
	TAKES_SANDBOX = 1 << 10, /* --isolation, without a build */
	TAKES_CACHE = 1 << 11,   /* --cache, without a build */
	CHANGES = 1 << 12,       /* no option: it changes something, and takes no -n */
};

struct terminal;

struct command {
	const char *name;          /* NULL ends a table of commands */
	const char *args;          /* "[TARGET...]" */
	const char *help;          /* one line */
	const char *text;          /* paragraphs for its --help, or NULL; wrapped there */
	const char *example;       /* lines, as typed */
	const struct opt *options; /* its own, or NULL */
	unsigned takes;
	int min_words, max_words;                                /* max -1: any number */
	int (*run)(const struct options *o, struct terminal *t); /* returns the exit
	                                                            status */
};

/* commands[0] is what runs when none is said. On success with `help` or `version` set,
 * words are not checked. options_fini in any case. */
MUST_CHECK int options_parse(struct options *o, const struct command *commands,
                             char **argv, struct err *e);
void options_fini(struct options *o);
/* What make was told, as a make called by it would take it: -k -n -q -s -B -l in
 * `makeflags` ($MAKEFLAGS, or NULL), as far as the command takes them. False: make only
 * says what it would do, and the command cannot. */
MUST_CHECK bool options_take_make(struct options *o, const char *makeflags);

const struct opt *options_common(void);
bool options_apply(const struct opt *opt, const struct command *c); /* c takes opt */

/* Text of at most 80 columns. */
void options_help(struct buf *out, const struct command *c); /* of one command */
void options_overview(struct buf *out, const struct command *commands); /* of all, short
                                                                         */
/* Appends `s`, a paragraph a line, wrapped; it begins in `column`, where following lines
 * start, too. */
void options_wrap(struct buf *out, const char *s, size_t column);
void options_help_all(struct buf *out, const struct command *commands); /* of all, whole
                                                                         */

#endif

#include "cmd/options.h"

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/amount.h"
#include "base/nearest.h"

static const char *const isolations[] = { "auto", "chroot", NULL };
static const char *const lock_modes[] = { "update", "strict", NULL };
static const char *const progress_modes[] = { "auto", "tty", "plain", "json", NULL };
static const char *const sync_modes[] = { "target", "line", "none", NULL };
static const char *const debug_modes[] = { "explain", NULL };

static const struct opt common[] = {
	{ 'C', "directory", "DIR", "change to DIR first", LIST(directories), 0 },
	{ 'f', "file", "FILE",
	  "read FILE, an Imagefile or Dockerfile, instead of ./Imagefile", TEXT(file),
	  TAKES_PROJECT },
	{ 0, "platform", "OS/ARCH", "build for this platform (may be repeated)",
	  LIST(platforms), TAKES_PROJECT | TAKES_PLATFORM },
	{ 0, "build-context", "NAME=DIR",
	  "what a Dockerfile means by NAME; also NAME=docker-image://REF (may be repeated)",
	  PAIRS(contexts), TAKES_PROJECT },
	{ 0, "lock", "MODE", "move the pins to today's digests, or refuse what has none",
	  CHOICE(lock, lock_modes), TAKES_PROJECT },
	{ 0, "no-host", NULL, "refuse rules that run on the host", FLAG(no_host),
	  TAKES_PROJECT },
	{ 'j', "jobs", "N", "run at most N steps at once", COUNT(jobs), TAKES_BUILD },
	{ 'l', "load-average", "LOAD", "start nothing more at a load average of LOAD",
	  NUMBER(max_load), TAKES_BUILD },
	{ 'k', "keep-going", NULL, "go on with what does not depend on a failure",
	  FLAG(keep_going), TAKES_BUILD },
	{ 'n', "dry-run", NULL, "say what would be done; change nothing", FLAG(dry_run),
	  TAKES_DRY_RUN },
	{ 'q', "question", NULL, "exit 1 if anything is out of date; do nothing",
	  FLAG(question), TAKES_QUESTION },
	{ 'B', "always-make", NULL, "rebuild even what is up to date", FLAG(always),
	  TAKES_BUILD },
	{ 'W', "what-if", "FILE", "take FILE for changed (may be repeated)",
	  LIST(touched), TAKES_BUILD },
	{ 'o', "old-file", "FILE", "take FILE for unchanged (may be repeated)", LIST(old),
	  TAKES_BUILD },
	{ 'O', "output-sync", "TYPE", "show what commands say not mixed, or at once",
	  MODE(output_sync, sync_modes), TAKES_BUILD },
	{ 0, "secret", "ID=FILE",
	  "give a run step a secret; also ID=env:NAME (may be repeated)", PAIRS(secrets),
	  TAKES_BUILD },
	{ 0, "trace", NULL, "tell each target's reasons and commands as it is made",
	  FLAG(trace), TAKES_BUILD },
	{ 0, "shell-on-fail", NULL, "open a shell in a run step or check that fails",
	  FLAG(shell_on_fail), TAKES_BUILD },
	{ 0, "timeout", "TIME",
	  "let a run step fail that takes longer, as 10m, unless it says otherwise",
	  TIME(timeout), TAKES_BUILD },
	{ 0, "memory", "SIZE",
	  "let a run step fail that needs more, as 2g, unless it says otherwise",
	  SIZE(memory), TAKES_BUILD },
	{ 0, "pids", "N",
	  "let a run step have N processes at once, unless it says otherwise",
	  COUNT(pids), TAKES_BUILD },
	{ 0, "runtime", "NAME", "run steps by crun, runc, runsc, or an absolute path",
	  TEXT(runtime), TAKES_BUILD },
	{ 0, "isolation", "HOW",
	  "how run steps are kept apart; chroot: the last resort in containers without "
	  "namespaces",
	  CHOICE(isolation, isolations), TAKES_BUILD | TAKES_SANDBOX },
	{ 'd', "debug", "WHAT", "say why each target is rebuilt",
	  CHOICE(debug, debug_modes), TAKES_BUILD },
	{ 0, "dirty", NULL, "deploy a release from a working tree with changes",
	  FLAG(dirty), TAKES_DEPLOY },
	{ 0, "registry-mirror", "HOST=MIRROR",
	  "pull from MIRROR what is at HOST (may be "
	  "repeated)",
	  PAIRS(mirrors), TAKES_NETWORK },
	{ 0, "insecure-registry", "HOST", "speak plain HTTP with HOST (may be repeated)",
	  LIST(insecure), TAKES_NETWORK },
	{ 0, "limit", "NAME=AMOUNT",
	  "read that much of what others made, as manifest=8m (may be repeated)",
	  PAIRS(limits), TAKES_NETWORK | TAKES_STORE },
	{ 0, "store", "DIR", "keep images and results in DIR", TEXT(store), TAKES_STORE },
	{ 0, "cache", "REPO",
	  "take results of other machines from REPO, and bring ours there; or none",
	  TEXT(cache), TAKES_BUILD | TAKES_CACHE },
	{ 0, "cache-read", "REPO", "take results from REPO only (may be repeated)",
	  LIST(cache_read), TAKES_BUILD },
	{ 0, "cache-key", "FILE",
	  "sign what is brought there, and take only what is signed", TEXT(cache_key),
	  TAKES_BUILD },
	{ 0, "json", NULL, "print facts as JSON", FLAG(json), TAKES_JSON },
	{ 0, "progress", "MODE", "how to show what is going on",
	  CHOICE(progress, progress_modes), 0 },
	{ 0, "events", "FILE", "write all that happens into FILE, a JSON object a line",
	  TEXT(events), 0 },
	{ 0, "trace-out", "FILE",
	  "write what took how long into FILE, as chrome://tracing and Perfetto read it",
	  TEXT(trace_out), 0 },
	{ 's', "silent", NULL, "show errors and warnings only", FLAG(silent), 0 },
	{ 'h', "help", NULL, "print this and exit", FLAG(help), 0 },
	{ 'v', "version", NULL, "print the version and exit", FLAG(version), 0 },
	{ 0 },
};

const struct opt *options_common(void)
{
	return common;
}

bool options_apply(const struct opt *opt, const struct command *c)
{
	return !opt->group || (opt->group & c->takes);
}

/* One use of an option. */
struct use {
	const char *name; /* behind the dashes */
	size_t len;
	bool is_long;
	const char *value;
};

struct parser {
	struct options *o;
	const struct command *commands;
	char **next;     /* the argument after the current one */
	bool words_only; /* `--` was seen */
};

static void *member(struct options *o, const struct opt *opt)
{
	return (char *)o + opt->offset;
}

static const struct opt *find_in(const struct opt *table, const struct use *u)
{
	for (; table && table->name; table++) {
		if (!u->is_long && table->letter == *u->name)
			return table;
		if (u->is_long && strlen(table->name) == u->len &&
		    !strncmp(table->name, u->name, u->len))
			return table;
	}
	return NULL;
}

/* "--jobs" or "-j", as it was written. */
static const char *shown(const struct use *u, char out[64])
{
	int n = u->len > 40 ? 40 : (int)u->len;

	if (u->is_long)
		snprintf(out, 64, "--%.*s", n, u->name);
	else
		snprintf(out, 64, "-%c", *u->name);
	return out;
}

/* An option of any command: the command that is meant may come later, and one that does
 * not take the option says so by name. */
static const struct opt *find_anywhere(const struct parser *p, const struct use *u)
{
	const struct opt *opt = find_in(p->o->command->options, u);

	if (!opt)
		opt = find_in(common, u);
	for (const struct command *c = p->commands; !opt && c->name; c++)
		opt = find_in(c->options, u);
	return opt;
}

static void add_names(const struct opt *table, const struct command *c,
                      const char **names, size_t *n, size_t max)
{
	for (; table && table->name && *n < max; table++)
		if (*table->name && options_apply(table, c))
			names[(*n)++] = table->name;
}

static int unknown_option(const struct parser *p, const struct use *u, struct err *e)
{
	const char *names[128], *hint = NULL;
	char text[64], typed[48];
	size_t n = 0;

	add_names(common, p->o->command, names, &n, ARRAY_LEN(names));
	add_names(p->o->command->options, p->o->command, names, &n, ARRAY_LEN(names));
	if (u->is_long) {
		snprintf(typed, sizeof(typed), "%.*s", u->len > 40 ? 40 : (int)u->len,
		         u->name);
		hint = nearest_name(typed, names, n);
	}
	if (hint)
		return err_set(e, ERR_INVALID, "unknown option %s, did you mean --%s?",
		               shown(u, text), hint);
	return err_set(e, ERR_INVALID, "unknown option %s (see imgmake %s --help)",
	               shown(u, text), p->o->command->name);
}

static int set_count(struct options *o, const struct opt *opt, const struct use *u,
                     struct err *e)
{
	char *end, text[64];
	long v;

	errno = 0;
	v = strtol(u->value, &end, 10);
	if (!isdigit((unsigned char)*u->value) || *end || errno || v < 1 || v > INT_MAX)
		return err_set(e, ERR_INVALID, "%s: '%s' is not a number of 1 or more",
		               shown(u, text), u->value);
	*(int *)member(o, opt) = (int)v;
	return 0;
}

static int set_number(struct options *o, const struct opt *opt, const struct use *u,
                      struct err *e)
{
	char *end, text[64];
	double v;

	errno = 0;
	v = strtod(u->value, &end);
	if (!strchr("0123456789.", *u->value) || *end || errno || v > INT_MAX)
		return err_set(e, ERR_INVALID, "%s: '%s' is not a number of 0 or more",
		               shown(u, text), u->value);
	*(double *)member(o, opt) = v > 0 ? v : DBL_MIN; /* 0 is what was not said */
	return 0;
}

static int set_choice(struct options *o, const struct opt *opt, const struct use *u,
                      struct err *e)
{
	AUTO_BUF valid = BUF_INIT;
	char text[64];

	for (int i = 0; opt->choices[i]; i++) {
		if (!strcmp(opt->choices[i], u->value)) {
			*(int *)member(o, opt) = i + 1;
			return 0;
		}
		buf_addf(&valid, "%s%s", i ? ", " : "", opt->choices[i]);
	}
	return err_set(e, ERR_INVALID, "%s: '%s' is none of %s", shown(u, text), u->value,
	               valid.s);
}

static int set_text(struct options *o, const struct opt *opt, const struct use *u,
                    struct err *e)
{
	const char *equals = strchr(u->value, '=');
	char text[64];

	if (!*u->value)
		return err_set(e, ERR_INVALID, "%s: the %s is empty", shown(u, text),
		               opt->value);
	if (opt->kind == OPT_PAIRS && (!equals || equals == u->value || !equals[1]))
		return err_set(e, ERR_INVALID, "%s: '%s' is not of the form %s",
		               shown(u, text), u->value, opt->value);
	if (opt->kind == OPT_TEXT)
		*(const char **)member(o, opt) = u->value;
	else
		strlist_add(member(o, opt), u->value);
	return 0;
}

static int set_amount(struct options *o, const struct opt *opt, const struct use *u,
                      struct err *e)
{
	int64_t *out = member(o, opt);
	char text[64];

	if ((opt->kind == OPT_TIME ? amount_duration(u->value, out, e)
	                           : amount_size(u->value, out, e)) == 0)
		return 0;
	return err_wrap(e, "%s", shown(u, text));
}

static int apply(struct options *o, const struct opt *opt, const struct use *u,
                 struct err *e)
{
	switch (opt->kind) {
	case OPT_FLAG: *(bool *)member(o, opt) = true; return 0;
	case OPT_COUNT: return set_count(o, opt, u, e);
	case OPT_TIME:
	case OPT_SIZE: return set_amount(o, opt, u, e);
	case OPT_NUMBER: return set_number(o, opt, u, e);
	case OPT_CHOICE:
	case OPT_MODE: return set_choice(o, opt, u, e);
	case OPT_TEXT:
	case OPT_LIST:
	case OPT_PAIRS: return set_text(o, opt, u, e);
	}
	return 0;
}

static bool command_has(const struct command *c, const struct opt *opt)
{
	if (opt >= common && opt < common + ARRAY_LEN(common))
		return options_apply(opt, c);
	for (const struct opt *own = c->options; own && own->name; own++)
		if (own == opt)
			return true;
	return false;
}

/* `rest` is what follows in the same argument: "=4" of --jobs=4, "4" of -j4, or NULL. */
static int use_option(struct parser *p, struct use *u, const char *rest, struct err *e)
{
	const struct opt *opt = find_anywhere(p, u);
	char text[64];

	if (!opt)
		return unknown_option(p, u, e);
	if (!command_has(p->o->command, opt))
		return err_set(e, ERR_INVALID, "the command %s takes no option %s",
		               p->o->command->name, shown(u, text));
	if (opt->kind == OPT_FLAG) {
		if (rest && u->is_long)
			return err_set(e, ERR_INVALID, "%s takes no value",
			               shown(u, text));
	} else if (opt->kind == OPT_MODE) {
		u->value = rest ? rest : opt->choices[0];
	} else {
		u->value = rest ? rest : *p->next;
		if (!u->value)
			return err_set(e, ERR_INVALID, "%s needs a value: %s",
			               shown(u, text), opt->value);
		if (!rest)
			p->next++;
	}
	return apply(p->o, opt, u, e);
}

static int use_long(struct parser *p, const char *s, struct err *e)
{
	const char *equals = strchr(s, '=');
	struct use u = { s, equals ? (size_t)(equals - s) : strlen(s), true, NULL };

	return use_option(p, &u, equals ? equals + 1 : NULL, e);
}

static int use_letters(struct parser *p, const char *s, struct err *e)
{
	for (; *s; s++) {
		struct use u = { s, 1, false, NULL };

		if (use_option(p, &u, s[1] ? s + 1 : NULL, e) < 0)
			return -1;
		if (u.value)
			break; /* the rest was its value */
	}
	return 0;
}

/* Length of NAME when `s` is NAME=VALUE, else 0. */
static size_t variable_name(const char *s)
{
	size_t n = 0;

	while (isalnum((unsigned char)s[n]) || s[n] == '_')
		n++;
	return s[n] == '=' && n && !isdigit((unsigned char)*s) ? n : 0;
}

static const struct command *find_command(const struct command *c, const char *name)
{
	for (; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

/* Finds the command: the first argument that is neither an option, nor an option's value,
 * nor NAME=VALUE. Its position in argv is put into *at, NULL if it was not said. */
static void find_said(struct parser *p, char **argv, char ***at)
{
	*at = NULL;
	for (char **a = argv + 1; *a && strcmp(*a, "--"); a++) {
		const struct opt *opt = NULL;
		bool inside = false; /* the value is in the same argument */

		if ((*a)[0] != '-' || !(*a)[1]) {
			if (variable_name(*a))
				continue;
			*at = find_command(p->commands, *a) ? a : NULL;
			return;
		}
		if ((*a)[1] == '-') {
			struct use u = { *a + 2, strcspn(*a + 2, "="), true, NULL };

			opt = find_anywhere(p, &u);
			inside = u.name[u.len] == '=';
		} else {
			for (const char *s = *a + 1; *s && !(opt && opt->value); s++) {
				struct use u = { s, 1, false, NULL };

				opt = find_anywhere(p, &u);
				inside = s[1] != '\0';
			}
		}
		if (opt && opt->value && opt->kind != OPT_MODE && !inside && !*++a)
			return;
	}
}

static void take_word(struct parser *p, const char *word)
{
	struct options *o = p->o;

	if (p->words_only && (o->command->takes & TAKES_REST))
		strlist_add(&o->rest, word);
	else if (!p->words_only && (o->command->takes & TAKES_PROJECT) &&
	         variable_name(word))
		strlist_add(&o->variables, word);
	else
		strlist_add(&o->words, word);
}

static int check_words(const struct options *o, struct err *e)
{
	const struct command *c = o->command;

	if (o->help || o->version)
		return 0;
	if (o->words.len < (size_t)c->min_words)
		return err_set(e, ERR_INVALID, "usage: imgmake %s %s", c->name, c->args);
	if (c->max_words >= 0 && o->words.len > (size_t)c->max_words)
		return err_set(e, ERR_INVALID,
		               "%s: unexpected '%s' (usage: imgmake %s%s%s)", c->name,
		               o->words.at[c->max_words], c->name, *c->args ? " " : "",
		               c->args);
	return 0;
}

int options_parse(struct options *o, const struct command *commands, char **argv,
                  struct err *e)
{
	struct parser p = { o, commands, argv + 1, false };
	char **said;

	*o = (struct options){ .command = commands };
	if (!argv[0])
		return 0;
	find_said(&p, argv, &said);
	if (said)
		o->command = find_command(commands, *said);
	o->command_said = said != NULL;
	while (*p.next) {
		char *arg = *p.next++;
		int rc = 0;

		if (p.next - 1 == said)
			continue;
		if (p.words_only || arg[0] != '-' || !arg[1])
			take_word(&p, arg);
		else if (!strcmp(arg, "--"))
			p.words_only = true;
		else
			rc = arg[1] == '-' ? use_long(&p, arg + 2, e)
			                   : use_letters(&p, arg + 1, e);
		if (rc < 0)
			return -1;
	}
	return check_words(o, e);
}

void options_fini(struct options *o)
{
	strlist_fini(&o->words);
	strlist_fini(&o->variables);
	strlist_fini(&o->rest);
	strlist_fini(&o->directories);
	strlist_fini(&o->touched);
	strlist_fini(&o->old);
	strlist_fini(&o->cache_read);
	strlist_fini(&o->secrets);
	strlist_fini(&o->mirrors);
	strlist_fini(&o->insecure);
	strlist_fini(&o->limits);
	strlist_fini(&o->platforms);
	strlist_fini(&o->contexts);
	strlist_fini(&o->tag_aliases);
	strlist_fini(&o->tag_variants);
}

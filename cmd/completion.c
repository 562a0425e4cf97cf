/* imgmake completion: what can be typed next. The scripts of the shells ask us each time,
 * so that options, commands, targets and variables are always those of this program and
 * of the Imagefile that is there. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/commands.h"

/* bash breaks words at "=": the parts come one by one, and only the last is replaced.
 * Names are quoted and never expanded: a stranger's Imagefile has chosen them. */
static const char bash[] =
	"_imgmake() {\n"
	"\tlocal word\n"
	"\tCOMPREPLY=()\n"
	"\twhile IFS=$'\\t' read -r word _; do\n"
	"\t\tCOMPREPLY+=(\"$(printf %q \"$word\")\")\n"
	"\tdone < <(imgmake completion query -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" "
	"2>/dev/null)\n"
	"\t[[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace\n"
	"}\n"
	"complete -o default -F _imgmake imgmake\n";
static const char zsh[] =
	"#compdef imgmake\n"
	"_imgmake() {\n"
	"\tlocal -a found\n"
	"\tfound=(${(f)\"$(imgmake completion query -- \"${(@)words[2,CURRENT]}\" "
	"2>/dev/null | cut -f1)\"})\n"
	"\t(( $#found )) && compadd -a found || _files\n"
	"}\n"
	"compdef _imgmake imgmake\n";
static const char fish[] = "complete -c imgmake -a '(imgmake completion query -- "
			   "(commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'\n";

/* --- What is being typed
 * ------------------------------------------------------------------ */

struct query {
	const struct strlist *words; /* the last one is being typed; may be empty */
	const struct command *command;
	bool command_said;
	const char *last, *before; /* the word being typed, and the one before it or "" */
	struct session *session;
	struct buf out;
};

static const struct command *command_named(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

/* NULL: none of that name, or `word` is no long option. */
static const struct opt *option_named(const struct query *q, const char *word, size_t n)
{
	const struct opt *tables[] = { q->command->options, options_common() };

	if (strncmp(word, "--", 2) != 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct opt *o = tables[i]; o && o->name; o++)
			if (strlen(o->name) == n - 2 &&
			    !strncmp(o->name, word + 2, n - 2) &&
			    (!i || options_apply(o, q->command)))
				return o;
	return NULL;
}

/* -f of make: a letter whose value is the next word. */
static bool wants_value(const struct query *q, const char *word)
{
	const struct opt *o = option_named(q, word, strlen(word));

	if (o)
		return o->value && o->kind != OPT_MODE;
	if (word[0] != '-' || !word[1] || word[2])
		return false;
	for (o = options_common(); o->name; o++)
		if (o->letter == word[1])
			return o->value && o->kind != OPT_MODE;
	return false;
}

static void read_words(struct query *q)
{
	size_t n = q->words->len;

	q->command = commands;
	q->last = n ? q->words->at[n - 1] : "";
	q->before = n > 1 ? q->words->at[n - 2] : "";
	for (size_t i = 0; i + 1 < n; i++) {
		const char *w = q->words->at[i];

		if (wants_value(q, w))
			i++;
		else if (w[0] != '-' && !q->command_said && command_named(w)) {
			q->command = command_named(w);
			q->command_said = true;
		}
	}
}

/* --- Answers
 * ------------------------------------------------------------------------------ */

static void add(struct query *q, const char *word, const char *what)
{
	if (strncmp(word, q->last, strlen(q->last)) != 0 && strcmp(q->last, "=") != 0)
		return;
	buf_add_printable(&q->out, word, strlen(word));
	buf_addf(&q->out, "\t%s\n", what);
}

static void add_choices(struct query *q, const char *prefix, const struct opt *o)
{
	for (size_t i = 0; o->choices && o->choices[i]; i++) {
		AUTO_BUF word = BUF_INIT;

		buf_addf(&word, "%s%s", prefix, o->choices[i]);
		add(q, word.s, o->help);
	}
}

static void add_options(struct query *q)
{
	const struct opt *tables[] = { q->command->options, options_common() };

	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct opt *o = tables[i]; o && o->name; o++) {
			AUTO_BUF word = BUF_INIT;

			buf_addf(&word, "--%s%s", o->name, o->choices ? "=" : "");
			if (*o->name && (!i || options_apply(o, q->command)))
				add(q, word.s, o->help);
		}
}

/* "--isolation=ch", or bash's "--isolation" "=" "ch". True: it was that. */
static bool add_values(struct query *q)
{
	const struct strlist *w = q->words;
	size_t n = strcspn(q->last, "="), i = w->len;
	const struct opt *o;

	if (q->last[n] && n) {
		AUTO_BUF prefix = BUF_INIT;

		o = option_named(q, q->last, n);
		buf_add(&prefix, q->last, n + 1);
		if (o)
			add_choices(q, prefix.s, o);
		return o != NULL;
	}
	if (!strcmp(q->last, "="))
		i = i >= 2 ? i - 2 : 0;
	else if (!strcmp(q->before, "="))
		i = i >= 3 ? i - 3 : 0;
	else
		return false;
	o = i < w->len ? option_named(q, w->at[i], strlen(w->at[i])) : NULL;
	if (o)
		add_choices(q, "", o);
	return o != NULL;
}

static void add_commands(struct query *q)
{
	for (const struct command *c = commands; c->name; c++)
		add(q, c->name, c->help);
}

static void add_targets(struct query *q)
{
	const struct recipe *r = q->session->recipe;

	for (size_t i = 0; r && i < r->n_targets; i++)
		if (r->targets[i]->kind != TARGET_BASE)
			add(q, r->targets[i]->name,
			    target_kind_text(r->targets[i]->kind));
	for (size_t i = 0; r && i < r->n_variables; i++) {
		AUTO_BUF word = BUF_INIT;

		buf_addf(&word, "%s=", r->variables[i].name);
		add(q, word.s, r->variables[i].help ? r->variables[i].help : "variable");
	}
}

static void add_shells(struct query *q)
{
	add(q, "bash", "shell");
	add(q, "zsh", "shell");
	add(q, "fish", "shell");
}

static void answer(struct query *q)
{
	const struct opt *o = option_named(q, q->before, strlen(q->before));

	if (add_values(q))
		return;
	if (wants_value(q, q->before)) {
		if (o)
			add_choices(q, "", o);
		return; /* else files, as the shell knows them */
	}
	if (q->last[0] == '-') {
		add_options(q);
		return;
	}
	if (!q->command_said || !strcmp(q->command->name, "help"))
		add_commands(q);
	if (!strcmp(q->command->name, "completion"))
		add_shells(q);
	if (q->command->takes & TAKES_PROJECT)
		add_targets(q);
}

/* A recipe that is wrong has no targets to offer; that is not the time to say so. */
static int query(const struct options *o, struct terminal *t)
{
	struct options where = { .command = o->command };
	struct session s;
	struct query q = { .words = &o->rest, .session = &s, .out = BUF_INIT };
	struct err ignored;

	read_words(&q);
	for (size_t i = 0; i + 2 < o->rest.len; i++) {
		if (!strcmp(o->rest.at[i], "-f"))
			where.file = o->rest.at[i + 1];
		else if (!strcmp(o->rest.at[i], "-C") && chdir(o->rest.at[i + 1]) < 0)
			return 0;
	}
	if (session_open(&s, &where, t, SESSION_RECIPE_IF_ANY, &ignored) < 0)
		s.recipe = NULL;
	answer(&q);
	session_print(&s, &q.out);
	buf_fini(&q.out);
	return session_end(&s, 0);
}

int cmd_completion(const struct options *o, struct terminal *t)
{
	static const struct {
		const char *name, *script;
	} shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };
	struct session s = { .options = o, .terminal = t };
	const char *word = o->words.at[0];
	struct err e;

	s.store.dir = s.store.lease = -1;
	if (!strcmp(word, "query"))
		return query(o, t);
	for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
		if (strcmp(shells[i].name, word) != 0)
			continue;
		terminal_print(t, shells[i].script, strlen(shells[i].script));
		return session_end(&s, 0);
	}
	err_set(&e, ERR_INVALID, "no completion for '%s'; there is bash, zsh and fish",
	        word);
	return session_fail(&s, &e);
}

/* imgmake help, version. */
#include <string.h>

#include "base/arena.h"
#include "base/nearest.h"
#include "cmd/commands.h"
#include "cmd/topics.h"

static const struct command *find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

/* --- Topics of the manual -------------------------------------------------------------
 */

enum { TOPICS_MAX = 512, INDENT = 4 };

/* A line of a topic: levels of indentation, then text that is wrapped or left alone. */
static void add_line(struct buf *out, const char *line, size_t n)
{
	AUTO_BUF text = BUF_INIT;
	size_t column = 0;

	for (; n && *line == '\2'; line++, n--)
		column += INDENT;
	if (n)
		buf_addf(out, "%*s", (int)column, "");
	if (n && *line == '\3') {
		buf_add(out, line + 1, n - 1);
		buf_addc(out, '\n');
		return;
	}
	buf_add(&text, line, n);
	options_wrap(out, text.s, column);
}

/* Behind its name: to the end, or the next topic. */
static void add_topic(struct buf *out, const char *text)
{
	bool heading = true;

	if (out->len)
		buf_addc(out, '\n');
	while (*text && *text != '\1') {
		size_t n = strcspn(text, "\n");

		add_line(out, text, n);
		if (heading && text[n] && text[n + 1] != '\n' && text[n + 1] != '\1')
			buf_addc(out, '\n');
		heading = false;
		text += n + (text[n] == '\n');
	}
}

/* All that is said of it; false: nothing. */
static bool add_topics(struct buf *out, const char *name)
{
	const char *at = (const char *)topics;
	bool found = false;

	while ((at = strchr(at, '\1'))) {
		size_t n = strcspn(++at, "\n");

		if (strlen(name) == n && !strncmp(at, name, n)) {
			add_topic(out, at + n + 1);
			found = true;
		}
	}
	return found;
}

static int unknown(const char *name, struct err *e)
{
	struct arena a = ARENA_INIT;
	const char *names[TOPICS_MAX], *near;
	size_t n = 0;

	for (const struct command *c = commands; c->name && n < ARRAY_LEN(names); c++)
		names[n++] = c->name;
	for (const char *at = strchr((const char *)topics, '\1');
	     at && n < ARRAY_LEN(names); at = strchr(at + 1, '\1'))
		names[n++] = arena_strndup(&a, at + 1, strcspn(at + 1, "\n"));
	near = nearest_name(name, names, n);
	if (near)
		err_set(e, ERR_INVALID, "no command or topic '%s', did you mean '%s'?",
		        name, near);
	else
		err_set(e, ERR_INVALID,
		        "no command or topic '%s'; imgmake help lists the commands, imgmake "
		        "help topics the topics",
		        name);
	arena_fini(&a);
	return -1;
}

/* Each once, in the order of the manual. */
static void add_topic_names(struct buf *out)
{
	AUTO_BUF names = BUF_INIT;
	const char *text = (const char *)topics;

	for (const char *at = text; (at = strchr(at, '\1'));) {
		size_t n = strcspn(++at, "\n");

		buf_addf(&names, "%s%.*s", names.len ? ", " : "", (int)n, at);
	}
	options_wrap(out, names.s, 0);
}

int cmd_help(const struct options *o, struct terminal *t)
{
	struct session s = { .options = o, .terminal = t };
	const char *name = o->words.len ? o->words.at[0] : NULL;
	const struct command *c = name ? find(name) : NULL;
	AUTO_BUF out = BUF_INIT;
	struct err e;

	s.store.dir = s.store.lease = -1;
	if (c)
		options_help(&out, c);
	if (!name)
		options_overview(&out, commands);
	else if (!strcmp(name, "all"))
		options_help_all(&out, commands);
	else if (!strcmp(name, "topics"))
		add_topic_names(&out);
	else if (!add_topics(&out, name) && !c && unknown(name, &e) < 0)
		return session_fail(&s, &e);
	session_print(&s, &out);
	return session_end(&s, 0);
}

int cmd_version(const struct options *o, struct terminal *t)
{
	struct session s = { .options = o, .terminal = t };
	AUTO_BUF out = BUF_INIT;

	s.store.dir = s.store.lease = -1;
	buf_adds(&out, "imgmake " IMGMAKE_VERSION "\n");
	session_print(&s, &out);
	return session_end(&s, 0);
}

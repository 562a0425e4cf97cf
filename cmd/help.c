/* imgmake help, version. */
#include <string.h>

#include "base/nearest.h"
#include "cmd/commands.h"

static const struct command *find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

static int unknown(const char *name, struct err *e)
{
	const char *names[64], *near;
	size_t n = 0;

	for (const struct command *c = commands; c->name && n < ARRAY_LEN(names); c++)
		names[n++] = c->name;
	near = nearest_name(name, names, n);
	if (near)
		return err_set(e, ERR_INVALID, "no command '%s', did you mean '%s'?",
		               name, near);
	return err_set(e, ERR_INVALID, "no command '%s'; imgmake help lists them", name);
}

int cmd_help(const struct options *o, struct terminal *t)
{
	struct session s = { .options = o, .terminal = t };
	const struct command *c;
	AUTO_BUF out = BUF_INIT;
	struct err e;

	s.store.dir = s.store.lease = -1;
	if (!o->words.len) {
		options_overview(&out, commands);
	} else if (!strcmp(o->words.at[0], "all")) {
		options_help_all(&out, commands);
	} else {
		c = find(o->words.at[0]);
		if (!c) {
			unknown(o->words.at[0], &e);
			return session_fail(&s, &e);
		}
		options_help(&out, c);
	}
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

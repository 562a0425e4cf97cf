#include "base/pattern.h"

#include <string.h>

#include "base/glob.h"
#include "base/path.h"

enum { PATTERN_MAX = 4096 };

struct pattern {
	struct glob glob;
};

bool pattern_is_literal(const char *text)
{
	return !strpbrk(text, "*?[\\");
}

/* `**` as a whole component is any number of components; glued to a name it is any text.
 */
static const char *add_stars(struct glob *g, const char *start, const char *s)
{
	bool whole = s == start || s[-1] == '/';
	size_t n = strspn(s, "*");

	s += n;
	if (n == 1) {
		glob_add(g, GLOB_NOT_SLASH, true);
	} else if (whole && *s == '/') {
		glob_add_dirs(g);
		s++;
	} else {
		glob_add(g, GLOB_ANY, true);
	}
	return s;
}

static int compile(struct glob *g, const char *text, struct err *e)
{
	const char *s = text;
	uint32_t c;

	while (*s) {
		if (*s == '*') {
			s = add_stars(g, text, s);
		} else if (*s == '?') {
			glob_add(g, GLOB_NOT_SLASH, false);
			s++;
		} else if (*s == '[') {
			s++;
			if (glob_parse_class(g, &s, true) < 0)
				return err_set(
					e, ERR_INVALID,
					"pattern '%s': '[' without its end, or a "
					"malformed range (write \\[ for a bracket)",
					text);
		} else {
			if (*s == '\\' && !*++s)
				return err_set(e, ERR_INVALID,
				               "pattern '%s' ends in '\\'", text);
			s += glob_decode(s, strlen(s), &c);
			glob_add_char(g, c);
		}
	}
	glob_finish(g);
	return 0;
}

int pattern_new(struct pattern **out, const char *text, struct err *e)
{
	AUTO_BUF clean = BUF_INIT;
	struct pattern *p;

	if (strlen(text) > PATTERN_MAX)
		return err_set(e, ERR_LIMIT, "pattern '%.40s...' is longer than %d bytes",
		               text, PATTERN_MAX);
	path_clean(&clean, text);
	p = mem_alloc(sizeof(*p));
	if (pattern_is_literal(clean.s)) {
		glob_literal(&p->glob, GLOB_EXACT, clean.s);
	} else if (compile(&p->glob, clean.s, e) < 0) {
		pattern_free(p);
		return -1;
	}
	*out = p;
	return 0;
}

void pattern_free(struct pattern *p)
{
	if (!p)
		return;
	glob_fini(&p->glob);
	free(p);
}

bool pattern_match(const struct pattern *p, const char *path)
{
	return glob_match(&p->glob, path, strlen(path), false);
}

bool pattern_may_match_below(const struct pattern *p, const char *dir)
{
	return glob_may_match_below(&p->glob, dir, strlen(dir));
}

#include "base/moby_pattern.h"

#include <ctype.h>
#include <string.h>

#include "base/buf.h"

/* How moby matches depends on the characters seen, in order; see GLOB_* in glob.h. */
struct translation {
	struct buf regex;
	enum glob_form form;
	bool first; /* nothing was read yet */
};

static const char *translate_star(struct translation *t, const char *s)
{
	if (s[1] != '*') {
		buf_adds(&t->regex, "[^/]*");
		t->form = GLOB_PROGRAM;
		return s + 1;
	}
	s += 2;
	if (*s == '/')
		s++;
	if (*s) {
		buf_adds(&t->regex, "(.*/)?");
		t->form = GLOB_PROGRAM;
	} else if (t->form == GLOB_EXACT) {
		t->form = GLOB_PREFIX;
	} else {
		buf_adds(&t->regex, ".*");
		t->form = GLOB_PROGRAM;
	}
	if (t->first)
		t->form = GLOB_SUFFIX;
	return s;
}

static const char *translate_one(struct translation *t, const char *s)
{
	if (*s == '*')
		return translate_star(t, s);
	if (*s == '?') {
		buf_adds(&t->regex, "[^/]");
		t->form = GLOB_PROGRAM;
	} else if (strchr(".+()|{}$", *s)) {
		buf_addc(&t->regex, '\\');
		buf_addc(&t->regex, *s);
	} else if (*s == '\\') {
		buf_add(&t->regex, s++, 2); /* never the last one: that was refused */
		t->form = GLOB_PROGRAM;
	} else {
		buf_addc(&t->regex, *s);
		if (*s == '[' || *s == ']')
			t->form = GLOB_PROGRAM;
	}
	return s + 1;
}

/* The ranges of \d, \s and \w, as pairs. */
static const char *perl_class(char c)
{
	switch (tolower((unsigned char)c)) {
	case 'd': return "09";
	case 's': return "\t\n\f\r  ";
	case 'w': return "09AZ__az";
	}
	return NULL;
}

/* Reads one character, perhaps quoted; *s stands on it. */
static int read_char(const char **s, uint32_t *c)
{
	static const char names[] = "afnrtv", codes[] = "\a\f\n\r\t\v";
	const char *name;

	if (**s != '\\') {
		*s += glob_decode(*s, strlen(*s), c);
		return 0;
	}
	++*s;
	name = **s ? strchr(names, **s) : NULL;
	if (name)
		*c = (unsigned char)codes[name - names];
	else if (isascii((unsigned char)**s) && !isalnum((unsigned char)**s) && **s)
		*c = (unsigned char)**s;
	else
		return -1;
	++*s;
	return 0;
}

static bool add_perl_ranges(struct glob *g, char c)
{
	const char *pairs = perl_class(c);

	for (; pairs && *pairs; pairs += 2)
		glob_add_range(g, (unsigned char)pairs[0], (unsigned char)pairs[1]);
	return pairs != NULL;
}

/* A class as Go's regular expressions have it: `]` may come first, `-` may stand
 * anywhere. */
static int parse_class(struct glob *g, const char **s)
{
	bool first = true;
	uint32_t lo, hi;

	glob_add(g, GLOB_CLASS, false);
	if (**s == '^') {
		g->items.at[g->items.len - 1].negated = true;
		++*s;
	}
	for (; **s != ']' || first; first = false) {
		if (!**s || ((*s)[0] == '[' && (*s)[1] == ':' && strstr(*s, ":]")))
			return -1;
		if (**s == '\\' && islower((unsigned char)(*s)[1]) &&
		    add_perl_ranges(g, (*s)[1])) {
			*s += 2;
			continue;
		}
		if (read_char(s, &lo) < 0)
			return -1;
		hi = lo;
		if ((*s)[0] == '-' && (*s)[1] && (*s)[1] != ']') {
			++*s;
			if (read_char(s, &hi) < 0 || hi < lo)
				return -1;
		}
		glob_add_range(g, lo, hi);
	}
	++*s;
	return 0;
}

static int parse_escape(struct glob *g, const char **s)
{
	uint32_t c;

	if (perl_class((*s)[1])) {
		glob_add(g, GLOB_CLASS, false);
		g->items.at[g->items.len - 1].negated = isupper((unsigned char)(*s)[1]);
		add_perl_ranges(g, (*s)[1]);
		*s += 2;
		return 0;
	}
	if (read_char(s, &c) < 0)
		return -1;
	glob_add_char(g, c);
	return 0;
}

static bool skip(const char **s, const char *what)
{
	size_t n = strlen(what);

	if (strncmp(*s, what, n))
		return false;
	*s += n;
	return true;
}

/* Not all of the language, only what translate_one can have written. An unquoted `(` or
 * `.` is ours; a `*` behind a class is one whose `[` a class of the user's has swallowed.
 */
static int parse_regex(struct glob *g, const char *s)
{
	uint32_t c;

	while (*s) {
		if (skip(&s, "(.*/)?")) {
			glob_add_dirs(g);
		} else if (skip(&s, ".*")) {
			glob_add(g, GLOB_ANY, true);
		} else if (skip(&s, "^")) {
			glob_add(g, GLOB_START, false);
		} else if (skip(&s, "[^/]*")) {
			glob_add(g, GLOB_NOT_SLASH, true);
		} else if (skip(&s, "[")) {
			if (parse_class(g, &s) < 0)
				return -1;
			if (skip(&s, "*"))
				g->items.at[g->items.len - 1].star = true;
		} else if (*s == '\\') {
			if (parse_escape(g, &s) < 0)
				return -1;
		} else {
			s += glob_decode(s, strlen(s), &c);
			glob_add_char(g, c);
		}
	}
	return 0;
}

/* Go's path.Match is asked first, by moby, whether the pattern is well-formed. */
static bool well_formed(const char *s)
{
	struct glob scratch = { 0 };
	bool ok = true;

	while (ok && *s) {
		char c = *s++;

		if (c == '\\')
			ok = *s++ != '\0';
		else if (c == '[')
			ok = glob_parse_class(&scratch, &s, false) == 0;
	}
	glob_fini(&scratch);
	return ok;
}

int moby_pattern(struct glob *g, const char *text, struct err *e)
{
	struct translation t = { BUF_INIT, GLOB_EXACT, true };
	int rc = 0;

	if (!well_formed(text))
		return err_set(e, ERR_INVALID,
		               "malformed pattern '%s' (a '[' without its ']', "
		               "or a '\\' at the end)",
		               text);
	for (const char *s = text; *s; t.first = false)
		s = translate_one(&t, s);
	switch (t.form) {
	case GLOB_EXACT: glob_literal(g, GLOB_EXACT, text); break;
	case GLOB_PREFIX:
		glob_literal(g, GLOB_PREFIX, text);
		g->lit_len -= strlen("**");
		break;
	case GLOB_SUFFIX: glob_literal(g, GLOB_SUFFIX, text + strlen("**")); break;
	case GLOB_PROGRAM:
		g->one_line = true;
		rc = parse_regex(g, t.regex.s);
		glob_finish(g);
		break;
	}
	buf_fini(&t.regex);
	if (rc < 0)
		return err_set(e, ERR_INVALID,
		               "malformed pattern '%s' (a range from high to "
		               "low, or a quoted letter)",
		               text);
	return 0;
}

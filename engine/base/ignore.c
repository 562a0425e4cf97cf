#include "base/pattern.h"

#include <string.h>

#include "base/buf.h"
#include "base/moby_pattern.h"
#include "base/path.h"

enum { LINE_BYTES_MAX = 64 * 1024 }; /* as moby's reader */

struct rule {
	struct glob glob;
	bool exception; /* written with a `!` */
};

struct ignore {
	VEC(struct rule) rules;
	bool exceptions;
};

/* Length of white space as Unicode has it at s, 0 if there is none. */
static size_t space_at(const char *s, size_t n)
{
	uint32_t c;
	size_t len = n ? glob_decode(s, n, &c) : 0;

	if (!len)
		return 0;
	return (c >= '\t' && c <= '\r') || c == ' ' || c == 0x85 || c == 0xa0 ||
	                       c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
	                       c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
	                       c == 0x3000
	               ? len
	               : 0;
}

static void trim(const char **s, size_t *n)
{
	size_t len, at;

	while ((len = space_at(*s, *n))) {
		*s += len;
		*n -= len;
	}
	for (bool more = true; more && *n;) {
		for (at = *n - 1; at && ((unsigned char)(*s)[at] & 0xc0) == 0x80; at--)
			continue;
		more = at + space_at(*s + at, *n - at) == *n;
		if (more)
			*n = at;
	}
}

/* A line as moby's reader of ignore files hands it on. */
static void read_line(struct buf *out, const char *s, size_t n)
{
	AUTO_BUF raw = BUF_INIT;
	AUTO_BUF clean = BUF_INIT;

	trim(&s, &n);
	if (n && *s == '!') {
		buf_addc(out, *s++);
		n--;
		trim(&s, &n);
	}
	if (!n)
		return;
	buf_add(&raw, s, n);
	path_clean(&clean, raw.s);
	buf_adds(out, clean.s + (clean.s[0] == '/' && clean.len > 1));
}

/* And as its matcher takes it from there: with the same steps once more, and only now is
 * a `!` looked at, so that "/ foo" is "foo" and "/!foo" an exception. */
static int compile_line(struct ignore *ig, const char *line, struct err *e)
{
	AUTO_BUF raw = BUF_INIT;
	AUTO_BUF clean = BUF_INIT;
	struct rule r = { 0 };
	size_t n = strlen(line);

	trim(&line, &n);
	if (!n)
		return 0;
	buf_add(&raw, line, n);
	path_clean(&clean, raw.s);
	r.exception = clean.s[0] == '!';
	if (r.exception && clean.len == 1)
		return err_set(e, ERR_INVALID, "'!' without a pattern");
	if (moby_pattern(&r.glob, clean.s + r.exception, e) < 0) {
		glob_fini(&r.glob);
		return -1;
	}
	ig->exceptions |= r.exception;
	vec_push(&ig->rules, r);
	return 0;
}

static int add_rule(struct ignore *ig, const char *s, size_t n, struct err *e)
{
	AUTO_BUF line = BUF_INIT;

	if (n > LINE_BYTES_MAX)
		return err_set(e, ERR_LIMIT, "a pattern of more than %d bytes",
		               LINE_BYTES_MAX);
	if (memchr(s, '\0', n))
		return err_set(e, ERR_INVALID, "a NUL byte, which no path can hold");
	read_line(&line, s, n);
	return compile_line(ig, line.s, e);
}

int ignore_parse(struct ignore **out, const char *text, size_t n, const char *name,
                 struct err *e)
{
	struct ignore *ig = mem_alloc(sizeof(*ig));
	const char *end = text + n, *next;

	if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	for (unsigned line = 1; text < end; line++, text = next) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));

		next = nl ? nl + 1 : end;
		if (*text == '#')
			continue;
		if (add_rule(ig, text, (size_t)((nl ? nl : end) - text), e) < 0) {
			ignore_free(ig);
			return err_wrap(e, "%s:%u", name, line);
		}
	}
	*out = ig;
	return 0;
}

int ignore_from_list(struct ignore **out, const char *const *patterns, size_t n,
                     const char *name, struct err *e)
{
	struct ignore *ig = mem_alloc(sizeof(*ig));

	for (size_t i = 0; i < n; i++) {
		if (add_rule(ig, patterns[i], strlen(patterns[i]), e) < 0) {
			ignore_free(ig);
			return err_wrap(e, "%s", name);
		}
	}
	*out = ig;
	return 0;
}

void ignore_free(struct ignore *ig)
{
	if (!ig)
		return;
	for (size_t i = 0; i < ig->rules.len; i++)
		glob_fini(&ig->rules.at[i].glob);
	vec_fini(&ig->rules);
	free(ig);
}

/* The last rule that matches decides; those that could not change the verdict are
 * skipped. *decider is the rule that excluded it. */
static bool excluded(const struct ignore *ig, const char *path, size_t *decider)
{
	size_t n = strlen(path);
	bool out = false;

	if (n == 1 && path[0] == '.')
		return false; /* nobody means that */
	for (size_t i = 0; i < ig->rules.len; i++) {
		const struct rule *r = &ig->rules.at[i];

		if (r->exception != out || !glob_match(&r->glob, path, n, true))
			continue;
		out = !r->exception;
		*decider = i;
	}
	return out;
}

bool ignore_matches(const struct ignore *ig, const char *path)
{
	size_t decider;

	return ig && excluded(ig, path, &decider);
}

bool ignore_skips_directory(const struct ignore *ig, const char *dir)
{
	size_t n = strlen(dir), i = 0;

	if (!ig || !excluded(ig, dir, &i))
		return false;
	if (!ig->exceptions)
		return true;
	/* What excluded the directory excludes all below it again after earlier
	 * exceptions. */
	for (i++; i < ig->rules.len; i++)
		if (ig->rules.at[i].exception &&
		    glob_may_match_below(&ig->rules.at[i].glob, dir, n))
			return false;
	return true;
}

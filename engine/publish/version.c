#include "publish/version.h"

#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool span_is_digits(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_digit(s.s[i]))
			return false;
	return s.n > 0;
}

bool span_equal(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || !memcmp(a.s, b.s, a.n));
}

/* Splits off what stands before the next dot. */
static struct span take_identifier(struct span *rest)
{
	const char *dot = rest->n ? memchr(rest->s, '.', rest->n) : NULL;
	struct span id = { rest->s, dot ? (size_t)(dot - rest->s) : rest->n };
	size_t used = id.n + (dot != NULL);

	rest->s += used;
	rest->n -= used;
	return id;
}

/* Dotted identifiers of letters, digits, hyphens and `more`; none of them empty. */
static bool identifiers_valid(struct span s, const char *more)
{
	if (!s.n || s.s[0] == '.' || s.s[s.n - 1] == '.')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.s[i];

		if (c == '.' && s.s[i - 1] == '.')
			return false;
		if (!is_digit(c) && !is_letter(c) && c != '-' && c != '.' &&
		    (c == '\0' || !strchr(more, c)))
			return false;
	}
	return true;
}

static bool read_parts(struct version *v, struct span core)
{
	if (!core.n || core.s[core.n - 1] == '.')
		return false;
	while (core.n) {
		struct span part = take_identifier(&core);

		if (v->n == VERSION_PARTS || !span_is_digits(part))
			return false;
		v->part[v->n++] = part;
	}
	return true;
}

static size_t find_any(struct span s, const char *set)
{
	size_t i = 0;

	while (i < s.n && (s.s[i] == '\0' || !strchr(set, s.s[i])))
		i++;
	return i;
}

bool version_read(struct version *v, const char *text, size_t n)
{
	struct span core = { text, n };
	size_t at;

	memset(v, 0, sizeof(*v));
	at = find_any(core, "+_");
	if (at < core.n) {
		v->build = (struct span){ core.s + at + 1, core.n - at - 1 };
		core.n = at;
		if (!identifiers_valid(v->build, "_"))
			return false;
	}
	at = find_any(core, "-");
	if (at < core.n) {
		v->pre = (struct span){ core.s + at + 1, core.n - at - 1 };
		core.n = at;
		if (!identifiers_valid(v->pre, ""))
			return false;
	}
	return read_parts(v, core);
}

static int sign(long long v)
{
	return (v > 0) - (v < 0);
}

static int compare_bytes(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.s, b.s, n) : 0;

	return c ? sign(c) : (a.n > b.n) - (a.n < b.n);
}

/* By length without leading zeros first: no number is too long. */
int version_compare_digits(struct span a, struct span b)
{
	for (; a.n && *a.s == '0'; a.n--)
		a.s++;
	for (; b.n && *b.s == '0'; b.n--)
		b.s++;
	if (a.n != b.n)
		return a.n > b.n ? 1 : -1;
	return compare_bytes(a, b);
}

int version_compare_parts(const struct version *a, const struct version *b, int n)
{
	static const struct span zero = { "0", 1 };

	for (int i = 0; i < n; i++) {
		int c = version_compare_digits(i < a->n ? a->part[i] : zero,
		                               i < b->n ? b->part[i] : zero);

		if (c)
			return c;
	}
	return 0;
}

/* Semver 11.4: numbers before words, numbers as numbers, fewer identifiers first. */
static int compare_identifiers(struct span a, struct span b)
{
	while (a.n && b.n) {
		struct span x = take_identifier(&a), y = take_identifier(&b);
		bool xd = span_is_digits(x), yd = span_is_digits(y);
		int c = xd && yd   ? version_compare_digits(x, y)
		        : xd != yd ? (xd ? -1 : 1)
		                   : compare_bytes(x, y);

		if (c)
			return c;
	}
	return (a.n > 0) - (b.n > 0);
}

int version_compare(const struct version *a, const struct version *b)
{
	int c = version_compare_parts(a, b, VERSION_PARTS);

	if (c)
		return c;
	if (!a->pre.n || !b->pre.n)
		return (b->pre.n > 0) - (a->pre.n > 0);
	return compare_identifiers(a->pre, b->pre);
}

struct span version_channel(const struct version *v)
{
	struct span name = { v->pre.s, 0 };

	while (name.n < v->pre.n && is_letter(v->pre.s[name.n]))
		name.n++;
	return name;
}

/* Lua's own matcher cannot be stopped: one pattern can run
 * for hours without an instruction being counted. This one is the same algorithm with a
 * step counted for every item of a pattern that is tried; it follows lstrlib.c of
 * Lua 5.4:
 *
 * Copyright (C) 1994-2022 Lua.org, PUC-Rio.
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy of this
 * software and associated documentation files (the "Software"), to deal in the Software
 * without restriction, including without limitation the rights to use, copy, modify,
 * merge, publish, distribute, sublicense, and/or sell copies of the Software, and to
 * permit persons to whom the Software is furnished to do so, subject to the following
 * conditions: The above copyright notice and this permission notice shall be included in
 * all copies or substantial portions of the Software. THE SOFTWARE IS PROVIDED "AS IS",
 * WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
 * WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN
 * NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR
 * OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
 * OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE. */
#include "lua/match.h"

#include <ctype.h>
#include <string.h>

#include "lua/state.h"

enum { DEPTH_MAX = 200, CHARGE_EVERY = 1024 };
enum { OPEN = -1, POSITION = -2 }; /* lengths of captures */

static const char *do_match(struct matcher *m, const char *s, const char *p);

static void count_step(struct matcher *m)
{
	if (++m->steps < CHARGE_EVERY)
		return;
	m->steps = 0;
	state_charge(m->L, CHARGE_EVERY);
}

static int open_capture(struct matcher *m, int digit)
{
	int l = digit - '1';

	if (l < 0 || l >= m->level || m->capture[l].len == OPEN)
		return luaL_error(m->L, "invalid capture index %%%d", l + 1);
	return l;
}

static int capture_to_close(struct matcher *m)
{
	for (int l = m->level - 1; l >= 0; l--)
		if (m->capture[l].len == OPEN)
			return l;
	return luaL_error(m->L, "invalid pattern capture");
}

/* Behind the single character class that begins at p. */
static const char *class_end(struct matcher *m, const char *p)
{
	char c = *p++;

	if (c == '%') {
		if (p == m->pat_end)
			luaL_error(m->L, "malformed pattern (ends with '%%')");
		return p + 1;
	}
	if (c != '[')
		return p;
	if (*p == '^')
		p++;
	do {
		if (p == m->pat_end)
			luaL_error(m->L, "malformed pattern (missing ']')");
		if (*p++ == '%' && p < m->pat_end)
			p++;
	} while (*p != ']'); /* the pattern ends in NUL, behind pat_end */
	return p + 1;
}

static bool in_class(int c, int class)
{
	bool r;

	switch (tolower(class)) {
	case 'a': r = isalpha(c); break;
	case 'c': r = iscntrl(c); break;
	case 'd': r = isdigit(c); break;
	case 'g': r = isgraph(c); break;
	case 'l': r = islower(c); break;
	case 'p': r = ispunct(c); break;
	case 's': r = isspace(c); break;
	case 'u': r = isupper(c); break;
	case 'w': r = isalnum(c); break;
	case 'x': r = isxdigit(c); break;
	default: return class == c;
	}
	return isupper(class) ? !r : r;
}

/* p is at '[', end at its ']'. */
static bool in_set(int c, const char *p, const char *end)
{
	bool found = true;

	if (p[1] == '^') {
		found = false;
		p++;
	}
	while (++p < end) {
		if (*p == '%') {
			p++;
			if (in_class(c, (unsigned char)*p))
				return found;
		} else if (p[1] == '-' && p + 2 < end) {
			p += 2;
			if ((unsigned char)p[-2] <= c && c <= (unsigned char)*p)
				return found;
		} else if ((unsigned char)*p == c) {
			return found;
		}
	}
	return !found;
}

/* Whether the character at s matches the class p..end. */
static bool matches_one(struct matcher *m, const char *s, const char *p, const char *end)
{
	int c;

	count_step(m);
	if (s >= m->src_end)
		return false;
	c = (unsigned char)*s;
	switch (*p) {
	case '.': return true;
	case '%': return in_class(c, (unsigned char)p[1]);
	case '[': return in_set(c, p, end - 1);
	default: return (unsigned char)*p == c;
	}
}

/* %bxy */
static const char *match_balance(struct matcher *m, const char *s, const char *p)
{
	int nesting = 1;

	if (p >= m->pat_end - 1)
		luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
	if (s >= m->src_end || *s != *p)
		return NULL;
	while (++s < m->src_end) {
		count_step(m);
		if (*s == p[1]) {
			if (--nesting == 0)
				return s + 1;
		} else if (*s == *p) {
			nesting++;
		}
	}
	return NULL;
}

static const char *max_expand(struct matcher *m, const char *s, const char *p,
                              const char *end)
{
	ptrdiff_t i = 0;

	while (matches_one(m, s + i, p, end))
		i++;
	for (; i >= 0; i--) {
		const char *r = do_match(m, s + i, end + 1);

		if (r)
			return r;
	}
	return NULL;
}

static const char *min_expand(struct matcher *m, const char *s, const char *p,
                              const char *end)
{
	for (;;) {
		const char *r = do_match(m, s, end + 1);

		if (r)
			return r;
		if (!matches_one(m, s, p, end))
			return NULL;
		s++;
	}
}

static const char *start_capture(struct matcher *m, const char *s, const char *p,
                                 ptrdiff_t what)
{
	const char *r;

	if (m->level >= MATCH_CAPTURES_MAX)
		luaL_error(m->L, "too many captures");
	m->capture[m->level].at = s;
	m->capture[m->level].len = what;
	m->level++;
	r = do_match(m, s, p);
	if (!r)
		m->level--;
	return r;
}

static const char *end_capture(struct matcher *m, const char *s, const char *p)
{
	int l = capture_to_close(m);
	const char *r;

	m->capture[l].len = s - m->capture[l].at;
	r = do_match(m, s, p);
	if (!r)
		m->capture[l].len = OPEN;
	return r;
}

/* %1 */
static const char *match_capture(struct matcher *m, const char *s, int digit)
{
	int l = open_capture(m, digit);
	ptrdiff_t len = m->capture[l].len;

	m->steps += (int)(len > 0 && len < CHARGE_EVERY ? len / 16 : 0);
	if (len >= CHARGE_EVERY)
		state_charge(m->L, len / 16);
	if (len < 0 || m->src_end - s < len ||
	    memcmp(m->capture[l].at, s, (size_t)len) != 0)
		return NULL;
	return s + len;
}

/* %f[set]: between a character that is not in the set and one that is. */
static bool at_frontier(struct matcher *m, const char *s, const char *set,
                        const char *end)
{
	int before = s == m->src ? '\0' : (unsigned char)s[-1];
	int after = s == m->src_end ? '\0' : (unsigned char)*s;

	return !in_set(before, set, end - 1) && in_set(after, set, end - 1);
}

/* A class with what follows it. Sets *p to go on behind it with *s, or NULL when *s is
 * the answer. */
static void match_item(struct matcher *m, const char **s, const char **p)
{
	const char *end = class_end(m, *p), *start = *p, *r;
	char suffix = end < m->pat_end ? *end : '\0';

	*p = NULL;
	switch (suffix) {
	case '?':
		if (matches_one(m, *s, start, end)) {
			r = do_match(m, *s + 1, end + 1);
			if (r) {
				*s = r;
				return;
			}
		}
		*p = end + 1;
		return;
	case '+':
		*s = matches_one(m, *s, start, end) ? max_expand(m, *s + 1, start, end)
		                                    : NULL;
		return;
	case '*': *s = max_expand(m, *s, start, end); return;
	case '-': *s = min_expand(m, *s, start, end); return;
	default:
		if (matches_one(m, *s, start, end)) {
			*s += 1;
			*p = end;
		} else {
			*s = NULL;
		}
	}
}

/* %b, %f, %1…: true if it was one of them; then as match_item. */
static bool match_escape(struct matcher *m, const char **s, const char **p)
{
	const char *at = *p + 2, *end;
	char c = *p + 1 < m->pat_end ? (*p)[1] : '\0';

	if (c == 'b') {
		*s = match_balance(m, *s, at);
		*p = *s ? at + 2 : NULL;
		return true;
	}
	if (c == 'f') {
		if (at >= m->pat_end || *at != '[')
			luaL_error(m->L, "missing '[' after '%%f' in pattern");
		end = class_end(m, at);
		if (at_frontier(m, *s, at, end)) {
			*p = end;
		} else {
			*s = NULL;
			*p = NULL;
		}
		return true;
	}
	if (isdigit((unsigned char)c)) {
		*s = match_capture(m, *s, c);
		*p = *s ? at : NULL;
		return true;
	}
	return false;
}

/* The end of the match of pattern p at s, or NULL. */
static const char *match_here(struct matcher *m, const char *s, const char *p)
{
	while (p && p != m->pat_end) {
		count_step(m);
		if (*p == '(') {
			if (p + 1 < m->pat_end && p[1] == ')')
				return start_capture(m, s, p + 2, POSITION);
			return start_capture(m, s, p + 1, OPEN);
		}
		if (*p == ')')
			return end_capture(m, s, p + 1);
		if (*p == '$' && p + 1 == m->pat_end)
			return s == m->src_end ? s : NULL;
		if (*p == '%' && match_escape(m, &s, &p))
			continue;
		match_item(m, &s, &p);
	}
	return s;
}

static const char *do_match(struct matcher *m, const char *s, const char *p)
{
	const char *r;

	if (m->depth-- == 0)
		luaL_error(m->L, "pattern too complex");
	r = match_here(m, s, p);
	m->depth++;
	return r;
}

void match_prepare(struct matcher *m, lua_State *L, const char *s, size_t ls,
                   const char *p, size_t lp)
{
	m->L = L;
	m->src = s;
	m->src_end = s + ls;
	m->pat_end = p + lp;
	m->steps = 0;
}

const char *match_at(struct matcher *m, const char *s, const char *p)
{
	m->level = 0;
	m->depth = DEPTH_MAX;
	count_step(m);
	return do_match(m, s, p);
}

/* Pushes capture l; without captures, capture 0 is the whole match. */
void match_push(struct matcher *m, int l, const char *s, const char *e)
{
	ptrdiff_t len;

	if (l >= m->level) {
		if (l != 0)
			luaL_error(m->L, "invalid capture index %%%d", l + 1);
		lua_pushlstring(m->L, s, (size_t)(e - s));
		return;
	}
	len = m->capture[l].len;
	if (len == OPEN)
		luaL_error(m->L, "unfinished capture");
	if (len == POSITION)
		lua_pushinteger(m->L, m->capture[l].at - m->src + 1);
	else
		lua_pushlstring(m->L, m->capture[l].at, (size_t)len);
}

/* s is NULL where the whole match is not wanted. */
int match_push_all(struct matcher *m, const char *s, const char *e)
{
	int n = m->level == 0 && s ? 1 : m->level;

	luaL_checkstack(m->L, n, "too many captures");
	for (int i = 0; i < n; i++)
		match_push(m, i, s, e);
	return n;
}

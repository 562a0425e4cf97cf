/* find, match, gmatch and gsub. Lua's own matcher cannot be stopped: one pattern can run
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
#include <ctype.h>
#include <string.h>

#include "lua/state.h"

enum { CAPTURES_MAX = 32, DEPTH_MAX = 200, CHARGE_EVERY = 1024 };
enum { OPEN = -1, POSITION = -2 }; /* lengths of captures */

struct matcher {
	lua_State *L;
	const char *src, *src_end;
	const char *pat_end;
	int depth;
	int steps; /* not yet charged */
	int level; /* captures so far */
	struct {
		const char *at;
		ptrdiff_t len;
	} capture[CAPTURES_MAX];
};

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
	case 'a':
		r = isalpha(c);
		break;
	case 'c':
		r = iscntrl(c);
		break;
	case 'd':
		r = isdigit(c);
		break;
	case 'g':
		r = isgraph(c);
		break;
	case 'l':
		r = islower(c);
		break;
	case 'p':
		r = ispunct(c);
		break;
	case 's':
		r = isspace(c);
		break;
	case 'u':
		r = isupper(c);
		break;
	case 'w':
		r = isalnum(c);
		break;
	case 'x':
		r = isxdigit(c);
		break;
	default:
		return class == c;
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
	case '.':
		return true;
	case '%':
		return in_class(c, (unsigned char)p[1]);
	case '[':
		return in_set(c, p, end - 1);
	default:
		return (unsigned char)*p == c;
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

	if (m->level >= CAPTURES_MAX)
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
	case '*':
		*s = max_expand(m, *s, start, end);
		return;
	case '-':
		*s = min_expand(m, *s, start, end);
		return;
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

static void prepare(struct matcher *m, lua_State *L, const char *s, size_t ls,
		    const char *p, size_t lp)
{
	m->L = L;
	m->src = s;
	m->src_end = s + ls;
	m->pat_end = p + lp;
	m->steps = 0;
}

static const char *match_at(struct matcher *m, const char *s, const char *p)
{
	m->level = 0;
	m->depth = DEPTH_MAX;
	count_step(m);
	return do_match(m, s, p);
}

/* Pushes capture l; without captures, capture 0 is the whole match. */
static void push_capture(struct matcher *m, int l, const char *s, const char *e)
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
static int push_captures(struct matcher *m, const char *s, const char *e)
{
	int n = m->level == 0 && s ? 1 : m->level;

	luaL_checkstack(m->L, n, "too many captures");
	for (int i = 0; i < n; i++)
		push_capture(m, i, s, e);
	return n;
}

/* memmem without its worst case: charged by what it may cost. */
static const char *find_plain(lua_State *L, const char *s, size_t ls, const char *p,
			      size_t lp)
{
	state_charge(L, (int64_t)(ls / 8));
	return lp == 0 ? s : memmem(s, ls, p, lp);
}

static size_t start_of(lua_Integer pos, size_t len)
{
	if (pos > 0)
		return (size_t)pos;
	if (pos == 0 || pos < -(lua_Integer)len)
		return 1;
	return len + (size_t)pos + 1;
}

static int find_pattern(lua_State *L, bool find, size_t init)
{
	size_t ls, lp;
	const char *s = lua_tolstring(L, 1, &ls), *p = lua_tolstring(L, 2, &lp);
	bool anchored = *p == '^';
	struct matcher m;

	prepare(&m, L, s, ls, p, lp);
	p += anchored;
	for (const char *at = s + init; at <= m.src_end; at++) {
		const char *e = match_at(&m, at, p);

		if (e && find) {
			lua_pushinteger(L, at - s + 1);
			lua_pushinteger(L, e - s);
			return push_captures(&m, NULL, NULL) + 2;
		}
		if (e)
			return push_captures(&m, at, e);
		if (anchored)
			break;
	}
	lua_pushnil(L);
	return 1;
}

static int find_or_match(lua_State *L, bool find)
{
	size_t ls, lp, init;
	const char *s = luaL_checklstring(L, 1, &ls), *p = luaL_checklstring(L, 2, &lp),
		   *hit;

	init = start_of(luaL_optinteger(L, 3, 1), ls) - 1;
	if (init > ls) {
		lua_pushnil(L);
		return 1;
	}
	if (!find || (!lua_toboolean(L, 4) && strcspn(p, "^$*+?.([%-") < lp))
		return find_pattern(L, find, init);
	hit = find_plain(L, s + init, ls - init, p, lp);
	if (!hit) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushinteger(L, hit - s + 1);
	lua_pushinteger(L, hit - s + (ptrdiff_t)lp);
	return 2;
}

/* string.find(s, pattern, init, plain) */
static int l_find(lua_State *L)
{
	return find_or_match(L, true);
}

/* string.match(s, pattern, init) */
static int l_match(lua_State *L)
{
	return find_or_match(L, false);
}

/* gmatch's iterator. Upvalues: the string, the pattern, where to go on, the end of the
 * last match. */
static int gmatch_step(lua_State *L)
{
	size_t ls, lp;
	const char *s = lua_tolstring(L, lua_upvalueindex(1), &ls);
	const char *p = lua_tolstring(L, lua_upvalueindex(2), &lp);
	lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
	struct matcher m;

	prepare(&m, L, s, ls, p, lp);
	for (const char *at = s + lua_tointeger(L, lua_upvalueindex(3)); at <= m.src_end;
	     at++) {
		const char *e = match_at(&m, at, p);

		if (!e || e - s == last)
			continue;
		lua_pushinteger(L, e - s);
		lua_copy(L, -1, lua_upvalueindex(3));
		lua_replace(L, lua_upvalueindex(4));
		return push_captures(&m, at, e);
	}
	return 0;
}

/* string.gmatch(s, pattern, init) */
static int l_gmatch(lua_State *L)
{
	size_t ls, init;

	luaL_checklstring(L, 1, &ls);
	luaL_checkstring(L, 2);
	init = start_of(luaL_optinteger(L, 3, 1), ls) - 1;
	lua_settop(L, 2);
	lua_pushinteger(L, (lua_Integer)(init > ls ? ls + 1 : init));
	lua_pushinteger(L, -1);
	lua_pushcclosure(L, gmatch_step, 4);
	return 1;
}

/* gsub's replacement text, with %0 to %9. */
static void add_text(struct matcher *m, luaL_Buffer *b, const char *s, const char *e)
{
	size_t len;
	const char *text = lua_tolstring(m->L, 3, &len), *end = text + len;

	while (text < end) {
		const char *mark = memchr(text, '%', (size_t)(end - text));

		luaL_addlstring(b, text, (size_t)((mark ? mark : end) - text));
		if (!mark)
			return;
		text = mark + 2;
		if (mark + 1 < end && mark[1] == '%') {
			luaL_addchar(b, '%');
		} else if (mark + 1 < end && mark[1] == '0') {
			luaL_addlstring(b, s, (size_t)(e - s));
		} else if (mark + 1 < end && isdigit((unsigned char)mark[1])) {
			push_capture(m, mark[1] - '1', s, e);
			luaL_tolstring(m->L, -1, NULL);
			lua_remove(m->L, -2);
			luaL_addvalue(b);
		} else {
			luaL_error(m->L, "invalid use of '%%' in replacement string");
		}
	}
}

/* Adds what the table or the function at 3 says. */
static void add_value(struct matcher *m, luaL_Buffer *b, const char *s, const char *e)
{
	lua_State *L = m->L;

	if (lua_type(L, 3) == LUA_TFUNCTION) {
		lua_pushvalue(L, 3);
		lua_call(L, push_captures(m, s, e), 1);
	} else {
		push_capture(m, 0, s, e);
		lua_gettable(L, 3);
	}
	if (!lua_toboolean(L, -1)) {
		lua_pop(L, 1);
		luaL_addlstring(b, s, (size_t)(e - s));
	} else if (!lua_isstring(L, -1)) {
		luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
	} else {
		luaL_addvalue(b);
	}
}

/* string.gsub(s, pattern, replacement, n) -> text, count */
static int l_gsub(lua_State *L)
{
	size_t ls, lp;
	const char *s = luaL_checklstring(L, 1, &ls), *p = luaL_checklstring(L, 2, &lp);
	const char *last = NULL;
	int type = lua_type(L, 3);
	lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)ls + 1), n = 0;
	bool anchored = *p == '^', is_text = type == LUA_TNUMBER || type == LUA_TSTRING;
	struct matcher m;
	luaL_Buffer b;

	luaL_argexpected(L, is_text || type == LUA_TFUNCTION || type == LUA_TTABLE, 3,
			 "string/function/table");
	prepare(&m, L, s, ls, p, lp);
	p += anchored;
	luaL_buffinit(L, &b);
	while (n < most) {
		const char *e = match_at(&m, s, p);

		if (e && e != last) {
			n++;
			(is_text ? add_text : add_value)(&m, &b, s, e);
			s = last = e;
		} else if (s < m.src_end) {
			luaL_addchar(&b, *s++);
		} else {
			break;
		}
		if (anchored)
			break;
	}
	luaL_addlstring(&b, s, (size_t)(m.src_end - s));
	luaL_pushresult(&b);
	lua_pushinteger(L, n);
	return 2;
}

int lib_match(lua_State *L)
{
	static const luaL_Reg own[] = {
		{ "find", l_find },   { "gmatch", l_gmatch }, { "gsub", l_gsub },
		{ "match", l_match }, { NULL, NULL },
	};

	luaL_newlib(L, own);
	return 1;
}

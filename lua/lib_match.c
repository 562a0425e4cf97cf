/* find, match, gmatch and gsub over our own matcher; what they do follows lstrlib.c of
 * Lua 5.4, whose notice is in match.c. */
#include <ctype.h>
#include <string.h>

#include "lua/match.h"
#include "lua/state.h"

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

	match_prepare(&m, L, s, ls, p, lp);
	p += anchored;
	for (const char *at = s + init; at <= m.src_end; at++) {
		const char *e = match_at(&m, at, p);

		if (e && find) {
			lua_pushinteger(L, at - s + 1);
			lua_pushinteger(L, e - s);
			return match_push_all(&m, NULL, NULL) + 2;
		}
		if (e)
			return match_push_all(&m, at, e);
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

	match_prepare(&m, L, s, ls, p, lp);
	for (const char *at = s + lua_tointeger(L, lua_upvalueindex(3)); at <= m.src_end;
	     at++) {
		const char *e = match_at(&m, at, p);

		if (!e || e - s == last)
			continue;
		lua_pushinteger(L, e - s);
		lua_copy(L, -1, lua_upvalueindex(3));
		lua_replace(L, lua_upvalueindex(4));
		return match_push_all(&m, at, e);
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
			match_push(m, mark[1] - '1', s, e);
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
		lua_call(L, match_push_all(m, s, e), 1);
	} else {
		match_push(m, 0, s, e);
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
	match_prepare(&m, L, s, ls, p, lp);
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

/* What the library does with each table that a recipe gives it. */
#include <string.h>

#include "lua/bind.h"

/* The value on top is what a list may hold: no list itself, as tables with the metatable
 * at 3 are not. */
static bool is_item(lua_State *L)
{
	bool is = true;

	if (lua_istable(L, -1)) {
		is = lua_getmetatable(L, -1);
		if (is) {
			is = lua_rawequal(L, -1, 3);
			lua_pop(L, 1);
		}
	}
	return is;
}

/* Copies body[1 … n] without what is false to the table on top. */
static bool take_items(lua_State *L, lua_Integer n)
{
	lua_Integer taken = 0;

	for (lua_Integer i = 1; i <= n; i++) {
		lua_rawgeti(L, 1, i);
		if (lua_isnil(L, -1) || !is_item(L))
			return false;
		if (lua_toboolean(L, -1))
			lua_rawseti(L, -2, ++taken);
		else
			lua_pop(L, 1);
	}
	return true;
}

/* split(body, spec, metatable) -> options, items: what has a name, each of which is in
 * `spec`, and the entries of the list. Nothing if the body is not so plain: has unknown
 * names, holes, or lists in it. */
static int l_split(lua_State *L)
{
	enum { MOST_FIELDS = 8 }; /* that the record of a target or step comes to */
	lua_Integer n;

	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 3);
	n = (lua_Integer)lua_rawlen(L, 1);
	state_charge(L, n);
	lua_createtable(L, 0, MOST_FIELDS);
	lua_createtable(L, (int)n, 0);
	if (!take_items(L, n))
		return 0;
	for (lua_pushnil(L); lua_next(L, 1);) {
		if (lua_type(L, -2) == LUA_TSTRING) {
			lua_pushvalue(L, -2);
			if (lua_rawget(L, 2) == LUA_TNIL)
				return 0;
			lua_pop(L, 1);
			lua_pushvalue(L, -2);
			lua_insert(L, -2);
			lua_rawset(L, 4);
		} else if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1 &&
		           lua_tointeger(L, -2) <= n) {
			lua_pop(L, 1);
		} else {
			return 0;
		}
	}
	return 2;
}

/* A string, without NUL in it. */
static bool is_text(lua_State *L, int i)
{
	size_t n;
	const char *s;

	if (lua_type(L, i) != LUA_TSTRING)
		return false;
	s = lua_tolstring(L, i, &n);
	return !memchr(s, '\0', n);
}

/* copy_texts(t) -> a table of the same strings by name; nil if anything in it is another
 * thing, or a name is empty. */
static int l_copy_texts(lua_State *L)
{
	int n = 0;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1), n++)
		if (!is_text(L, -2) || !is_text(L, -1) || !*lua_tostring(L, -2))
			return 0;
	state_charge(L, n);
	lua_createtable(L, 0, n);
	for (lua_pushnil(L); lua_next(L, 1);) {
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, 2);
	}
	return 1;
}

/* key_with(t, c) -> the first key, in their order, that the character is in; nil if it is
 * in none. All keys are strings. */
static int l_key_with(lua_State *L)
{
	const char *c = luaL_checkstring(L, 2), *key, *first = NULL;
	int n = 0;

	luaL_checktype(L, 1, LUA_TTABLE);
	for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1), n++) {
		key = lua_tostring(L, -2);
		if (strchr(key, *c) && (!first || strcmp(key, first) < 0))
			first = key;
	}
	state_charge(L, n);
	lua_pushstring(L, first);
	return 1;
}

/* blank(metatable) -> an empty table that has it */
static int l_blank(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_newtable(L);
	lua_insert(L, 1);
	lua_setmetatable(L, 1);
	return 1;
}

int bind_table(lua_State *L)
{
	static const luaL_Reg own[] = {
		{ "blank", l_blank },
		{ "copy_texts", l_copy_texts },
		{ "key_with", l_key_with },
		{ "split", l_split },
		{ NULL, NULL },
	};

	luaL_setfuncs(L, own, 0);
	return 0;
}

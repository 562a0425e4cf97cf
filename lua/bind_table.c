/* What the library does with each table that a recipe gives it. */
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

int bind_table(lua_State *L)
{
	lua_pushcfunction(L, l_split);
	lua_setfield(L, -2, "split");
	return 0;
}

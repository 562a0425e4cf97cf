/* The table library: Lua's, behind a look at how far each call would loop; and a sort
 * whose result does not depend on the clock, as Lua's choice of pivots does. */
#include <lualib.h>

#include "lua/state.h"

/* The length of the plain table at 1: `__len` could say anything, and another thing the
 * next time. */
static lua_Integer plain_length(lua_State *L, const char *who)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	if (luaL_getmetafield(L, 1, "__len") != LUA_TNIL)
		luaL_error(L, "%s: tables with '__len' are not supported", who);
	return (lua_Integer)lua_rawlen(L, 1);
}

static int call_original(lua_State *L, int results)
{
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, results);
	return lua_gettop(L);
}

static void charge_range(lua_State *L, lua_Integer from, lua_Integer to)
{
	if (to >= from)
		state_charge(L, (lua_Integer)((lua_Unsigned)to - (lua_Unsigned)from));
}

/* table.insert(t, [pos,] v) */
static int l_insert(lua_State *L)
{
	lua_Integer n = plain_length(L, "table.insert");

	if (lua_gettop(L) > 2)
		charge_range(L, luaL_checkinteger(L, 2), n);
	return call_original(L, 0);
}

/* table.remove(t [, pos]) -> removed */
static int l_remove(lua_State *L)
{
	lua_Integer n = plain_length(L, "table.remove");

	charge_range(L, luaL_optinteger(L, 2, n), n);
	return call_original(L, 1);
}

/* table.concat(t [, sep [, i [, j]]]) */
static int l_concat(lua_State *L)
{
	lua_Integer n = plain_length(L, "table.concat");

	charge_range(L, luaL_optinteger(L, 3, 1), luaL_optinteger(L, 4, n));
	return call_original(L, 1);
}

/* table.unpack(t [, i [, j]]) */
static int l_unpack(lua_State *L)
{
	lua_Integer n = plain_length(L, "table.unpack");

	charge_range(L, luaL_optinteger(L, 2, 1), luaL_optinteger(L, 3, n));
	return call_original(L, LUA_MULTRET);
}

/* table.move(a, f, e, t [, b]) */
static int l_move(lua_State *L)
{
	charge_range(L, luaL_checkinteger(L, 2), luaL_checkinteger(L, 3));
	return call_original(L, 1);
}

/* sort: 1 the list, 2 the comparison or nil, 3 the list being written. */

static bool less(lua_State *L, int a, int b)
{
	bool r;

	state_charge(L, 1);
	if (lua_isnil(L, 2))
		return lua_compare(L, a, b, LUA_OPLT);
	lua_pushvalue(L, 2);
	lua_pushvalue(L, a < 0 ? a - 1 : a);
	lua_pushvalue(L, b < 0 ? b - 2 : b);
	lua_call(L, 2, 1);
	r = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return r;
}

/* Merges [lo, mid) and [mid, hi) of the list at `from` into the list at `to`; the left
 * one wins ties. */
static void merge(lua_State *L, int from, int to, lua_Integer lo, lua_Integer mid,
                  lua_Integer hi)
{
	lua_Integer i = lo, j = mid;

	for (lua_Integer k = lo; k < hi; k++) {
		bool right = i >= mid;

		if (i < mid && j < hi) {
			lua_rawgeti(L, from, j);
			lua_rawgeti(L, from, i);
			right = less(L, -2, -1);
			lua_pop(L, 2);
		}
		lua_rawgeti(L, from, right ? j++ : i++);
		lua_rawseti(L, to, k);
	}
}

/* table.sort(t [, less]): a stable merge sort. */
static int l_sort(lua_State *L)
{
	lua_Integer n = plain_length(L, "table.sort");
	int from = 1, to = 3;

	if (!lua_isnoneornil(L, 2))
		luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	lua_createtable(L, (int)n, 0);
	for (lua_Integer width = 1; width < n; width *= 2) {
		for (lua_Integer lo = 1; lo <= n; lo += 2 * width) {
			lua_Integer mid = lo + width, hi = lo + 2 * width;

			merge(L, from, to, lo, mid < n + 1 ? mid : n + 1,
			      hi < n + 1 ? hi : n + 1);
		}
		from ^= 1 ^ 3;
		to ^= 1 ^ 3;
	}
	for (lua_Integer i = 1; from == 3 && i <= n; i++) {
		lua_rawgeti(L, 3, i);
		lua_rawseti(L, 1, i);
	}
	return 0;
}

int lib_table(lua_State *L)
{
	static const luaL_Reg wrapped[] = {
		{ "concat", l_concat }, { "insert", l_insert }, { "move", l_move },
		{ "remove", l_remove }, { "unpack", l_unpack },
	};

	luaL_requiref(L, "table", luaopen_table, 0);
	lua_newtable(L);
	for (size_t i = 0; i < ARRAY_LEN(wrapped); i++) {
		lua_getfield(L, -2, wrapped[i].name);
		lua_pushcclosure(L, wrapped[i].func, 1);
		lua_setfield(L, -2, wrapped[i].name);
	}
	lua_getfield(L, -2, "pack");
	lua_setfield(L, -2, "pack");
	lua_pushcfunction(L, l_sort);
	lua_setfield(L, -2, "sort");
	lua_remove(L, -2);
	return 1;
}

/* The basic functions, where Lua's own would show addresses or an order that changes from
 * run to run, or would let a recipe catch a cap. */
#include <lualib.h>
#include <math.h>
#include <string.h>

#include "base/amount.h"
#include "lua/state.h"

/* tostring(v) -> string; no addresses. */
const char *base_tostring(lua_State *L, int i)
{
	char text[INT_TEXT];

	i = lua_absindex(L, i);
	if (luaL_callmeta(L, i, "__tostring")) {
		if (lua_type(L, -1) != LUA_TSTRING)
			luaL_error(L, "'__tostring' must return a string");
		return lua_tostring(L, -1);
	}
	switch (lua_type(L, i)) {
	case LUA_TNUMBER:
		if (lua_isinteger(L, i))
			return lua_pushstring(L, int_text(lua_tointeger(L, i), text));
		return luaL_tolstring(L, i, NULL);
	case LUA_TSTRING:
	case LUA_TBOOLEAN:
	case LUA_TNIL: return luaL_tolstring(L, i, NULL);
	default: return lua_pushstring(L, luaL_typename(L, i));
	}
}

static int l_tostring(lua_State *L)
{
	luaL_checkany(L, 1);
	base_tostring(L, 1);
	return 1;
}

/* print(...): shown once evaluation is over. */
static int l_print(lua_State *L)
{
	struct eval *ev = eval_of(L);
	int n = lua_gettop(L);
	luaL_Buffer b;

	luaL_buffinit(L, &b);
	for (int i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addchar(&b, '\t');
		base_tostring(L, i);
		luaL_addvalue(&b);
	}
	luaL_addchar(&b, '\n');
	luaL_pushresult(&b);
	state_account(L, lua_rawlen(L, -1) + 64);
	strlist_add(&ev->printed, lua_tostring(L, -1));
	return 0;
}

/* error(message, level): the position is that of the user's code, at `level` or further
 * out. */
static int l_error(lua_State *L)
{
	int level = (int)luaL_optinteger(L, 2, 1);

	lua_settop(L, 1);
	if (lua_type(L, 1) != LUA_TSTRING)
		return lua_error(L);
	if (level > 0) {
		struct place p = place_find(L, level);

		if (p.file)
			lua_pushfstring(L, PLACE_FMT "%s", PLACE_ARG(p),
			                lua_tostring(L, 1));
	}
	return place_raise(L);
}

/* assert(v, message, ...) -> v, message, ... */
static int l_assert(lua_State *L)
{
	if (lua_toboolean(L, 1))
		return lua_gettop(L);
	luaL_checkany(L, 1);
	lua_remove(L, 1);
	lua_pushliteral(L, "assertion failed!");
	lua_settop(L, 1);
	return lua_type(L, 1) == LUA_TSTRING ? place_raise(L) : lua_error(L);
}

/* pcall(f, ...) -> true, ... | false, message.  Caps pass through. */
static int l_pcall(lua_State *L)
{
	int status;

	luaL_checkany(L, 1);
	lua_pushcfunction(L, place_handler);
	lua_insert(L, 1);
	status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 1);
	if (stop_reached(L, status))
		return lua_error(L);
	lua_pushboolean(L, status == LUA_OK);
	lua_replace(L, 1);
	return lua_gettop(L);
}

/* setmetatable(t, mt) -> t.  No finalizers, no weak tables: both would show when memory
 * is collected, and hooks do not reach into finalizers. */
static int l_setmetatable(lua_State *L)
{
	static const char *const refused[] = { "__gc", "__mode" };
	int type = lua_type(L, 2);

	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
	if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
		return luaL_error(L, "cannot change a protected metatable");
	for (size_t i = 0; type == LUA_TTABLE && i < ARRAY_LEN(refused); i++) {
		lua_pushstring(L, refused[i]);
		if (lua_rawget(L, 2) != LUA_TNIL)
			return luaL_error(
				L, "setmetatable: '%s' is not available in recipes",
				refused[i]);
		lua_pop(L, 1);
	}
	lua_settop(L, 2);
	lua_setmetatable(L, 1);
	return 1;
}

/* A table's key, ready to be ordered: numbers, then strings bytewise, then false and
 * true. */
struct key {
	enum { KEY_NUMBER, KEY_STRING, KEY_BOOLEAN, KEY_OTHER } rank;
	lua_Number number;
	lua_Integer integer;
	const char *s; /* borrowed from the table */
	size_t len;
	lua_Integer at; /* in the unsorted list */
};

static struct key key_of(lua_State *L, int i)
{
	struct key k = { .rank = KEY_OTHER };

	switch (lua_type(L, i)) {
	case LUA_TNUMBER:
		k.rank = KEY_NUMBER;
		k.number = lua_tonumber(L, i);
		k.integer = lua_isinteger(L, i) ? lua_tointeger(L, i) : 0;
		break;
	case LUA_TSTRING:
		k.rank = KEY_STRING;
		k.s = lua_tolstring(L, i, &k.len);
		break;
	case LUA_TBOOLEAN:
		k.rank = KEY_BOOLEAN;
		k.integer = lua_toboolean(L, i);
		break;
	default: break;
	}
	return k;
}

static int key_compare(const void *pa, const void *pb)
{
	const struct key *a = pa, *b = pb;
	int c;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->rank == KEY_STRING) {
		c = memcmp(a->s, b->s, a->len < b->len ? a->len : b->len);
		if (c)
			return c;
		return (a->len > b->len) - (a->len < b->len);
	}
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return (a->integer > b->integer) - (a->integer < b->integer);
}

/* Few keys stand on the stack, many in a list. */
enum { FEW = 200 };

static int count_keys(lua_State *L, int t)
{
	int n = 0;

	for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1))
		n++;
	return n;
}

static void refuse_unordered(lua_State *L)
{
	luaL_error(L, "pairs: several keys are tables or functions, which have no order; "
	              "use a list");
}

static void sort_keys(struct key *keys, int n)
{
	for (int i = 1; i < n; i++)
		if (key_compare(&keys[i - 1], &keys[i]) > 0) {
			qsort(keys, (size_t)n, sizeof(*keys), key_compare);
			return;
		}
}

/* Pushes the n keys of the table at `t`, in order. */
static void push_few(lua_State *L, int t, int n)
{
	struct key keys[FEW];
	int first, others = 0, i = 0;

	luaL_checkstack(L, 2 * n + 4, "pairs");
	first = lua_gettop(L) + 1;
	for (lua_pushnil(L); lua_next(L, t); i++) {
		lua_pop(L, 1);
		keys[i] = key_of(L, -1);
		keys[i].at = lua_gettop(L);
		others += keys[i].rank == KEY_OTHER;
		lua_pushvalue(L, -1);
	}
	if (others > 1)
		refuse_unordered(L);
	sort_keys(keys, i); /* as many as there are, n */
	for (int k = 0; k < i; k++)
		lua_pushvalue(L, (int)keys[k].at);
	lua_rotate(L, first, n);
	lua_settop(L, first + n - 1);
}

/* Pushes a list of the n keys of the table at `t`, in order. */
static void push_keys(lua_State *L, int t, lua_Integer n)
{
	lua_Integer others = 0, i = 0;
	struct key *keys;

	lua_createtable(L, (int)n, 0);
	lua_createtable(L, (int)n, 0);
	keys = lua_newuserdatauv(L, (size_t)n * sizeof(*keys) + 1, 0);
	for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1), i++) {
		keys[i] = key_of(L, -2);
		keys[i].at = i + 1;
		others += keys[i].rank == KEY_OTHER;
		lua_pushvalue(L, -2);
		lua_rawseti(L, -5, i + 1);
	}
	if (others > 1)
		refuse_unordered(L);
	sort_keys(keys, (int)n);
	for (i = 0; i < n; i++) {
		lua_rawgeti(L, -2, keys[i].at);
		lua_rawseti(L, -4, i + 1);
	}
	lua_pop(L, 2);
}

static void remember(lua_State *L, lua_Integer i)
{
	lua_pushinteger(L, i);
	lua_replace(L, lua_upvalueindex(1));
}

/* Iterators: the first upvalue is the last position; then come the keys, or a list of
 * them. Keys removed meanwhile are skipped. */
static int step_few(lua_State *L)
{
	lua_Integer i = lua_tointeger(L, lua_upvalueindex(1));

	luaL_checktype(L, 1, LUA_TTABLE);
	for (;;) {
		lua_pushvalue(L, lua_upvalueindex((int)++i + 1));
		if (lua_isnil(L, -1)) /* behind the last key */
			return 1;
		lua_pushvalue(L, -1);
		if (lua_rawget(L, 1) != LUA_TNIL)
			break;
		lua_pop(L, 2);
	}
	remember(L, i);
	return 2;
}

static int step_many(lua_State *L)
{
	lua_Integer i = lua_tointeger(L, lua_upvalueindex(1));

	luaL_checktype(L, 1, LUA_TTABLE);
	for (;;) {
		if (lua_rawgeti(L, lua_upvalueindex(2), ++i) == LUA_TNIL)
			return 1;
		lua_pushvalue(L, -1);
		if (lua_rawget(L, 1) != LUA_TNIL)
			break;
		lua_pop(L, 2);
	}
	remember(L, i);
	return 2;
}

/* next(t, key) -> key, value: the smallest key after `key`. Takes a look at every key. */
static int l_next(lua_State *L)
{
	struct key after, best = { .rank = KEY_OTHER }, k;
	bool first, found = false;
	lua_Integer n = 0;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 2);
	first = lua_isnil(L, 2);
	after = key_of(L, 2);
	lua_pushnil(L); /* 3: the best key so far */
	for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1), n++) {
		k = key_of(L, -2);
		if (!first && key_compare(&k, &after) <= 0)
			continue;
		if (found && key_compare(&k, &best) >= 0)
			continue;
		found = true;
		best = k;
		lua_pushvalue(L, -2);
		lua_replace(L, 3);
	}
	state_charge(L, n);
	if (!found)
		return 0;
	lua_settop(L, 3);
	lua_pushvalue(L, 3);
	lua_rawget(L, 1);
	return 2;
}

/* Of a table that had one key or none. */
static int step_one(lua_State *L)
{
	return lua_isnoneornil(L, 2) ? l_next(L) : 0;
}

static int raw_pairs(lua_State *L)
{
	int n;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	n = count_keys(L, 1);
	state_charge(L, n);
	if (n <= 1) {
		lua_pushcfunction(L, step_one);
		lua_insert(L, 1);
		return 2;
	}
	lua_pushinteger(L, 0);
	if (n <= FEW) {
		push_few(L, 1, n);
		lua_pushnil(L);
		lua_pushcclosure(L, step_few, n + 2);
	} else {
		push_keys(L, 1, n);
		lua_pushcclosure(L, step_many, 2);
	}
	lua_insert(L, 1);
	return 2;
}

/* pairs(t) -> iterator, t, in order of the keys. */
static int l_pairs(lua_State *L)
{
	luaL_checkany(L, 1);
	if (luaL_getmetafield(L, 1, "__pairs") == LUA_TNIL)
		return raw_pairs(L);
	lua_pushvalue(L, 1);
	lua_call(L, 1, 3);
	return 3;
}

int lib_base(lua_State *L)
{
	static const luaL_Reg own[] = {
		{ "assert", l_assert },     { "error", l_error },
		{ "next", l_next },         { "pairs", l_pairs },
		{ "pcall", l_pcall },       { "print", l_print },
		{ "rawpairs", raw_pairs },  { "setmetatable", l_setmetatable },
		{ "tostring", l_tostring }, { NULL, NULL },
	};
	static const char *const kept[] = { "ipairs", "select", "tonumber", "type" };

	luaL_requiref(L, "_G", luaopen_base, 0);
	lua_newtable(L);
	luaL_setfuncs(L, own, 0);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		lua_getfield(L, -2, kept[i]);
		lua_setfield(L, -2, kept[i]);
	}
	lua_remove(L, -2);
	return 1;
}

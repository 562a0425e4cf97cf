/* Pure functions on text: paths, names of images, JSON. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mode.h"
#include "image/descriptor.h"
#include "image/reference.h"
#include "lua/bind.h"

static const char json_array_type[] = "imgmake.json.array";

/* path_clean(path) -> path */
static int l_path_clean(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	struct buf *b = anchor_buf(L);

	path_clean(b, path);
	lua_pushlstring(L, b->s, b->len);
	buf_fini(b);
	return 1;
}

/* path_join(base, path) -> path */
static int l_path_join(lua_State *L)
{
	const char *base = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 2);
	struct buf *b = anchor_buf(L);

	path_join(b, base, path);
	lua_pushlstring(L, b->s, b->len);
	buf_fini(b);
	return 1;
}

/* change_mode(text, mode, is_dir) -> what chmod(1) makes of it, or nil */
static int l_change_mode(lua_State *L)
{
	uint32_t mode = (uint32_t)luaL_checkinteger(L, 2) & 07777;

	if (mode_change(luaL_checkstring(L, 1), mode, lua_toboolean(L, 3), &mode) < 0)
		lua_pushnil(L);
	else
		lua_pushinteger(L, mode);
	return 1;
}

static int complain(lua_State *L, const struct err *e)
{
	lua_pushnil(L);
	lua_pushstring(L, e->msg);
	return 2;
}

/* reference(text), repository(text), platform(text) -> normal form, or nil, message */
static int l_reference(lua_State *L)
{
	struct reference r;
	struct err e;

	if (reference_parse(&r, luaL_checkstring(L, 1), &e) < 0)
		return complain(L, &e);
	lua_pushvalue(L, 1);
	return 1;
}

static int l_repository(lua_State *L)
{
	struct reference r;
	struct err e;

	if (reference_parse_repo(&r, luaL_checkstring(L, 1), &e) < 0)
		return complain(L, &e);
	lua_pushfstring(L, "%s/%s", r.host, r.repo);
	return 1;
}

static int l_platform(lua_State *L)
{
	struct platform p;
	char text[100];
	struct err e;

	if (platform_parse(&p, luaL_checkstring(L, 1), &e) < 0)
		return complain(L, &e);
	lua_pushstring(L, platform_text(&p, text));
	return 1;
}

static int l_tag_valid(lua_State *L)
{
	lua_pushboolean(L, reference_tag_valid(luaL_checkstring(L, 1)));
	return 1;
}

struct json_box {
	json_t *json;
};

static void free_json(void *self)
{
	json_decref(((struct json_box *)self)->json);
}

static struct json_box *anchor_json(lua_State *L)
{
	return anchor(L, sizeof(struct json_box), "imgmake.json", free_json);
}

static void set_array_type(lua_State *L)
{
	if (luaL_newmetatable(L, json_array_type)) {
		lua_pushboolean(L, 0);
		lua_setfield(L, -2, "__metatable");
	}
	lua_setmetatable(L, -2);
}

static void push_json(lua_State *L, json_t *j);

static void push_array(lua_State *L, json_t *j)
{
	size_t n = json_array_size(j);

	lua_createtable(L, (int)n, 0);
	for (size_t i = 0; i < n; i++) {
		push_json(L, json_array_get(j, i));
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	set_array_type(L);
}

static void push_object(lua_State *L, json_t *j)
{
	const char *key;
	json_t *value;

	lua_createtable(L, 0, (int)json_object_size(j));
	json_object_foreach(j, key, value)
	{
		push_json(L, value);
		lua_setfield(L, -2, key);
	}
}

/* Nested as deep as json_read allows. */
static void push_json(lua_State *L, json_t *j)
{
	luaL_checkstack(L, 4, "JSON");
	switch (json_typeof(j)) {
	case JSON_OBJECT: push_object(L, j); break;
	case JSON_ARRAY: push_array(L, j); break;
	case JSON_STRING:
		lua_pushlstring(L, json_string_value(j), json_string_length(j));
		break;
	case JSON_INTEGER: lua_pushinteger(L, json_integer_value(j)); break;
	case JSON_REAL: lua_pushnumber(L, json_real_value(j)); break;
	case JSON_TRUE:
	case JSON_FALSE: lua_pushboolean(L, json_is_true(j)); break;
	case JSON_NULL: lua_pushlightuserdata(L, NULL); break;
	}
}

enum { JSON_TEXT_MAX = 4 << 20 };

/* json_decode(text) -> value, or nil, message.  null is json_null; arrays remember that
 * they are. */
static int l_json_decode(lua_State *L)
{
	size_t n;
	const char *text = luaL_checklstring(L, 1, &n);
	struct json_box *box = anchor_json(L);
	struct err e;

	if (n > JSON_TEXT_MAX)
		return luaL_error(L, "JSON larger than %d MiB", JSON_TEXT_MAX >> 20);
	state_charge(L, (int64_t)n);
	if (json_read(&box->json, text, n, &e) < 0)
		return complain(L, &e);
	push_json(L, box->json);
	json_decref(box->json);
	box->json = NULL;
	return 1;
}

/* json_array(t) -> t, which is written as [] even when it is empty */
static int l_json_array(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
		return luaL_error(L, "json.array: the table has a protected metatable");
	lua_settop(L, 1);
	set_array_type(L);
	return 1;
}

static bool is_array(lua_State *L, int t)
{
	bool typed;

	if (!lua_getmetatable(L, t))
		return lua_rawlen(L, t) > 0;
	luaL_getmetatable(L, json_array_type);
	typed = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return typed || lua_rawlen(L, t) > 0;
}

/* The text is outside Lua's heap, so that it has the same bound as a string in it. */
static void check_size(lua_State *L, const struct buf *out)
{
	state_charge(L, 32);
	if (out->len > eval_of(L)->limits.string)
		luaL_error(L, "json.encode: the text is too large");
}

static void encode_string(lua_State *L, int i, struct buf *out)
{
	size_t n;
	const char *s = lua_tolstring(L, i, &n);
	json_t *j = json_stringn(s, n); /* checks UTF-8 */

	if (!j) {
		luaL_error(L, "json.encode: a string is not valid UTF-8");
		return;
	}
	json_write(out, j);
	json_decref(j);
}

static void encode_number(lua_State *L, int i, struct buf *out)
{
	lua_Number v = lua_tonumber(L, i);
	char text[40];

	if (lua_isinteger(L, i)) {
		buf_addf(out, "%lld", (long long)lua_tointeger(L, i));
		return;
	}
	if (!isfinite(v))
		luaL_error(L, "json.encode: a number is not finite");
	snprintf(text, sizeof(text), "%.17g", v);
	buf_adds(out, text);
	if (!strpbrk(text, ".e"))
		buf_adds(out, ".0");
}

static void encode(lua_State *L, int i, struct buf *out, int depth);

static void encode_array(lua_State *L, int t, struct buf *out, int depth)
{
	lua_Integer n = (lua_Integer)lua_rawlen(L, t), entries = 0;

	for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1))
		entries++;
	if (entries != n)
		luaL_error(L,
		           "json.encode: a list has holes, or names beside its values");
	state_charge(L, n);
	buf_addc(out, '[');
	for (lua_Integer i = 1; i <= n; i++) {
		if (i > 1)
			buf_addc(out, ',');
		lua_rawgeti(L, t, i);
		encode(L, lua_gettop(L), out, depth);
		lua_pop(L, 1);
	}
	buf_addc(out, ']');
}

/* Upvalue 1 is pairs without metamethods: keys come sorted. */
static void encode_object(lua_State *L, int t, struct buf *out, int depth)
{
	bool first = true;

	lua_pushvalue(L, lua_upvalueindex(1));
	lua_pushvalue(L, t);
	lua_call(L, 1, 1);
	buf_addc(out, '{');
	lua_pushnil(L); /* the key before */
	for (;;) {
		lua_pushvalue(L, -2);
		lua_pushvalue(L, t);
		lua_pushvalue(L, -3);
		lua_call(L, 2, 2);
		lua_remove(L, -3);
		if (lua_isnil(L, -2))
			break;
		if (lua_type(L, -2) != LUA_TSTRING)
			luaL_error(L, "json.encode: a key is a %s", luaL_typename(L, -2));
		if (!first)
			buf_addc(out, ',');
		first = false;
		encode_string(L, -2, out);
		buf_addc(out, ':');
		encode(L, lua_gettop(L), out, depth);
		lua_pop(L, 1);
	}
	lua_pop(L, 3);
	buf_addc(out, '}');
}

static void encode(lua_State *L, int i, struct buf *out, int depth)
{
	check_size(L, out);
	luaL_checkstack(L, 10, "JSON");
	switch (lua_type(L, i)) {
	case LUA_TTABLE:
		if (depth >= JSON_DEPTH_MAX)
			luaL_error(L, "json.encode: nested deeper than %d",
			           JSON_DEPTH_MAX);
		if (is_array(L, i))
			encode_array(L, i, out, depth + 1);
		else
			encode_object(L, i, out, depth + 1);
		break;
	case LUA_TSTRING: encode_string(L, i, out); break;
	case LUA_TNUMBER: encode_number(L, i, out); break;
	case LUA_TBOOLEAN: buf_adds(out, lua_toboolean(L, i) ? "true" : "false"); break;
	case LUA_TNIL:
	case LUA_TLIGHTUSERDATA: buf_adds(out, "null"); break;
	default: luaL_error(L, "json.encode: a %s has no JSON", luaL_typename(L, i));
	}
}

/* json_encode(value) -> compact text, keys sorted */
static int l_json_encode(lua_State *L)
{
	struct buf *out;

	luaL_checkany(L, 1);
	out = anchor_buf(L);
	encode(L, 1, out, 0);
	lua_pushlstring(L, out->s, out->len);
	buf_fini(out);
	return 1;
}

int bind_text(lua_State *L)
{
	static const luaL_Reg own[] = {
		{ "change_mode", l_change_mode }, { "json_array", l_json_array },
		{ "json_decode", l_json_decode }, { "path_clean", l_path_clean },
		{ "path_join", l_path_join },     { "platform", l_platform },
		{ "reference", l_reference },     { "repository", l_repository },
		{ "tag_valid", l_tag_valid },     { NULL, NULL },
	};

	luaL_setfuncs(L, own, 0);
	lua_pushlightuserdata(L, NULL);
	lua_setfield(L, -2, "json_null");
	lib_base(L);
	lua_getfield(L, -1, "rawpairs");
	lua_remove(L, -2);
	lua_pushcclosure(L, l_json_encode, 1);
	lua_setfield(L, -2, "json_encode");
	return 0;
}

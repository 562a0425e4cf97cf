/* The string library: Lua's, with the functions replaced that show addresses, or that can
 * run long without an instruction being counted. */
#include <lualib.h>
#include <string.h>

#include "lua/state.h"

/* s, sep, s, sep, … up to `total` bytes: what is there is copied behind itself. */
static void fill(char *out, size_t total, const char *s, size_t len, const char *sep,
                 size_t sep_len)
{
	size_t done = len;

	memcpy(out, s, len);
	if (done < total) {
		memcpy(out + len, sep, sep_len);
		done += sep_len;
	}
	while (done < total) {
		size_t more = done < total - done ? done : total - done;

		memcpy(out + done, out, more);
		done += more;
	}
}

/* string.rep(s, n, sep) */
static int l_rep(lua_State *L)
{
	size_t len, sep_len, total, limit = eval_of(L)->limits.string;
	const char *s = luaL_checklstring(L, 1, &len);
	lua_Integer n = luaL_checkinteger(L, 2);
	const char *sep = luaL_optlstring(L, 3, "", &sep_len);
	luaL_Buffer b;

	if (n <= 0 || len + sep_len == 0) {
		lua_pushliteral(L, "");
		return 1;
	}
	if ((size_t)n > limit / (len + sep_len))
		return luaL_error(L, "string.rep: the result would be larger than %d MiB",
		                  (int)(limit >> 20));
	total = (size_t)n * (len + sep_len) - sep_len;
	state_charge(L, (int64_t)(total / 64));
	fill(luaL_buffinitsize(L, &b, total), total, s, len, sep, sep_len);
	luaL_pushresultsize(&b, total);
	return 1;
}

/* string.format(format, ...): `%p` is refused, and `%s` shows no address. The original is
 * upvalue 1. */
static int l_format(lua_State *L)
{
	const char *s = luaL_checkstring(L, 1);
	int n = lua_gettop(L), arg = 1;

	for (; *s; s++) {
		if (*s != '%')
			continue;
		if (*++s == '%')
			continue;
		s += strspn(s, "-+ #0123456789.");
		if (++arg > n || !*s)
			break; /* the original says what is wrong */
		if (*s == 'p')
			return luaL_error(
				L, "string.format: '%%p' is not available in recipes");
		if (*s == 's') {
			base_tostring(L, arg);
			lua_replace(L, arg);
		}
	}
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, n, 1);
	return 1;
}

int lib_string(lua_State *L)
{
	static const char *const kept[] = {
		"byte",     "char",    "len", "lower",  "pack",
		"packsize", "reverse", "sub", "unpack", "upper",
	};

	luaL_requiref(L, "string", luaopen_string, 0);
	lib_match(L);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		lua_getfield(L, -2, kept[i]);
		lua_setfield(L, -2, kept[i]);
	}
	lua_pushcfunction(L, l_rep);
	lua_setfield(L, -2, "rep");
	lua_getfield(L, -2, "format");
	lua_pushcclosure(L, l_format, 1);
	lua_setfield(L, -2, "format");
	lua_remove(L, -2);

	/* ("x"):len() finds this table, not Lua's; recipes are given copies of it. */
	lua_pushliteral(L, "");
	lua_newtable(L);
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
	lua_pop(L, 1);
	return 1;
}

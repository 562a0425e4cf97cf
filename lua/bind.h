#ifndef LUA_BIND_H
#define LUA_BIND_H

/* The primitives that C gives to the standard library, all in one table,
 * `imgmake.engine`. Policy is not here: what options there are, and what they mean, is
 * Lua. */
#include "base/path.h"
#include "lua/state.h"

/* Remembers, once per name, what evaluation looked at. Raises at the memory cap. */
void bind_record(lua_State *L, const char *what, const void *data, size_t n);

/* Each adds its functions to the table on top. */
int bind_files(lua_State *L);  /* read glob git */
int bind_table(lua_State *L);  /* split, copies */
int bind_text(lua_State *L);   /* json, paths, references: pure functions */
int bind_module(lua_State *L); /* run place nearest, variables */

#endif

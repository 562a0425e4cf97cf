/* Positions: whatever goes wrong, and however deep in the standard library, the message
 * begins with the line of the user's own code. Chunks of the user's are called "@#INDEX",
 * those of the library
 * "=#NAME", so that the position which Lua itself puts in front of a message can be told
 * from text. */
#include <stdlib.h>
#include <string.h>

#include "lua/state.h"

/* In front of a message: nothing is to be added any more. */
enum { COMPLETE = '\1' };

struct place place_find(lua_State *L, int level)
{
	const struct eval *ev = eval_of(L);
	struct place none = { NULL, 0 };
	lua_Debug ar;

	for (; lua_getstack(L, level, &ar); level++) {
		size_t i;

		lua_getinfo(L, "Sl", &ar);
		if (strncmp(ar.source, "@#", 2) != 0)
			continue;
		i = strtoul(ar.source + 2, NULL, 10);
		if (i < ev->chunks.len)
			return (struct place){ ev->chunks.at[i].path, ar.currentline };
	}
	/* `return image "x" {}` at the end of a file leaves no frame of the user's. */
	if (ev->running >= ev->chunks.len)
		return none;
	return (struct place){ ev->chunks.at[ev->running].path,
		               ev->chunks.at[ev->running].last_line };
}

static const char *digits(const char *s)
{
	while (*s >= '0' && *s <= '9')
		s++;
	return s;
}

/* "NAME:LINE: rest" behind a '#': returns rest, and the end of NAME. */
static const char *split_position(const char *s, const char **colon)
{
	const char *end;

	*colon = strchr(s, ':');
	if (!*colon)
		return NULL;
	end = digits(*colon + 1);
	if (end == *colon + 1 || strncmp(end, ": ", 2) != 0)
		return NULL;
	return end + 2;
}

static void push_placed(lua_State *L, struct place p, const char *msg)
{
	if (p.file)
		lua_pushfstring(L, PLACE_FMT "%s", PLACE_ARG(p), msg);
	else
		lua_pushstring(L, msg);
}

/* An error of a C function is about what it was given; one of the library's own code is a
 * mistake in it, whose position is worth having. The handler itself is at level 0. */
static bool raised_by_library(lua_State *L)
{
	lua_Debug ar;

	return lua_getstack(L, 1, &ar) && lua_getinfo(L, "S", &ar) && *ar.what != 'C';
}

/* msg begins with '#'. Pushes the message with the user's place, or nothing. */
static bool push_expanded(lua_State *L, const char *msg)
{
	const struct eval *ev = eval_of(L);
	const char *colon, *rest = split_position(msg + 1, &colon);
	int line;

	if (!rest)
		return false;
	line = atoi(colon + 1);
	if (digits(msg + 1) == colon && colon > msg + 1) {
		size_t i = strtoul(msg + 1, NULL, 10);

		if (i >= ev->chunks.len)
			return false;
		push_placed(L, (struct place){ ev->chunks.at[i].path, line }, rest);
		return true;
	}
	push_placed(L, place_find(L, 0), rest);
	if (raised_by_library(L)) {
		lua_pushlstring(L, msg + 1, (size_t)(colon - msg) - 1);
		lua_pushfstring(L, "%s (%s:%d)", lua_tostring(L, -2), lua_tostring(L, -1),
		                line);
	}
	return true;
}

void place_expand(lua_State *L)
{
	const char *msg = lua_tostring(L, -1);

	if (msg && *msg == '#' && push_expanded(L, msg))
		lua_replace(L, -2);
}

static bool has_place(const struct eval *ev, const char *msg)
{
	for (size_t i = 0; i < ev->chunks.len; i++) {
		size_t n = strlen(ev->chunks.at[i].path);
		const char *end;

		if (strncmp(msg, ev->chunks.at[i].path, n) != 0 || msg[n] != ':')
			continue;
		end = digits(msg + n + 1);
		if (end > msg + n + 1 && *end == ':')
			return true;
	}
	return false;
}

int place_handler(lua_State *L)
{
	struct eval *ev = eval_of(L);
	const char *msg;

	if (lua_type(L, 1) != LUA_TSTRING)
		return 1;
	msg = lua_tostring(L, 1);
	if (ev->stop == STOP_NO && strstr(msg, "stack overflow"))
		ev->stopped_at = place_find(L, 0);
	if (*msg == COMPLETE)
		lua_pushstring(L, msg + 1);
	else if (*msg != '#' || !push_expanded(L, msg))
		push_placed(L, place_find(L, 0), msg);
	return 1;
}

int place_handler_top(lua_State *L)
{
	const char *msg;

	if (lua_type(L, 1) != LUA_TSTRING) {
		lua_pushfstring(L, "error value: %s", base_tostring(L, 1));
		lua_replace(L, 1);
	}
	lua_settop(L, 1);
	place_handler(L);
	msg = lua_tostring(L, -1);
	if (!has_place(eval_of(L), msg))
		push_placed(L, place_find(L, 0), msg);
	return 1;
}

int place_raise(lua_State *L)
{
	lua_pushfstring(L, "%c%s", COMPLETE, lua_tostring(L, -1));
	return lua_error(L);
}

int place_raise_err(lua_State *L, const struct err *e)
{
	push_placed(L, place_find(L, 0), e->msg);
	return place_raise(L);
}

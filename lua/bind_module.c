/* Loading chunks, and what recipes ask about themselves. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "lua/bind.h"
#include "lua/embed.h"
#include "os/file.h"
#include "recipe/source.h"

/* The line of the last text: where a `return` that left no frame must be. */
static int last_line(const struct buf *text)
{
	size_t n = text->len;
	int line = 1;

	while (n > 0 && strchr(" \t\r\n", text->s[n - 1]))
		n--;
	for (size_t i = 0; i < n; i++)
		line += text->s[i] == '\n';
	return line;
}

/* Pushes the function of a file of the project; returns its chunk's index. */
static size_t push_chunk(lua_State *L, const char *path)
{
	struct eval *ev = eval_of(L);
	struct buf *text = anchor_buf(L);
	char name[32];
	struct err e;
	int status;

	if (source_read(ev->recipe->root_fd, path, text, &e) < 0)
		place_raise_err(L, &e);
	lua_pushfstring(L, "recipe %s", path);
	bind_record(L, lua_tostring(L, -1), text->s, text->len);
	lua_pop(L, 1);
	state_account(L, strlen(path) + 64);
	vec_push(&ev->chunks, ((struct chunk){ arena_strdup(&ev->recipe->arena, path),
	                                       last_line(text) }));
	snprintf(name, sizeof(name), "@#%zu", ev->chunks.len - 1);
	status = luaL_loadbufferx(L, text->s, text->len, name, "t");
	if (status != LUA_OK && strstr(lua_tostring(L, -1), "C stack overflow")) {
		lua_pushfstring(L, "%s:1: blocks or parentheses are nested too deep",
		                path);
		place_raise(L);
	}
	if (stop_reached(L, status))
		lua_error(L);
	if (status != LUA_OK) {
		place_expand(L);
		place_raise(L);
	}
	buf_fini(text);
	lua_remove(L, -2);
	return ev->chunks.len - 1;
}

/* run(path, environment) -> what the chunk returns */
static int l_run(lua_State *L)
{
	struct eval *ev = eval_of(L);
	const char *path = luaL_checkstring(L, 1);
	size_t before = ev->running, chunk;

	luaL_checktype(L, 2, LUA_TTABLE);
	chunk = push_chunk(L, path);
	lua_pushvalue(L, 2);
	lua_setupvalue(L, -2, 1);
	ev->running = chunk;
	lua_call(L, 0, 1);
	ev->running = before;
	return 1;
}

/* exists(path) -> boolean: a file of the project, relative to the root */
static int l_exists(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	int fd = file_open_beneath(eval_of(L)->recipe->root_fd, path, O_PATH, 0);

	if (fd >= 0)
		close(fd);
	lua_pushfstring(L, "exists %s", path);
	bind_record(L, lua_tostring(L, -1), fd >= 0 ? "1" : "0", 1);
	lua_pushboolean(L, fd >= 0);
	return 1;
}

/* link(path) -> text of a symbolic link of the project, or nil */
static int l_link(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	int fd = file_open_beneath(eval_of(L)->recipe->root_fd, path, O_PATH | O_NOFOLLOW,
	                           0);
	char text[PATH_MAX];
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", text, sizeof(text));

	if (fd >= 0)
		close(fd);
	lua_pushfstring(L, "link %s", path);
	bind_record(L, lua_tostring(L, -1), text, n < 0 ? 0 : (size_t)n);
	if (n < 0)
		return 0;
	lua_pushlstring(L, text, (size_t)n);
	return 1;
}

/* place() -> file, line of the user's code that is running */
static int l_place(lua_State *L)
{
	struct place p = place_find(L, 1);

	lua_pushstring(L, p.file ? p.file : "");
	lua_pushinteger(L, p.line);
	return 2;
}

/* raise(message, file, line) */
static int l_raise(lua_State *L)
{
	lua_pushfstring(L, PLACE_FMT "%s", luaL_checkstring(L, 2),
	                (int)luaL_checkinteger(L, 3), luaL_checkstring(L, 1));
	return place_raise(L);
}

/* nearest(name, { candidate, ... }) -> candidate or nil */
static int l_nearest(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1), **names, *found;
	size_t n;

	luaL_checktype(L, 2, LUA_TTABLE);
	n = lua_rawlen(L, 2);
	names = lua_newuserdatauv(L, n * sizeof(*names) + 1, 0);
	for (size_t i = 0; i < n; i++) { /* the table keeps the strings alive */
		lua_rawgeti(L, 2, (lua_Integer)i + 1);
		names[i] = luaL_checkstring(L, -1);
		lua_pop(L, 1);
	}
	found = nearest_name(name, names, n);
	lua_pushstring(L, found);
	return 1;
}

/* overrides() -> { NAME, ... } of the command line */
static int l_overrides(lua_State *L)
{
	const struct eval_options *o = eval_of(L)->options;

	lua_createtable(L, (int)o->n_overrides, 0);
	for (size_t i = 0; i < o->n_overrides; i++) {
		lua_pushstring(L, o->overrides[i].key);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

/* override(name) -> value, "command line" | "environment"; nil if neither gives one */
static int l_override(lua_State *L)
{
	const struct eval_options *o = eval_of(L)->options;
	const char *name = luaL_checkstring(L, 1), *value = NULL,
		   *origin = "command line";

	for (size_t i = 0; i < o->n_overrides; i++)
		if (!strcmp(o->overrides[i].key, name))
			value = o->overrides[i].value; /* the last one wins, as in make */
	if (!value && !o->no_env) {
		origin = "environment";
		value = getenv(lua_pushfstring(L, "IMGMAKE_VAR_%s", name));
	}
	if (!value)
		return 0;
	lua_pushstring(L, value);
	lua_pushstring(L, origin);
	return 2;
}

/* environment(name) -> value or nil. For the library, which asks for names of its own
 * alone: recipes cannot. */
static int l_environment(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1), *value = NULL;

	if (!eval_of(L)->options->no_env)
		value = getenv(name);
	lua_pushfstring(L, "environment %s", name);
	bind_record(L, lua_tostring(L, -1), value ? value : "",
	            value ? strlen(value) : 0);
	lua_pushstring(L, value);
	return 1;
}

/* A directory relative to the root, or absolute where it is not below. */
static void push_directory(lua_State *L, const struct pair *given)
{
	const char *root = eval_of(L)->recipe->root;
	char real[PATH_MAX];
	size_t n = strcmp(root, "/") ? strlen(root) : 0;

	if (!realpath(given->value, real))
		luaL_error(L, "--build-context %s=%s: %s", given->key, given->value,
		           strerror(errno));
	if (path_below(real, root))
		lua_pushstring(L, real[n] ? real + n + 1 : "");
	else
		lua_pushstring(L, real);
}

/* "https://…", "docker-image://…", or a repository as ssh names them, "git@host:path". */
static bool is_elsewhere(const char *context)
{
	const char *at = strchr(context, '@');
	size_t user = at ? (size_t)(at - context) : 0;

	return strstr(context, "://") ||
	       (user && strcspn(context, "/.") > user && strchr(at, ':'));
}

/* build_contexts() -> { NAME = "SCHEME://…" or a directory } of the command line */
static int l_build_contexts(lua_State *L)
{
	const struct eval_options *o = eval_of(L)->options;

	lua_newtable(L);
	for (size_t i = 0; i < o->n_contexts; i++) {
		if (is_elsewhere(o->contexts[i].value))
			lua_pushstring(L, o->contexts[i].value);
		else
			push_directory(L, &o->contexts[i]);
		lua_setfield(L, -2, o->contexts[i].key);
	}
	return 1;
}

/* platforms() -> { "linux/arm64", ... } as asked for, this machine's */
static int l_platforms(lua_State *L)
{
	const struct eval_options *o = eval_of(L)->options;
	struct platform host;
	char text[100];

	lua_createtable(L, (int)o->n_platforms, 0);
	for (size_t i = 0; i < o->n_platforms; i++) {
		lua_pushstring(L, o->platforms[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	platform_host(&host);
	lua_pushstring(L, platform_text(&host, text));
	return 2;
}

/* base_config(name, dir, platform) -> JSON, "" if it cannot be had; nil: to be asked for
 */
static int l_base_config(lua_State *L)
{
	const struct eval_options *o = eval_of(L)->options;
	const char *name = luaL_checkstring(L, 1), *dir = luaL_checkstring(L, 2),
		   *platform = luaL_checkstring(L, 3);

	for (size_t i = 0; i < o->n_configs; i++) {
		const struct eval_config *c = &o->configs[i];

		if (strcmp(c->name, name) != 0 || strcmp(c->dir, dir) != 0 ||
		    strcmp(c->platform, platform) != 0)
			continue;
		lua_pushfstring(L, "configuration of %s for %s", name, platform);
		bind_record(L, lua_tostring(L, -1), c->text, strlen(c->text));
		lua_pushstring(L, c->text);
		return 1;
	}
	return 0;
}

/* archive(path) -> boolean: a file of the project, relative to the root, that is a tar
 * archive, compressed or not */
static int l_archive(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	unsigned char head[512];
	int fd = file_open_beneath(eval_of(L)->recipe->root_fd, path,
	                           O_RDONLY | O_NONBLOCK, 0);
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head));
	bool is;

	if (fd >= 0)
		close(fd);
	is = (n > 2 && !memcmp(head, "\x1f\x8b", 2)) ||
	     (n > 3 && !memcmp(head, "BZh", 3)) ||
	     (n > 6 && !memcmp(head,
	                       "\xfd"
	                       "7zXZ",
	                       6)) ||
	     (n > 4 && !memcmp(head, "\x28\xb5\x2f\xfd", 4)) ||
	     (n == (ssize_t)sizeof(head) && !memcmp(head + 257, "ustar", 5));
	lua_pushfstring(L, "archive %s", path);
	bind_record(L, lua_tostring(L, -1), is ? "1" : "0", 1);
	lua_pushboolean(L, is);
	return 1;
}

/* module(name, environment) -> function of a module of the standard library, or nil */
static int l_module(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);

	for (size_t i = 0; i < embedded_count; i++) {
		const struct embedded *m = &embedded_modules[i];

		if (strcmp(m->name, name) != 0)
			continue;
		lua_pushfstring(L, "=#%s", name);
		if (luaL_loadbufferx(L, (const char *)m->text, m->size,
		                     lua_tostring(L, -1), "t") != LUA_OK)
			return lua_error(L);
		lua_pushvalue(L, 2);
		lua_setupvalue(L, -2, 1);
		return 1;
	}
	return 0;
}

int bind_module(lua_State *L)
{
	static const luaL_Reg own[] = {
		{ "archive", l_archive },
		{ "base_config", l_base_config },
		{ "build_contexts", l_build_contexts },
		{ "environment", l_environment },
		{ "exists", l_exists },
		{ "link", l_link },
		{ "module", l_module },
		{ "nearest", l_nearest },
		{ "override", l_override },
		{ "overrides", l_overrides },
		{ "place", l_place },
		{ "platforms", l_platforms },
		{ "raise", l_raise },
		{ "run", l_run },
		{ NULL, NULL },
	};

	luaL_setfuncs(L, own, 0);
	return 0;
}

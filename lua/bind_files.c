/* What recipes read, beneath their own directory; each reading becomes an input of the
 * recipe. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lua/bind.h"
#include "os/file.h"
#include "os/process.h"
#include "recipe/source.h"

void bind_record(lua_State *L, const char *what, const void *data, size_t n)
{
	struct eval *ev = eval_of(L);
	struct input in = { 0 };

	if (map_get(&ev->seen, what))
		return;
	state_account(L, strlen(what) + 128);
	in.what = arena_strdup(&ev->recipe->arena, what);
	digest_of(&in.digest, data, n);
	vec_push(&ev->inputs, in);
	map_put(&ev->seen, what, ev);
}

struct dir_fd {
	int fd;
};

static void close_dir(void *self)
{
	struct dir_fd *d = self;

	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

/* Opens a directory of the project, anchored on the stack. Collection may come late: who
 * needs it no more calls close_dir. */
static struct dir_fd *push_dir(lua_State *L, const char *path)
{
	struct dir_fd *d = anchor(L, sizeof(*d), "imgmake.dir", close_dir);

	d->fd = -1;
	d->fd = file_open_beneath(eval_of(L)->recipe->root_fd, path,
	                          O_RDONLY | O_DIRECTORY, 0);
	if (d->fd < 0)
		luaL_error(L, "%s: %s", *path ? path : ".", strerror(errno));
	return d;
}

static const char *push_joined(lua_State *L, const char *dir, const char *path)
{
	struct buf *b = anchor_buf(L);

	path_join(b, *dir ? dir : ".", path);
	lua_pushlstring(L, b->s, b->len);
	lua_remove(L, -2);
	return lua_tostring(L, -1);
}

/* read(dir, path) -> text without its final newline */
static int l_read(lua_State *L)
{
	const char *dir = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 2);
	struct buf *text = anchor_buf(L);
	struct dir_fd *at = push_dir(L, dir);
	int rc;
	struct err e;
	size_t n;

	rc = source_read(at->fd, path, text, &e);
	close_dir(at);
	if (rc < 0)
		return place_raise_err(L, &e);
	lua_pushfstring(L, "read %s", push_joined(L, dir, path));
	bind_record(L, lua_tostring(L, -1), text->s, text->len);
	n = text->len;
	if (n > 0 && text->s[n - 1] == '\n')
		n--;
	if (n > 0 && n < text->len && text->s[n - 1] == '\r')
		n--;
	lua_pushlstring(L, text->s, n);
	buf_fini(text);
	return 1;
}

/* The outputs of file rules that lie below `dir`, relative to it. */
static void outputs_below(const struct eval *ev, const char *dir, struct strlist *out)
{
	size_t n = strlen(dir);

	for (size_t i = 0; i < ev->outputs.len; i++) {
		const char *o = ev->outputs.at[i];

		if (n == 0)
			strlist_add(out, o);
		else if (strncmp(o, dir, n) == 0 && o[n] == '/')
			strlist_add(out, o + n + 1);
	}
}

/* Pushes the list, records it, and remembers what it named. */
static void push_paths(lua_State *L, const char *dir, const struct strlist *hits,
                       struct buf *record)
{
	struct eval *ev = eval_of(L);

	lua_createtable(L, (int)hits->len, 0);
	for (size_t i = 0; i < hits->len; i++) {
		const char *full = push_joined(L, dir, hits->at[i]);

		state_account(L, strlen(full) + 32);
		strlist_add(&ev->globbed, full);
		lua_pop(L, 1);
		buf_add_str(record, hits->at[i], strlen(hits->at[i]));
		lua_pushstring(L, hits->at[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

/* glob(dir, pattern) -> { path, ... }, sorted */
static int l_glob(lua_State *L)
{
	const char *dir = luaL_checkstring(L, 1), *pattern = luaL_checkstring(L, 2);
	struct strlist *hits = anchor_strlist(L), *hidden = anchor_strlist(L);
	struct buf *record = anchor_buf(L);
	struct dir_fd *at = push_dir(L, dir);
	int rc;
	struct err e;

	outputs_below(eval_of(L), dir, hidden);
	rc = source_glob(at->fd, pattern, hidden, hits, &e);
	close_dir(at);
	if (rc < 0)
		return place_raise_err(L, &e);
	push_paths(L, dir, hits, record);
	lua_pushfstring(L, "glob %s", push_joined(L, dir, pattern));
	bind_record(L, lua_tostring(L, -1), record->s, record->len);
	lua_pop(L, 2);
	strlist_fini(hits);
	buf_fini(record);
	return 1;
}

/* output(path): a file rule makes it, so that no glob sees it from now on. Globs before
 * this have: then all is evaluated once more (eval.c). */
static int l_output(lua_State *L)
{
	struct eval *ev = eval_of(L);
	const char *path = luaL_checkstring(L, 1);

	if (strlist_has(&ev->outputs, path))
		return 0;
	state_account(L, strlen(path) + 32);
	strlist_add(&ev->outputs, path);
	return 0;
}

enum { GIT_ARGS_MAX = 32 };

/* git(dir, arg...) -> output without its final newline, status.  Nil when there is no
 * git.  What a repository's configuration could make git run is turned off; that it
 * belongs to somebody else is for git itself to refuse. */
static int l_git(lua_State *L)
{
	const char *argv[GIT_ARGS_MAX + 16] = {
		"git",
		"-c",
		"core.fsmonitor=false",
		"-c",
		"core.hooksPath=/dev/null",
		"-c",
		"core.pager=cat",
		"-c",
		"log.showSignature=false",
		"--no-optional-locks",
	};
	struct buf *out = anchor_buf(L), *err = anchor_buf(L), *what = anchor_buf(L);
	struct process_options o = { .argv = argv, .out = out, .err = err };
	int n = 10, given = lua_gettop(L) - 4, status = 0, rc;
	struct dir_fd *at;
	struct err e;

	luaL_argcheck(L, given <= GIT_ARGS_MAX, 2, "too many arguments");
	buf_addf(what, "git in %s:", luaL_checkstring(L, 1));
	for (int i = 0; i < given; i++) {
		argv[n++] = luaL_checkstring(L, i + 2);
		buf_addf(what, " %s", argv[n - 1]);
	}
	at = push_dir(L, luaL_checkstring(L, 1));
	o.cwd = at->fd;
	rc = process_run(&o, &status, &e);
	close_dir(at);
	if (rc < 0 && e.code == ERR_NOT_FOUND)
		return 0;
	if (rc < 0)
		return place_raise_err(L, &e);
	bind_record(L, what->s, out->s, out->len);
	lua_pushlstring(L, out->s,
	                out->len && out->s[out->len - 1] == '\n' ? out->len - 1
	                                                         : out->len);
	lua_pushinteger(L, status);
	return 2;
}

int bind_files(lua_State *L)
{
	static const luaL_Reg own[] = {
		{ "read", l_read },     { "glob", l_glob }, { "git", l_git },
		{ "output", l_output }, { NULL, NULL },
	};

	luaL_setfuncs(L, own, 0);
	return 0;
}

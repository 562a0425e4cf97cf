#include "lua/eval.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lualib.h>
#include <string.h>
#include <unistd.h>

#include "lua/bind.h"
#include "os/file.h"
#include "recipe/source.h"

/* Where the Imagefile is. */
struct location {
	struct buf dir;     /* absolute, resolved */
	struct buf file;    /* its name in there */
	bool is_dockerfile; /* then `dir` is the one that files are copied from */
};

enum { SNIFFED = 4096 };

static bool is_instruction(const char *s)
{
	return (!strncasecmp(s, "FROM", 4) && (s[4] == ' ' || s[4] == '\t')) ||
	       (!strncasecmp(s, "ARG", 3) && (s[3] == ' ' || s[3] == '\t'));
}

/* Whether the first line that is no comment begins with an instruction: no recipe in Lua
 * does. */
static bool begins_as_dockerfile(const char *file)
{
	char text[SNIFFED + 1], *line = text, *next;
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, text, SNIFFED);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return false;
	text[n] = '\0';
	for (; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		line += strspn(line, " \t\r\xef\xbb\xbf");
		if (*line && *line != '#')
			return is_instruction(line);
	}
	return false;
}

static bool named_as_dockerfile(const char *file)
{
	const char *name = path_base(file), *dot = strrchr(name, '.');

	if (dot && !strcmp(dot, ".lua"))
		return false;
	return (!strncasecmp(name, "Dockerfile", 10) && (!name[10] || name[10] == '.')) ||
	       (!strncasecmp(name, "Containerfile", 13) &&
	        (!name[13] || name[13] == '.')) ||
	       (dot && !strcasecmp(dot, ".dockerfile"));
}

/* As for docker build, files are copied from the directory that one is in, if the
 * Dockerfile is there or below. */
static void locate_dockerfile(const struct eval_options *o, struct location *at)
{
	char *top = realpath(o->dir ? o->dir : ".", NULL);
	struct buf whole = BUF_INIT;

	buf_addf(&whole, "%s/%s", strcmp(at->dir.s, "/") ? at->dir.s : "", at->file.s);
	at->is_dockerfile =
		named_as_dockerfile(at->file.s) || begins_as_dockerfile(whole.s);
	if (at->is_dockerfile && top && path_below(at->dir.s, top)) {
		size_t n = strcmp(top, "/") ? strlen(top) : 0;

		buf_reset(&at->file);
		buf_adds(&at->file, whole.s + n + 1);
		buf_reset(&at->dir);
		buf_adds(&at->dir, top);
	}
	buf_fini(&whole);
	free(top);
}

static int locate(const struct eval_options *o, struct location *at, struct err *e)
{
	const char *file = o->file ? o->file : "Imagefile";
	const char *slash = strrchr(file, '/');
	struct buf dir = BUF_INIT;
	char *real;

	buf_adds(&at->file, slash ? slash + 1 : file);
	if (slash && *file != '/' && o->dir)
		buf_addf(&dir, "%s/", o->dir);
	if (slash)
		buf_add(&dir, file, (size_t)(slash - file) + 1);
	else
		buf_adds(&dir, o->dir ? o->dir : ".");
	real = realpath(dir.s, NULL);
	if (!real)
		err_sys(e, "%s", dir.s);
	buf_fini(&dir);
	if (!real)
		return -1;
	buf_adds(&at->dir, real);
	free(real);
	if (o->file)
		locate_dockerfile(o, at);
	return 0;
}

static int open_root(struct recipe *r, const struct location *at, struct err *e)
{
	size_t n;

	r->root = source_root(at->dir.s);
	n = strcmp(r->root, "/") ? strlen(r->root) : 0;
	r->dir = arena_strdup(&r->arena, at->dir.len > n ? at->dir.s + n + 1 : "");
	r->root_fd = open(r->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return r->root_fd < 0 ? err_sys(e, "open %s", r->root) : 0;
}

/* The library's own globals: what recipes may have is chosen in project.lua. */
static void push_globals(lua_State *L)
{
	static const char *const refused[] = { "random", "randomseed" };

	lib_base(L);
	lib_string(L);
	lua_setfield(L, -2, "string");
	lib_table(L);
	lua_setfield(L, -2, "table");
	luaL_requiref(L, "utf8", luaopen_utf8, 0);
	lua_setfield(L, -2, "utf8");
	luaL_requiref(L, "math", luaopen_math, 0);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		lua_pushnil(L);
		lua_setfield(L, -2, refused[i]);
	}
	lua_setfield(L, -2, "math");
}

/* Into the table on top: the names that a conversion must not use. */
static void set_convert(lua_State *L)
{
	const char *const *names = eval_of(L)->options->convert;

	if (!names)
		return;
	lua_newtable(L);
	for (; *names; names++) {
		lua_pushboolean(L, 1);
		lua_setfield(L, -2, *names);
	}
	lua_setfield(L, -2, "convert");
}

/* (location): evaluates it and reads the model. */
static int l_main(lua_State *L)
{
	const struct recipe *r = eval_of(L)->recipe;
	const struct location *at = lua_touserdata(L, 1);

	lua_newtable(L); /* 2: imgmake.engine */
	bind_files(L);
	bind_table(L);
	bind_text(L);
	bind_module(L);
	lua_getfield(L, 2, "module");
	lua_pushliteral(L, "imgmake.boot");
	push_globals(L);
	lua_call(L, 2, 1);

	lua_pushvalue(L, 2);
	lua_newtable(L);
	lua_pushstring(L, r->dir);
	lua_setfield(L, -2, "dir");
	lua_pushfstring(L, "%s%s%s", r->dir, *r->dir ? "/" : "", at->file.s);
	lua_setfield(L, -2, "file");
	lua_pushboolean(L, at->is_dockerfile);
	lua_setfield(L, -2, "is_dockerfile");
	set_convert(L);
	lua_pushboolean(L, eval_of(L)->options->lint);
	lua_setfield(L, -2, "lint");
	lua_call(L, 2, 1);
	model_read(L, lua_gettop(L));
	return 0;
}

/* One line, whatever the recipe put into its message. */
static int report(struct eval *ev, int status, struct err *e)
{
	struct buf line = BUF_INIT;
	const char *msg;
	size_t n;

	if (stop_reached(ev->L, status)) {
		struct place p = ev->stopped_at;

		if (!p.file)
			p = place_find(ev->L, 0);
		if (!p.file)
			return err_set(e, ERR_LIMIT, "%s", stop_text(ev));
		return err_set(e, ERR_LIMIT, PLACE_FMT "%s", PLACE_ARG(p), stop_text(ev));
	}
	msg = lua_tolstring(ev->L, -1, &n);
	buf_add_printable(&line, msg ? msg : "", msg ? n : 0);
	err_set(e, ERR_INVALID, "%s", line.s);
	buf_fini(&line);
	return -1;
}

static void keep_inputs(struct eval *ev)
{
	struct recipe *r = ev->recipe;

	r->n_inputs = ev->inputs.len;
	r->inputs = arena_memdup(&r->arena, ev->inputs.at,
	                         ev->inputs.len * sizeof(*r->inputs));
	recipe_index(r);
}

static int evaluate(struct eval *ev, const struct location *at, struct err *e)
{
	int status;

	if (open_root(ev->recipe, at, e) < 0 || eval_open(ev, e) < 0)
		return -1;
	lua_pushcfunction(ev->L, place_handler_top);
	lua_pushcfunction(ev->L, l_main);
	lua_pushlightuserdata(ev->L, (void *)at);
	status = lua_pcall(ev->L, 1, 0, 1);
	if (status != LUA_OK)
		return report(ev, status, e);
	keep_inputs(ev);
	return 0;
}

/* Whether globs have returned outputs of file rules that were declared later. */
static bool globs_saw_outputs(const struct eval *ev)
{
	for (size_t i = 0; i < ev->outputs.len; i++)
		for (size_t k = 0; k < ev->globbed.len; k++)
			if (path_below(ev->globbed.at[k], ev->outputs.at[i]))
				return true;
	return false;
}

static void show_printed(const struct eval *ev)
{
	for (size_t i = 0; i < ev->printed.len; i++)
		progress_output(ev->options->progress, NULL, ev->printed.at[i]);
}

/* Sets *again when globs saw outputs that are known only now; they are left in `outputs`.
 * What failed because of that is no error yet. */
static int attempt(struct recipe **out, const struct eval_options *o,
                   const struct location *at, struct strlist *outputs, bool *again,
                   struct err *e)
{
	struct eval ev = { .options = o, .recipe = recipe_new() };
	bool first = !*again;
	int rc;

	for (size_t i = 0; i < outputs->len; i++)
		strlist_add(&ev.outputs, outputs->at[i]);
	rc = evaluate(&ev, at, e);
	*again = first && globs_saw_outputs(&ev);
	if (!*again)
		show_printed(&ev);
	for (size_t i = 0; *again && i < ev.outputs.len; i++)
		strlist_add(outputs, ev.outputs.at[i]);
	eval_close(&ev);
	if (rc == 0 && !*again)
		*out = ev.recipe;
	else
		recipe_free(ev.recipe);
	return *again ? 0 : rc;
}

int eval_recipe(struct recipe **out, const struct eval_options *o, struct err *e)
{
	struct location at = { .dir = BUF_INIT, .file = BUF_INIT };
	struct strlist outputs = STRLIST_INIT;
	bool again = false;
	int rc = locate(o, &at, e);

	if (rc == 0)
		rc = attempt(out, o, &at, &outputs, &again, e);
	if (rc == 0 && again)
		rc = attempt(out, o, &at, &outputs, &again, e);
	strlist_fini(&outputs);
	buf_fini(&at.file);
	buf_fini(&at.dir);
	return rc;
}

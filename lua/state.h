#ifndef LUA_STATE_H
#define LUA_STATE_H

/* One evaluation: its Lua state, what it may use, and what it has read. The rules of this
 * room: a Lua error jumps over C frames, so whatever must be released lives in userdata
 * before anything can raise, and there is neither goto nor a cleanup attribute here. */
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <time.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/vec.h"
#include "lua/eval.h"
#include "lua/heap.h"

enum stop {
	STOP_NO,
	STOP_WORK, /* too many instructions */
	STOP_TIME, /* too much processor time */
	STOP_MEMORY,
	STOP_STRING, /* a single allocation too large */
	STOP_DEPTH,  /* recursion */
};

/* A file of the user's that was loaded. Its chunk is called "@#INDEX", so that positions
 * can be found in messages whatever the path is. */
struct chunk {
	const char *path; /* relative to the root, in the recipe's arena */
	int last_line;
};

struct eval {
	const struct eval_options *options;
	struct eval_limits limits;
	struct recipe *recipe;
	lua_State *L;
	VEC(struct chunk) chunks;
	VEC(struct input) inputs;
	struct map seen;        /* their names */
	struct strlist outputs; /* of file rules, as far as known: globs do not see them
	                         */
	struct strlist globbed; /* paths that globs returned */
	struct heap heap;
	size_t used;   /* bytes of Lua's heap */
	timer_t watch; /* counts instructions from when it goes off, if it is `watched` */
	bool watched;
	bool collects; /* Lua's collector runs: there is enough to be worth it */
	struct anchored *anchored; /* what has to be released beside the heap */
	int64_t work, work_checked;
	int64_t cpu_end; /* ns of the thread's processor time */
	enum stop stop;
	struct place stopped_at; /* where a cap was met last */
	size_t running;          /* index of the chunk being evaluated */
	struct strlist printed;  /* lines of `print` */
};

static inline struct eval *eval_of(lua_State *L)
{
	return *(struct eval **)lua_getextraspace(L);
}

/* A state with the caps in force and nothing in it; -1 only when there is no memory at
 * all. */
MUST_CHECK int eval_open(struct eval *ev, struct err *e);
void eval_close(struct eval *ev);

/* Library functions that loop without Lua's count hook say how far: raises when a cap is
 * reached. */
void state_charge(lua_State *L, int64_t steps);

/* place.c: positions in the user's code. */

/* The innermost frame of the user's at `level` or above it; the last line of the file
 * being evaluated when tail calls left none; file NULL while none is. `file` is borrowed
 * from the recipe. */
struct place place_find(lua_State *L, int level);
/* Message handlers for lua_pcall. place_handler is for recipes' own pcall;
 * place_handler_top for whoever reports: its result always begins with a place and is one
 * line. */
int place_handler(lua_State *L);
int place_handler_top(lua_State *L);
/* Marks the message on top of the stack as complete, and raises it. */
int place_raise(lua_State *L);
/* "place: " err message. */
int place_raise_err(lua_State *L, const struct err *e);
/* Replaces the "#N:LINE:" in front of the string on top by the file's name. */
void place_expand(lua_State *L);
/* What is to be said about a cap that was reached. Borrowed. */
const char *stop_text(const struct eval *ev);
/* After a failed call: a cap was reached (which no pcall may catch). The error is on top.
 */
bool stop_reached(lua_State *L, int status);

/* Memory outside Lua's heap that a recipe makes us keep counts as its own: raises at the
 * cap. */
void state_account(lua_State *L, size_t n);

/* Userdata of `size` bytes, zeroed, on top of the stack: `fini` is called once, when it
 * is collected or the evaluation ends. `type` names the kind, and goes with one `fini`.
 */
void *anchor(lua_State *L, size_t size, const char *type, void (*fini)(void *));
struct buf *anchor_buf(lua_State *L);
struct strlist *anchor_strlist(lua_State *L);

/* Libraries: each pushes one table. */
int lib_base(lua_State *L); /* pairs, tostring, … in place of Lua's */
int lib_string(lua_State *L);
int lib_table(lua_State *L);
int lib_match(lua_State *L); /* find match gmatch gsub */

/* tostring(v) without addresses: pushes a string. */
const char *base_tostring(lua_State *L, int i);

/* model.c: reads the finished tables (at index `model`) into the recipe. */
void model_read(lua_State *L, int model);

#endif

#include "lua/state.h"

#include <string.h>
#include <time.h>

enum { HOOK_COUNT = 1000, CLOCK_EVERY = 1000 };

static int64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* lua_getinfo with "Sl" allocates nothing, so this is safe inside the allocator. */
static void note_refusal(struct eval *ev)
{
	if (ev->L)
		ev->stopped_at = place_find(ev->L, 0);
}

/* A string asked for at once must fit limits.string; that also bounds the buffers in
 * which library functions build one, and what a single instruction can compare or copy.
 */
static void *allocate(void *ud, void *p, size_t osize, size_t nsize)
{
	struct eval *ev = ud;
	size_t old = p ? osize : 0;

	if (nsize == 0) {
		free(p);
		ev->used -= old;
		return NULL;
	}
	if (nsize > ev->limits.string && nsize > old) {
		ev->stop = STOP_STRING;
		note_refusal(ev);
		return NULL;
	}
	if (nsize > old && ev->used + (nsize - old) > ev->limits.memory) {
		note_refusal(ev);
		return NULL;
	}
	p = realloc(p, nsize);
	if (p)
		ev->used += nsize - old;
	return p;
}

static int stop(lua_State *L, enum stop why)
{
	eval_of(L)->stop = why;
	eval_of(L)->stopped_at = place_find(L, 0);
	lua_pushliteral(L, "stopped");
	return lua_error(L);
}

void state_charge(lua_State *L, int64_t steps)
{
	struct eval *ev = eval_of(L);

	if (steps < 0 || steps > ev->limits.work - ev->work) {
		ev->work = ev->limits.work;
		stop(L, STOP_WORK);
	}
	ev->work += steps;
	if (ev->work - ev->work_checked < CLOCK_EVERY)
		return;
	ev->work_checked = ev->work;
	if (cpu_ns() > ev->cpu_end)
		stop(L, STOP_TIME);
}

void state_account(lua_State *L, size_t n)
{
	struct eval *ev = eval_of(L);

	if (n > ev->limits.memory || ev->used > ev->limits.memory - n)
		stop(L, STOP_MEMORY);
	ev->used += n;
}

static void on_count(lua_State *L, lua_Debug *ar)
{
	(void)ar;
	state_charge(L, HOOK_COUNT);
}

const char *stop_text(const struct eval *ev)
{
	switch (ev->stop) {
	case STOP_WORK: return "stopped: the recipe runs too long (an endless loop?)";
	case STOP_TIME: return "stopped: the recipe needs too much processor time";
	case STOP_MEMORY: return "stopped: the recipe needs too much memory";
	case STOP_STRING: return "stopped: a string or list is too large";
	case STOP_DEPTH:
		return "stopped: functions call each other too deep (an endless recursion?)";
	case STOP_NO: break;
	}
	return "stopped";
}

bool stop_reached(lua_State *L, int status)
{
	struct eval *ev = eval_of(L);
	const char *msg = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";

	if (status == LUA_OK)
		return false;
	if (ev->stop == STOP_NO &&
	    (status == LUA_ERRMEM || strstr(msg, "not enough memory")))
		ev->stop = STOP_MEMORY;
	if (ev->stop == STOP_NO &&
	    (status == LUA_ERRERR || strstr(msg, "stack overflow")))
		ev->stop = STOP_DEPTH;
	return ev->stop != STOP_NO;
}

static void set_default(int64_t *v, int64_t by_default)
{
	if (*v == 0)
		*v = by_default;
}

int eval_open(struct eval *ev, struct err *e)
{
	struct eval_limits *l = &ev->limits;

	*l = ev->options->limits;
	if (l->memory == 0)
		l->memory = (size_t)256 << 20;
	if (l->string == 0)
		l->string = (size_t)32 << 20;
	set_default(&l->work, 500000000);
	set_default(&l->cpu_ms, 10000);
	ev->cpu_end = cpu_ns() + l->cpu_ms * 1000000;
	ev->L = lua_newstate(allocate, ev);
	if (!ev->L)
		return err_set(e, ERR_LIMIT, "no memory to evaluate the recipe");
	*(struct eval **)lua_getextraspace(ev->L) = ev;
	lua_sethook(ev->L, on_count, LUA_MASKCOUNT, HOOK_COUNT);
	return 0;
}

void eval_close(struct eval *ev)
{
	if (ev->L)
		lua_close(ev->L);
	ev->L = NULL;
	vec_fini(&ev->chunks);
	vec_fini(&ev->inputs);
	strlist_fini(&ev->globbed);
	strlist_fini(&ev->outputs);
	strlist_fini(&ev->printed);
	map_fini(&ev->seen);
}

static int free_buf(lua_State *L)
{
	buf_fini(lua_touserdata(L, 1));
	return 0;
}

static int free_strlist(lua_State *L)
{
	strlist_fini(lua_touserdata(L, 1));
	return 0;
}

/* The metatable comes first: between the userdata and its __gc nothing may raise with
 * content in it. */
static void *anchor(lua_State *L, size_t size, const char *type, lua_CFunction gc)
{
	void *p = lua_newuserdatauv(L, size, 0);

	memset(p, 0, size);
	if (luaL_newmetatable(L, type)) {
		lua_pushcfunction(L, gc);
		lua_setfield(L, -2, "__gc");
	}
	return p;
}

struct buf *anchor_buf(lua_State *L)
{
	struct buf *b = anchor(L, sizeof(*b), "imgmake.buf", free_buf);

	*b = (struct buf)BUF_INIT;
	lua_setmetatable(L, -2);
	return b;
}

struct strlist *anchor_strlist(lua_State *L)
{
	struct strlist *l = anchor(L, sizeof(*l), "imgmake.strlist", free_strlist);

	lua_setmetatable(L, -2);
	return l;
}

#include "lua/state.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Most recipes end before there is anything worth collecting, or worth counting. */
enum {
	HOOK_COUNT = 1000,
	CLOCK_EVERY = 1000,
	COLLECT_FROM = 24 << 20,
	COUNT_FROM_MS = 500
};

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
		ev->used -= old;
		return heap_resize(&ev->heap, p, old, 0);
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
	if (!ev->collects && ev->used > COLLECT_FROM && ev->L)
		ev->collects = lua_gc(ev->L, LUA_GCRESTART) == 0;
	p = heap_resize(&ev->heap, p, old, nsize);
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

static void count(lua_State *L)
{
	lua_sethook(L, on_count, LUA_MASKCOUNT, HOOK_COUNT);
}

/* On the thread that evaluates. lua_sethook may be called so. */
static void on_time(int sig, siginfo_t *info, void *context)
{
	struct eval *ev = info->si_value.sival_ptr;

	(void)sig;
	(void)context;
	if (ev)
		count(ev->L);
}

/* A hook makes each instruction dearer by half, so none is set before a recipe has run
 * for longer than they do. False: it cannot be done. */
static bool watch(struct eval *ev)
{
	struct sigaction act = { .sa_sigaction = on_time,
		                 .sa_flags = SA_SIGINFO | SA_RESTART };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID,
		                  .sigev_signo = SIGVTALRM,
		                  .sigev_value.sival_ptr = ev };
	int64_t ms = ev->limits.cpu_ms / 4;
	struct itimerspec when = { .it_interval = { .tv_nsec = 0 } };

	if (ms > COUNT_FROM_MS)
		ms = COUNT_FROM_MS;
	when.it_value = (struct timespec){ ms / 1000, ms % 1000 * 1000000 + 1 };
	event._sigev_un._tid = gettid();
	if (sigaction(SIGVTALRM, &act, NULL) < 0 ||
	    timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &ev->watch) < 0)
		return false;
	ev->watched = true;
	return timer_settime(ev->watch, 0, &when, NULL) == 0;
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
	lua_gc(ev->L, LUA_GCSTOP);
	if (ev->options->limits.work || !watch(ev))
		count(ev->L);
	return 0;
}

/* In front of what `anchor` gives. */
struct anchored {
	struct anchored *next, **link;
	void (*fini)(void *);
	_Alignas(void *) char bytes[]; /* Lua aligns to no more */
};

static void release(struct anchored *a)
{
	*a->link = a->next;
	if (a->next)
		a->next->link = a->link;
	a->fini(a->bytes);
}

/* Not by lua_close, which would visit each object to no end: what is beside the heap is
 * in the list, and the heap goes at once. */
void eval_close(struct eval *ev)
{
	if (ev->watched)
		timer_delete(ev->watch);
	while (ev->anchored)
		release(ev->anchored);
	heap_fini(&ev->heap);
	ev->L = NULL;
	vec_fini(&ev->chunks);
	vec_fini(&ev->inputs);
	strlist_fini(&ev->globbed);
	strlist_fini(&ev->outputs);
	strlist_fini(&ev->printed);
	map_fini(&ev->seen);
}

static int collect(lua_State *L)
{
	struct anchored *a = lua_touserdata(L, 1);

	release(a);
	return 0;
}

/* It is in the list before it is content: between the userdata and its metatable nothing
 * may be lost. */
void *anchor(lua_State *L, size_t size, const char *type, void (*fini)(void *))
{
	struct eval *ev = eval_of(L);
	struct anchored *a = lua_newuserdatauv(L, sizeof(*a) + size, 0);

	memset(a->bytes, 0, size);
	if (luaL_newmetatable(L, type)) {
		lua_pushcfunction(L, collect);
		lua_setfield(L, -2, "__gc");
	}
	a->fini = fini;
	a->next = ev->anchored;
	a->link = &ev->anchored;
	if (a->next)
		a->next->link = &a->next;
	ev->anchored = a;
	lua_setmetatable(L, -2);
	return a->bytes;
}

static void free_buf(void *b)
{
	buf_fini(b);
}

struct buf *anchor_buf(lua_State *L)
{
	struct buf *b = anchor(L, sizeof(*b), "imgmake.buf", free_buf);

	*b = (struct buf)BUF_INIT;
	return b;
}

static void free_strlist(void *l)
{
	strlist_fini(l);
}

struct strlist *anchor_strlist(lua_State *L)
{
	return anchor(L, sizeof(struct strlist), "imgmake.strlist", free_strlist);
}

#ifndef LUA_MATCH_H
#define LUA_MATCH_H

/* Lua's patterns, with every step charged to the evaluation: see match.c. */
#include <lua.h>
#include <stddef.h>

enum { MATCH_CAPTURES_MAX = 32 };

struct matcher {
	lua_State *L;
	const char *src, *src_end;
	const char *pat_end;
	int depth;
	int steps; /* not yet charged */
	int level; /* captures so far */
	struct {
		const char *at;
		ptrdiff_t len;
	} capture[MATCH_CAPTURES_MAX];
};

/* The strings stay where they are while m is used; both end in NUL, behind their length.
 */
void match_prepare(struct matcher *m, lua_State *L, const char *s, size_t ls,
                   const char *p, size_t lp);
/* The end of the match of pattern p (of m, behind its `^`) at s, or NULL. Raises on a bad
 * pattern. */
const char *match_at(struct matcher *m, const char *s, const char *p);
/* Pushes capture l of the match s..e; without captures, capture 0 is the whole match. */
void match_push(struct matcher *m, int l, const char *s, const char *e);
/* Pushes all captures and returns their number; s is NULL where the whole match is not
 * wanted. */
int match_push_all(struct matcher *m, const char *s, const char *e);

#endif

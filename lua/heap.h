#ifndef LUA_HEAP_H
#define LUA_HEAP_H

/* Memory of one Lua state: small blocks by size from larger pieces, and all of it given
 * back at once, since an evaluation makes much and ends soon. For one thread. */
#include <stddef.h>

enum { HEAP_GRAIN = 16, HEAP_CLASSES = 32 };

struct heap {
	void *spare[HEAP_CLASSES]; /* freed blocks of (i + 1) * HEAP_GRAIN bytes */
	char *next, *end;          /* of the piece that is being cut */
	struct heap_piece *pieces;
	size_t piece;             /* size of the last */
	struct heap_large *large; /* blocks that are too large for a class */
};

/* As Lua's allocator (lua_Alloc): `old` bytes at `p`, or NULL, become `n`. NULL: there is
 * no memory, or `n` is 0. */
void *heap_resize(struct heap *h, void *p, size_t old, size_t n);
void heap_fini(struct heap *h); /* all blocks */

#endif

#ifndef BASE_ARENA_H
#define BASE_ARENA_H

/* Memory that is released all at once. Not for several threads at a time. */
#include <stddef.h>

#include "base/mem.h"

struct arena {
	struct arena_block *head;
	char *next, *end;
	size_t block; /* bytes of the last block for several things */
};

#define ARENA_INIT                                                                       \
	{                                                                                \
		NULL, NULL, NULL, 0                                                      \
	}

/* Before anything else: the first `n` bytes are taken from there, which is zeroed,
 * aligned for any type, and outlives it. */
void arena_begin(struct arena *a, void *p, size_t n);
/* Before anything else: much will be taken, so that the first block has `n` bytes. */
void arena_expect(struct arena *a, size_t n);
void arena_fini(struct arena *a);
void *arena_alloc(struct arena *a, size_t n); /* zeroed, aligned for any type */
void *arena_memdup(struct arena *a, const void *p, size_t n);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
/* The two, one after the other. */
char *arena_concat(struct arena *a, const char *first, const char *second);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);

#endif

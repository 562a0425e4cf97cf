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

void arena_fini(struct arena *a);
void *arena_alloc(struct arena *a, size_t n); /* zeroed, aligned for any type */
void *arena_memdup(struct arena *a, const void *p, size_t n);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
/* The two, one after the other. */
char *arena_concat(struct arena *a, const char *first, const char *second);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);

#endif

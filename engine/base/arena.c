#include "base/arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The first block is small, since many arenas hold little; each is larger than the one
 * before. */
enum { FIRST_SIZE = 512, SMALL_SIZE = 1 << 20, LARGE_SIZE = 2 * MEM_LARGE_PAGE };

struct arena_block {
	struct arena_block *next;
	bool large; /* LARGE_SIZE bytes of the kernel's */
	_Alignas(max_align_t) char bytes[];
};

void arena_fini(struct arena *a)
{
	struct arena_block *next;

	for (struct arena_block *b = a->head; b; b = next) {
		next = b->next;
		if (b->large)
			mem_pages_free(b, LARGE_SIZE);
		else
			free(b);
	}
	*a = (struct arena)ARENA_INIT;
}

void arena_begin(struct arena *a, void *p, size_t n)
{
	*a = (struct arena){ .next = p, .end = (char *)p + n };
}

void arena_expect(struct arena *a, size_t n)
{
	a->block = n / 2;
}

static struct arena_block *new_block(size_t size)
{
	struct arena_block *b = size == LARGE_SIZE ? mem_pages(size) : NULL;
	bool large = b != NULL;

	if (!b)
		b = mem_alloc(size);
	b->large = large;
	return b;
}

static void *bump(struct arena *a, size_t n, size_t align)
{
	size_t pad = (align - (size_t)a->next % align) % align;
	struct arena_block *b;
	size_t block = a->block ? 2 * a->block : FIRST_SIZE, size;
	char *p;

	if (a->next && (size_t)(a->end - a->next) >= n + pad) {
		p = a->next + pad;
		a->next = p + n;
		return p;
	}
	if (block > SMALL_SIZE)
		block = LARGE_SIZE;
	size = n > block / 4 ? n + sizeof(*b) : block;
	b = new_block(size);
	b->next = a->head;
	a->head = b;
	if (size != block)
		return b->bytes; /* a large one of its own: the open block stays in use */
	a->block = block;
	a->next = b->bytes + n;
	a->end = (char *)b + size;
	return b->bytes;
}

void *arena_alloc(struct arena *a, size_t n)
{
	return bump(a, n, _Alignof(max_align_t));
}

void *arena_memdup(struct arena *a, const void *p, size_t n)
{
	void *q = bump(a, n ? n : 1, _Alignof(max_align_t));

	if (n)
		memcpy(q, p, n);
	return q;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p = bump(a, n + 1, 1);

	memcpy(p, s, n);
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *arena_concat(struct arena *a, const char *first, const char *second)
{
	size_t n = strlen(first), m = strlen(second) + 1;
	char *p = bump(a, n + m, 1);

	memcpy(p, first, n);
	memcpy(p + n, second, m);
	return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	p = bump(a, (size_t)n + 1, 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

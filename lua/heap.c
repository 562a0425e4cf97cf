#include "lua/heap.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	SMALL_MAX = HEAP_GRAIN * HEAP_CLASSES,
	FIRST_PIECE = 64 << 10,
	SMALL_PIECE = 512 << 10,
	LARGE_PIECE = 2 * MEM_LARGE_PAGE
};

struct heap_piece {
	struct heap_piece *next;
	size_t size; /* with this */
	_Alignas(max_align_t) char bytes[];
};

struct heap_large {
	struct heap_large *next, **link; /* `link` points here */
	_Alignas(max_align_t) char bytes[];
};

static size_t class_of(size_t n)
{
	return (n - 1) / HEAP_GRAIN;
}

/* Each is twice as large as the one before, up to where a recipe is large. */
static bool add_piece(struct heap *h)
{
	size_t size = h->piece ? 2 * h->piece : FIRST_PIECE;
	struct heap_piece *piece;

	if (size > SMALL_PIECE)
		size = LARGE_PIECE;
	piece = size == LARGE_PIECE ? mem_pages(size) : malloc(size);
	if (!piece)
		return false;
	piece->next = h->pieces;
	piece->size = size;
	h->pieces = piece;
	h->piece = size;
	h->next = piece->bytes;
	h->end = (char *)piece + size;
	return true;
}

static void *cut(struct heap *h, size_t n)
{
	void *p;

	if ((size_t)(h->end - h->next) < n && !add_piece(h))
		return NULL;
	p = h->next;
	h->next += n;
	return p;
}

static void *take(struct heap *h, size_t n)
{
	size_t c = class_of(n);
	void *p = h->spare[c];

	if (!p)
		return cut(h, (c + 1) * HEAP_GRAIN);
	memcpy(&h->spare[c], p, sizeof(void *));
	return p;
}

static void give(struct heap *h, void *p, size_t n)
{
	size_t c = class_of(n);

	memcpy(p, &h->spare[c], sizeof(void *));
	h->spare[c] = p;
}

static void *link_large(struct heap *h, struct heap_large *l)
{
	l->next = h->large;
	l->link = &h->large;
	if (l->next)
		l->next->link = &l->next;
	h->large = l;
	return l->bytes;
}

static struct heap_large *unlink_large(void *p)
{
	struct heap_large *l =
		(struct heap_large *)((char *)p - offsetof(struct heap_large, bytes));

	*l->link = l->next;
	if (l->next)
		l->next->link = l->link;
	return l;
}

static void release(struct heap *h, void *p, size_t n)
{
	if (n > SMALL_MAX)
		free(unlink_large(p));
	else if (n)
		give(h, p, n);
}

/* From one large block to another, which malloc may be able to do without a copy. */
static void *resize_large(struct heap *h, void *p, size_t n)
{
	struct heap_large *old = p ? unlink_large(p) : NULL;
	struct heap_large *l = realloc(old, sizeof(*l) + n);

	if (l)
		return link_large(h, l);
	if (old)
		link_large(h, old);
	return NULL;
}

void *heap_resize(struct heap *h, void *p, size_t old, size_t n)
{
	void *to;

	if (!p)
		old = 0;
	if (!n) {
		release(h, p, old);
		return NULL;
	}
	if (n > SMALL_MAX && (!old || old > SMALL_MAX))
		return resize_large(h, p, n);
	if (old && old <= SMALL_MAX && n <= SMALL_MAX && class_of(old) == class_of(n))
		return p;
	to = n > SMALL_MAX ? resize_large(h, NULL, n) : take(h, n);
	if (!to) /* what shrinks stays where it is, and counts as small from now on */
		return n < old ? p : NULL;
	if (old)
		memcpy(to, p, n < old ? n : old);
	release(h, p, old);
	return to;
}

void heap_fini(struct heap *h)
{
	while (h->pieces) {
		struct heap_piece *next = h->pieces->next;

		if (h->pieces->size == LARGE_PIECE)
			mem_pages_free(h->pieces, LARGE_PIECE);
		else
			free(h->pieces);
		h->pieces = next;
	}
	while (h->large) {
		struct heap_large *next = h->large->next;

		free(h->large);
		h->large = next;
	}
	*h = (struct heap){ .next = NULL };
}

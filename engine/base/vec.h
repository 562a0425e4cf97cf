#ifndef BASE_VEC_H
#define BASE_VEC_H

/* Growing arrays: `VEC(struct step) steps = { 0 };`. Elements live in `at`. */
#include <stddef.h>

#include "base/mem.h"

#define VEC(T)                                                                           \
	struct {                                                                         \
		T *at;                                                                   \
		size_t len, cap;                                                         \
	}

#define vec_push(v, x)                                                                   \
	do {                                                                             \
		if ((v)->len == (v)->cap) {                                              \
			(v)->cap = (v)->cap ? (v)->cap * 2 : 8;                          \
			(v)->at = mem_grow((v)->at, (v)->cap, sizeof(*(v)->at));         \
		}                                                                        \
		(v)->at[(v)->len++] = (x);                                               \
	} while (0)

#define vec_fini(v)                                                                      \
	do {                                                                             \
		free((v)->at);                                                           \
		(v)->at = NULL;                                                          \
		(v)->len = (v)->cap = 0;                                                 \
	} while (0)

/* Strings that the list owns. */
struct strlist {
	char **at;
	size_t len, cap;
};

#define STRLIST_INIT                                                                     \
	{                                                                                \
		NULL, 0, 0                                                               \
	}
#define AUTO_STRLIST AUTO(strlist_fini) struct strlist

void strlist_add(struct strlist *l, const char *s);
void strlist_take(struct strlist *l, char *s); /* s belongs to the list now */
void strlist_sort(struct strlist *l);          /* bytewise */
int strlist_has(const struct strlist *l, const char *s);
void strlist_fini(struct strlist *l);

#endif

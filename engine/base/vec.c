#include "base/vec.h"

#include <string.h>

void strlist_take(struct strlist *l, char *s)
{
	vec_push(l, s);
}

void strlist_add(struct strlist *l, const char *s)
{
	strlist_take(l, mem_strdup(s));
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strlist_sort(struct strlist *l)
{
	if (l->len)
		qsort(l->at, l->len, sizeof(*l->at), by_bytes);
}

int strlist_has(const struct strlist *l, const char *s)
{
	for (size_t i = 0; i < l->len; i++)
		if (!strcmp(l->at[i], s))
			return 1;
	return 0;
}

void strlist_fini(struct strlist *l)
{
	for (size_t i = 0; i < l->len; i++)
		free(l->at[i]);
	vec_fini(l);
}

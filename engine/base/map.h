#ifndef BASE_MAP_H
#define BASE_MAP_H

/* Strings to pointers. Iterates in order of insertion: `for (i < m->len) m->at[i]`.
 * Keys are copied; values are the caller's. */
#include <stddef.h>
#include <stdint.h>

struct map_entry {
	char *key;
	void *value;
	uint64_t hash;
};

struct map {
	struct map_entry *at;
	size_t len, cap;
	uint32_t *slots; /* index + 1 into `at`, open addressing */
	size_t n_slots;
};

#define MAP_INIT                                                                         \
	{                                                                                \
		NULL, 0, 0, NULL, 0                                                      \
	}

void map_fini(struct map *m);
void *map_get(const struct map *m, const char *key);       /* NULL: absent */
void map_put(struct map *m, const char *key, void *value); /* replaces */

#endif

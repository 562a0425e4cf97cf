#include "base/map.h"

#include <string.h>

#include "base/mem.h"

static uint64_t hash_of(const char *s)
{
	uint64_t h = 1469598103934665603u; /* FNV-1a */

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211u;
	return h;
}

static size_t slot_of(const struct map *m, const char *key, uint64_t hash)
{
	size_t i = hash & (m->n_slots - 1);

	while (m->slots[i]) {
		const struct map_entry *e = &m->at[m->slots[i] - 1];

		if (e->hash == hash && !strcmp(e->key, key))
			break;
		i = (i + 1) & (m->n_slots - 1);
	}
	return i;
}

static void rehash(struct map *m)
{
	m->n_slots = m->n_slots ? m->n_slots * 2 : 16;
	free(m->slots);
	m->slots = mem_alloc(m->n_slots * sizeof(*m->slots));
	for (size_t i = 0; i < m->len; i++)
		m->slots[slot_of(m, m->at[i].key, m->at[i].hash)] = (uint32_t)i + 1;
}

void *map_get(const struct map *m, const char *key)
{
	size_t i;

	if (!m->n_slots)
		return NULL;
	i = slot_of(m, key, hash_of(key));
	return m->slots[i] ? m->at[m->slots[i] - 1].value : NULL;
}

void map_put(struct map *m, const char *key, void *value)
{
	uint64_t hash = hash_of(key);
	size_t i;

	if (2 * (m->len + 1) > m->n_slots)
		rehash(m);
	i = slot_of(m, key, hash);
	if (m->slots[i]) {
		m->at[m->slots[i] - 1].value = value;
		return;
	}
	if (m->len == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 16;
		m->at = mem_grow(m->at, m->cap, sizeof(*m->at));
	}
	m->at[m->len++] = (struct map_entry){ mem_strdup(key), value, hash };
	m->slots[i] = (uint32_t)m->len;
}

void map_fini(struct map *m)
{
	for (size_t i = 0; i < m->len; i++)
		free(m->at[i].key);
	free(m->at);
	free(m->slots);
	*m = (struct map)MAP_INIT;
}

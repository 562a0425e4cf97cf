#include <pthread.h>
#include <stdlib.h>

#include "base/map.h"
#include "sandbox/layer_plan.h"

struct layers_memory {
	pthread_mutex_t lock;
	struct map plans; /* hex of the chain → struct layer_plan *, stripped */
};

struct layers_memory *layers_memory_new(void)
{
	struct layers_memory *m = mem_alloc(sizeof(*m));

	pthread_mutex_init(&m->lock, NULL);
	return m;
}

void layers_memory_free(struct layers_memory *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->plans.len; i++) {
		layer_plan_fini(m->plans.at[i].value);
		free(m->plans.at[i].value);
	}
	map_fini(&m->plans);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

const struct layer_plan *layers_memory_get(struct layers_memory *m,
                                           const struct digest *chain)
{
	char hex[DIGEST_HEX + 1];
	const struct layer_plan *p;

	pthread_mutex_lock(&m->lock);
	p = map_get(&m->plans, digest_hex(chain, hex));
	pthread_mutex_unlock(&m->lock);
	return p;
}

bool layers_memory_put(struct layers_memory *m, const struct digest *chain,
                       struct layer_plan *p)
{
	char hex[DIGEST_HEX + 1];
	bool first;

	pthread_mutex_lock(&m->lock);
	first = !map_get(&m->plans, digest_hex(chain, hex));
	if (first) {
		layer_plan_strip(p);
		map_put(&m->plans, hex, p);
	}
	pthread_mutex_unlock(&m->lock);
	return first;
}

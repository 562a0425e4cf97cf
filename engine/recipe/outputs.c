#include "recipe/outputs.h"

#include <string.h>

#include "base/buf.h"

static int compare(const void *a, const void *b)
{
	const struct target *const *x = a, *const *y = b;
	int order = strcmp((*x)->output, (*y)->output);

	return order ? order : (*x)->index < (*y)->index ? -1 : 1;
}

void outputs_index(struct recipe *r)
{
	r->rules = arena_alloc(&r->arena, (r->n_targets + 1) * sizeof(struct target *));
	r->n_rules = 0;
	for (size_t i = 0; i < r->n_targets; i++)
		if (r->targets[i]->output)
			r->rules[r->n_rules++] = r->targets[i];
	if (r->n_rules)
		qsort(r->rules, r->n_rules, sizeof(struct target *), compare);
}

/* The first one that does not sort before `path`. */
static size_t lower_bound(const struct recipe *r, const char *path)
{
	size_t lo = 0, hi = r->n_rules;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(r->rules[mid]->output, path) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void outputs_near(const struct recipe *r, const char *path,
                  void (*fn)(void *self, struct target *rule), void *self)
{
	AUTO_BUF at = BUF_INIT;
	bool root = !strcmp(path, ".");

	for (const char *s = path; !root && *s;) { /* each directory on the way, and path
		                                    */
		size_t n = strcspn(s, "/");

		buf_add(&at, s, n);
		for (size_t i = lower_bound(r, at.s);
		     i < r->n_rules && !strcmp(r->rules[i]->output, at.s); i++)
			fn(self, r->rules[i]);
		buf_addc(&at, '/');
		s += n + (s[n] != '\0');
	}
	for (size_t i = lower_bound(r, at.s);
	     i < r->n_rules && !strncmp(r->rules[i]->output, at.s, at.len); i++)
		fn(self, r->rules[i]);
}

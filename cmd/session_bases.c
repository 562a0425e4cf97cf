/* Dockerfiles depend on their bases' configuration: environment, shell, triggers. It is
 * looked up between two evaluations, for the bases that the targets asked for need. */
#include <string.h>

#include "cmd/session.h"
#include "recipe/graph.h"

struct base_configs {
	VEC(struct eval_config) list;
	struct arena arena;
};

size_t base_configs_get(const struct base_configs *c, const struct eval_config **out)
{
	*out = c ? c->list.at : NULL;
	return c ? c->list.len : 0;
}

void base_configs_free(struct base_configs *c)
{
	if (!c)
		return;
	vec_fini(&c->list);
	arena_fini(&c->arena);
	free(c);
}

static bool is_known(const struct base_configs *c, const struct target *t,
                     const char *platform)
{
	for (size_t i = 0; i < c->list.len; i++)
		if (!strcmp(c->list.at[i].name, t->name) &&
		    !strcmp(c->list.at[i].dir, t->dir) &&
		    !strcmp(c->list.at[i].platform, platform))
			return true;
	return false;
}

static int learn(struct session *s, const struct target *t, const char *platform,
                 struct err *e)
{
	struct base_configs *c = s->configs;
	struct eval_config x = { .platform = arena_strdup(&c->arena, platform) };
	AUTO_BUF text = BUF_INIT;
	struct platform p;

	if (platform_parse(&p, platform, e) < 0)
		return -1;
	if (build_base_config(s->build, t, &p, &text, e) < 0) {
		if (!s->convert || e->code == ERR_CANCELLED)
			return -1;
		progress_warning(terminal_progress(s->terminal),
		                 "what %s says is taken for nothing: %s", t->name,
		                 e->msg);
		buf_reset(&text);
	}
	x.name = arena_strdup(&c->arena, t->name);
	x.dir = arena_strdup(&c->arena, t->dir);
	x.text = arena_strdup(&c->arena, text.s);
	vec_push(&c->list, x);
	return 0;
}

static void mark(const struct recipe *r, struct target *t, bool *needed)
{
	AUTO_FREE struct target **needs = NULL;
	size_t n = 0;

	if (needed[t->index])
		return;
	needed[t->index] = true;
	graph_needs(r, t, &needs, &n);
	for (size_t i = 0; i < n; i++)
		mark(r, needs[i], needed);
}

/* The targets that words name, whatever the command does with them; else the default
 * ones. */
static void mark_asked(struct session *s, bool *needed)
{
	const struct recipe *r = s->recipe;
	const struct strlist *words = &s->options->words;
	struct target *t;
	struct err ignored;
	bool any = false;

	for (size_t i = 0; i < words->len; i++) {
		if (session_find_target(s, words->at[i], &t, &ignored) == 0) {
			mark(r, t, needed);
			any = true;
		}
	}
	for (size_t i = 0; !any && i < r->n_defaults; i++)
		mark(r, r->defaults[i], needed);
	for (size_t i = 0; !any && !r->n_defaults && i < r->n_targets; i++)
		if (r->targets[i]->kind == TARGET_IMAGE)
			mark(r, r->targets[i], needed);
}

static bool anything_wanted(const struct recipe *r)
{
	for (size_t i = 0; i < r->n_targets; i++)
		if (r->targets[i]->wants_config.n)
			return true;
	return false;
}

int session_look_at_bases(struct session *s, struct err *e)
{
	const struct recipe *r = s->recipe;
	AUTO_FREE bool *needed = NULL;
	int news = 0;

	if (!anything_wanted(r))
		return 0;
	needed = mem_alloc(r->n_targets * sizeof(*needed));
	mark_asked(s, needed);
	if (!s->configs)
		s->configs = mem_alloc(sizeof(*s->configs));
	for (size_t i = 0; i < r->n_targets; i++) {
		const struct target *t = r->targets[i];

		for (size_t k = 0; needed[i] && k < t->wants_config.n; k++) {
			if (is_known(s->configs, t, t->wants_config.at[k]))
				continue;
			if (learn(s, t, t->wants_config.at[k], e) < 0)
				return -1;
			news = 1;
		}
	}
	return news;
}

#include "build/inside.h"

#include <string.h>

#include "build/runner.h"
#include "build/secrets.h"

int build_inside_platform(const struct build *b, const struct target *t,
                          struct platform *out, struct err *e)
{
	AUTO_FREE struct platform *all = NULL;
	struct platform host;
	size_t n;

	platform_host(&host);
	if (t->on_build_platform) {
		*out = host;
		return 0;
	}
	target_platforms(b, t, &all, &n);
	for (size_t i = 0; i < n; i++) {
		*out = all[i];
		if (platform_fits(&host, out))
			return 0;
	}
	for (size_t i = 0; i < n; i++) {
		*out = all[i];
		if (run_can_execute(out, e) == 0)
			return 0;
	}
	return -1; /* as the last one said; there is one at least */
}

static int find_node(struct build *b, const struct target *t, struct node **out,
                     struct err *e)
{
	struct platform p;

	if (build_inside_platform(b, t, &p, e) < 0)
		return -1;
	*out = node_get(b, t, &p);
	if (*out && (*out)->has_result &&
	    ((*out)->status == STATUS_CURRENT || (*out)->status == STATUS_MADE))
		return 0;
	return err_set(e, ERR_FAILED, "%s '%s' was not built", target_kind_text(t->kind),
	               t->name);
}

static void add_words(struct arena *a, struct strings *argv, const struct image_config *c,
                      const char *key)
{
	json_t *list = config_get(c, key), *word;
	const char **longer =
		arena_alloc(a, (argv->n + json_array_size(list) + 1) * sizeof(*longer));
	size_t i;

	for (i = 0; i < argv->n; i++)
		longer[i] = argv->at[i];
	argv->at = longer;
	json_array_foreach(list, i, word) if (json_is_string(word)) longer[argv->n++] =
		json_string_value(word);
}

static int words_of(struct work *w, const struct inside_command *c, struct strings *argv,
                    struct err *e)
{
	const struct image_config *config = &w->below->config;

	*argv = c->argv;
	if (argv->n || c->script.n)
		return 0;
	if (c->shell) {
		argv->at = arena_alloc(&w->arena, sizeof(*argv->at));
		argv->at[0] = runner_shell_name(config);
		argv->n = 1;
		return 0;
	}
	add_words(&w->arena, argv, config, "Entrypoint");
	add_words(&w->arena, argv, config, "Cmd");
	if (argv->n)
		return 0;
	return err_set(e, ERR_INVALID,
	               "%s '%s' has neither an entrypoint nor a command; say what to run",
	               target_kind_text(w->node->target->kind), w->node->target->name);
}

static void add_secrets(struct work *w, struct step_run *r)
{
	const struct secrets *all = w->node->build->o.secrets;

	r->secrets = arena_alloc(&w->arena, (all->list.len + 1) * sizeof(*r->secrets));
	for (size_t i = 0; i < all->list.len; i++) {
		const char *id = all->list.at[i].id;

		r->secrets[r->n_secrets++] = (struct run_secret){
			.id = id,
			.path = arena_printf(&w->arena, "/run/secrets/%s", id),
			.mode = -1,
			.uid = -1,
			.gid = -1,
		};
	}
}

static int run_in(struct work *w, const struct inside_command *c,
                  struct sandbox_result *res, struct err *e)
{
	struct runner *x = arena_alloc(&w->arena, sizeof(*x));
	struct step_run *r = arena_alloc(&w->arena, sizeof(*r));

	r->lines = c->script;
	if (words_of(w, c, &r->exec, e) < 0)
		return -1;
	if (c->interactive)
		run_pass_terminal(&w->arena, &r->env);
	if (c->secrets)
		add_secrets(w, r);
	r->ssh = c->ssh;
	x->w = w;
	x->r = r;
	x->p = arena_alloc(&w->arena, sizeof(*x->p));
	x->name = c->name;
	x->finished = true;
	x->interactive = c->interactive;
	if (runner_open(x, e) < 0 || runner_run(x, res, e) < 0)
		return -1;
	return c->interactive ? 0 : runner_judge(x, res, e);
}

int build_inside(struct build *b, const struct target *t, const struct inside_command *c,
                 struct sandbox_result *res, struct err *e)
{
	struct node *n;
	struct work w;
	int rc;

	*res = (struct sandbox_result){ .end = SANDBOX_EXITED };
	if (find_node(b, t, &n, e) < 0 || node_config(n, e) < 0)
		return -1;
	rc = work_init(&w, n, &n->result, e);
	if (rc == 0)
		rc = run_in(&w, c, res, e);
	work_fini(&w);
	return rc;
}

/* The environment of a run step: the image's, the step's, and nothing of the host but its
 * proxies. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build/runner.h"
#include "build/secrets.h"

/* Passed on so that steps reach the network where we do; in no key, since they change no
 * result. */
static const char *const proxies[] = {
	"http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy",
	"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY",
};

struct environment {
	struct arena *arena;
	VEC(const char *) vars; /* "NAME=value"; the last of a name wins */
};

static void set(struct environment *env, const char *name, const char *value)
{
	size_t n = strlen(name);
	const char *text = arena_printf(env->arena, "%s=%s", name, value);

	for (size_t i = 0; i < env->vars.len; i++) {
		if (!strncmp(env->vars.at[i], name, n) && env->vars.at[i][n] == '=') {
			env->vars.at[i] = text;
			return;
		}
	}
	vec_push(&env->vars, text);
}

static void set_default(struct environment *env, const char *name, const char *value)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < env->vars.len; i++)
		if (!strncmp(env->vars.at[i], name, n) && env->vars.at[i][n] == '=')
			return;
	set(env, name, value);
}

static void take_image(struct environment *env, const struct image_config *c)
{
	json_t *list = config_get(c, "Env"), *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item),
			   *eq = text ? strchr(text, '=') : NULL;

		if (eq)
			set(env, arena_strndup(env->arena, text, (size_t)(eq - text)),
			    eq + 1);
	}
}

static int take_secrets(struct environment *env, const struct work *w,
                        const struct step_run *r, struct err *e)
{
	for (size_t i = 0; i < r->n_secrets; i++) {
		const struct secret *s;

		if (!r->secrets[i].env)
			continue;
		if (secrets_get(w->node->build->o.secrets, r->secrets[i].id, &s, e) < 0) {
			if (r->secrets[i].optional && e->code == ERR_NOT_FOUND)
				continue;
			return -1;
		}
		set(env, r->secrets[i].env, s->value.s);
	}
	return 0;
}

static void set_platform(struct environment *env, const char *side,
                         const struct platform *p)
{
	struct arena *a = env->arena;
	char text[100];

	set(env, arena_printf(a, "%sPLATFORM", side), platform_text(p, text));
	set(env, arena_printf(a, "%sOS", side), p->os);
	set(env, arena_printf(a, "%sARCH", side), p->arch);
	set(env, arena_printf(a, "%sVARIANT", side), p->variant);
}

/* What tells a step of the build around it. */
static void take_build(struct environment *env, const struct node *n,
                       const struct step_run *r)
{
	struct platform host;

	if (r->platform) {
		platform_host(&host);
		set_platform(env, "TARGET", &n->for_platform);
		set_platform(env, "BUILD", &host);
	}
	set(env, "SOURCE_DATE_EPOCH",
	    arena_printf(env->arena, "%lld", (long long)build_epoch(n->build)));
	if (!n->target->on_build_platform)
		return;
	set(env, "TARGETOS", n->for_platform.os);
	set(env, "TARGETARCH", n->for_platform.arch);
	set(env, "TARGETVARIANT", n->for_platform.variant);
}

static void take_defaults(struct environment *env, const char *home)
{
	const char *value;

	set_default(env, "PATH",
	            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	set_default(env, "HOME", home);
	for (size_t i = 0; i < ARRAY_LEN(proxies); i++)
		if ((value = getenv(proxies[i])))
			set_default(env, proxies[i], value);
}

void run_pass_terminal(struct arena *a, struct pairs *env)
{
	const char *term = getenv("TERM");
	struct pair *longer;

	if (!term)
		return;
	longer = arena_alloc(a, (env->n + 1) * sizeof(*longer));
	for (size_t i = 0; i < env->n; i++)
		longer[i] = env->at[i];
	longer[env->n] = (struct pair){ "TERM", term };
	*env = (struct pairs){ longer, env->n + 1 };
}

int run_environment(struct runner *x, struct strings *out, struct err *e)
{
	struct environment env = { .arena = &x->w->arena };
	const struct step_run *r = x->r;

	take_image(&env, &x->w->below->config);
	if (!x->finished)
		take_build(&env, x->w->node, r);
	for (size_t i = 0; i < r->env.n; i++)
		set(&env, r->env.at[i].key, r->env.at[i].value);
	for (size_t i = 0; i < r->proxies.n; i++)
		set_default(&env, r->proxies.at[i].key, r->proxies.at[i].value);
	take_defaults(&env, x->at.home);
	if (run_has_agent(r))
		set(&env, "SSH_AUTH_SOCK", run_agent_path(r));
	if (take_secrets(&env, x->w, r, e) < 0) {
		vec_fini(&env.vars);
		return -1;
	}
	vec_push(&env.vars, NULL);
	out->n = env.vars.len - 1;
	out->at =
		arena_memdup(env.arena, env.vars.at, env.vars.len * sizeof(*env.vars.at));
	vec_fini(&env.vars);
	return 0;
}

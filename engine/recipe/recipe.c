#include "recipe/recipe.h"

#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "base/path.h"
#include "base/vec.h"
#include "recipe/outputs.h"

const char *const ignore_names[] = { ".imgmakeignore", ".dockerignore", NULL };

struct recipe *recipe_new(void)
{
	struct recipe *r = mem_alloc(sizeof(*r));

	r->root_fd = -1;
	r->dir = "";
	r->by_name = (struct map)MAP_INIT;
	r->json = json_array();
	return r;
}

void recipe_free(struct recipe *r)
{
	if (!r)
		return;
	json_decref(r->json);
	map_fini(&r->by_name);
	arena_fini(&r->arena);
	if (r->root_fd >= 0)
		close(r->root_fd);
	free(r->root);
	free(r);
}

void recipe_index(struct recipe *r)
{
	for (size_t i = 0; i < r->n_targets; i++) {
		struct target *t = r->targets[i];
		const struct target *old = map_get(&r->by_name, t->name);

		if (!old || (old->kind == TARGET_BASE && t->kind != TARGET_BASE))
			map_put(&r->by_name, t->name, t);
	}
	outputs_index(r);
}

static int not_found(const struct recipe *r, const char *name, struct err *e)
{
	VEC(const char *) names = { 0 };
	const char *near;

	for (size_t i = 0; i < r->n_targets; i++)
		if (r->targets[i]->kind != TARGET_BASE)
			vec_push(&names, r->targets[i]->name);
	near = nearest_name(name, names.at, names.len);
	if (near)
		err_set(e, ERR_NOT_FOUND, "no target '%s', did you mean '%s'?", name,
		        near);
	else
		err_set(e, ERR_NOT_FOUND, "no target '%s' ('imgmake list' shows them)",
		        name);
	vec_fini(&names);
	return -1;
}

int recipe_find(const struct recipe *r, const char *name, struct target **out,
                struct err *e)
{
	AUTO_BUF path = BUF_INIT;
	struct target *t = map_get(&r->by_name, name);

	path_clean(&path, name);
	if (!t)
		t = map_get(&r->by_name, path.s);
	if (!t) { /* "out" for the rule of "out/" */
		buf_addc(&path, '/');
		t = map_get(&r->by_name, path.s);
	}
	if (!t)
		return not_found(r, name, e);
	*out = t;
	return 0;
}

const char *target_kind_text(enum target_kind k)
{
	static const char *const names[] = {
		[TARGET_BASE] = "base",   [TARGET_STAGE] = "stage",
		[TARGET_IMAGE] = "image", [TARGET_CHECK] = "check",
		[TARGET_FILE] = "file",   [TARGET_TASK] = "task",
	};

	return names[k];
}

const char *step_kind_text(enum step_kind k)
{
	static const char *const names[] = {
		[STEP_COPY] = "copy",       [STEP_WRITE] = "write",
		[STEP_MKDIR] = "mkdir",     [STEP_SYMLINK] = "symlink",
		[STEP_REMOVE] = "remove",   [STEP_UNPACK] = "unpack",
		[STEP_ADD] = "add",         [STEP_GIT] = "add",
		[STEP_ACCOUNT] = "account", [STEP_LAYER] = "layer",
		[STEP_RUN] = "run",         [STEP_ENV] = "env",
		[STEP_WORKDIR] = "workdir", [STEP_USER] = "user",
		[STEP_CONFIG] = "config",
	};

	return names[k];
}

bool step_changes_files(const struct step *s)
{
	return s->kind <= STEP_RUN;
}

bool step_runs(const struct step *s)
{
	for (size_t i = 0; s->kind == STEP_LAYER && i < s->layer.n; i++)
		if (step_runs(&s->layer.at[i]))
			return true;
	return s->kind == STEP_RUN;
}

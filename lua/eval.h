#ifndef LUA_EVAL_H
#define LUA_EVAL_H

/* Evaluates an Imagefile, and those it imports, into a recipe. Recipes are foreign code:
 * they see what 1-language.md lists and nothing else, and memory, instructions, depth and
 * processor time are bounded. Nothing of Lua is left when this returns. */
#include <stdbool.h>

#include "base/progress.h"
#include "recipe/recipe.h"

/* What one evaluation may use; 0 stands for the default. */
struct eval_limits {
	size_t memory;  /* bytes of Lua's heap: 256 MiB */
	size_t string;  /* bytes of one string or table's array: 32 MiB */
	int64_t work;   /* instructions, and steps of library functions: 500 million */
	int64_t cpu_ms; /* processor time of the evaluating thread: 10 s */
};

/* The configuration of a base. Evaluation that needs it and does not have it says so in
 * target.wants_config, and goes on as if it were empty. */
struct eval_config {
	const char *name, *dir; /* of the base */
	const char *platform;   /* "linux/amd64" */
	const char *text;       /* JSON; "" if it cannot be had now */
};

struct eval_options {
	const char *file;             /* -f; NULL: "Imagefile". It may be a Dockerfile */
	const char *dir;              /* -C; NULL: the current directory */
	const struct pair *overrides; /* NAME=VALUE of the command line */
	size_t n_overrides;
	const struct pair *contexts; /* --build-context */
	size_t n_contexts;
	const char *const *platforms; /* --platform */
	size_t n_platforms;
	const struct eval_config *configs; /* of bases, as far as they are known */
	size_t n_configs;
	/* Names that no target may have, NULL-terminated: a Dockerfile is converted, and
	 * recipe.text gets the Imagefile. Else NULL. */
	const char *const *convert;
	bool lint;   /* recipe.text gets what is to be said of it, as JSON */
	bool no_env; /* IMGMAKE_VAR_NAME is not looked at */
	struct progress *progress; /* gets what `print` prints; may be NULL */
	struct eval_limits limits;
};

/* *out belongs to the caller (recipe_free). Errors begin with the place in the user's own
 * code: "services/Imagefile:12: …", relative to the project's root. Names of targets are
 * unique, but graph_check is left to the caller, who knows the commands' names. */
MUST_CHECK int eval_recipe(struct recipe **out, const struct eval_options *o,
                           struct err *e);

#endif

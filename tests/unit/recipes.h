/* A project in a temporary directory, for tests that evaluate Imagefiles. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lua/eval.h"
#include "os/fd.h"
#include "os/file.h"

static char project[64];
static int project_fd = -1;

static inline int make_project(void **state)
{
	struct err e;

	(void)state;
	strcpy(project, "/tmp/imgmake-eval.XXXXXX");
	if (!mkdtemp(project))
		return -1;
	project_fd = open(project, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return file_mkdirs(project_fd, ".git", 0755, &e);
}

static inline int remove_project(void **state)
{
	struct err e;

	(void)state;
	close(project_fd);
	return file_remove_tree(AT_FDCWD, project, &e);
}

static inline void put(const char *path, const char *text)
{
	AUTO_FREE char *dir = mem_strdup(path);
	char *slash = strrchr(dir, '/');
	struct err e;

	if (slash) {
		*slash = '\0';
		assert_int_equal(file_mkdirs(project_fd, dir, 0755, &e), 0);
	}
	assert_int_equal(file_replace(project_fd, path, text, strlen(text), 0644, &e), 0);
}

static inline struct eval_options in_project(void)
{
	return (struct eval_options){ .dir = project, .no_env = true };
}

static inline struct recipe *evaluate_with(const struct eval_options *o)
{
	struct recipe *r = NULL;
	struct err e;

	if (eval_recipe(&r, o, &e) < 0)
		fail_msg("%s", e.msg);
	return r;
}

static inline struct recipe *evaluate(const char *text)
{
	struct eval_options o = in_project();

	put("Imagefile", text);
	return evaluate_with(&o);
}

static inline void refused_with(const struct eval_options *o, const char *expected)
{
	struct recipe *r = NULL;
	struct err e;

	if (eval_recipe(&r, o, &e) == 0)
		fail_msg("accepted; expected: %s", expected);
	assert_string_equal(e.msg, expected);
}

static inline void refused(const char *text, const char *expected)
{
	struct eval_options o = in_project();

	put("Imagefile", text);
	refused_with(&o, expected);
}

static inline struct target *target_named(const struct recipe *r, const char *name)
{
	struct target *t = NULL;
	struct err e;

	if (recipe_find(r, name, &t, &e) < 0)
		fail_msg("%s", e.msg);
	return t;
}

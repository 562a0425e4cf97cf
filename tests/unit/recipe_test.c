#include "recipe/recipe.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/vec.h"
#include "os/file.h"
#include "recipe/source.h"

static char dir[64];
static int dir_fd = -1;

static void put(const char *path)
{
	struct err e;

	assert_int_equal(file_replace(dir_fd, path, path, strlen(path), 0644, &e), 0);
}

static int make_tree(void **state)
{
	struct err e;

	(void)state;
	strcpy(dir, "/tmp/imgmake-recipe.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file_mkdirs(dir_fd, "a/b", 0755, &e) < 0 ||
	    file_mkdirs(dir_fd, "a/.git", 0755, &e) < 0)
		return -1;
	put("x.c");
	put("a/y.c");
	put("a/b/z.c");
	put("a/.git/w.c");
	return symlinkat("a", dir_fd, "link") < 0;
}

static int remove_tree(void **state)
{
	struct err e;

	(void)state;
	close(dir_fd);
	return file_remove_tree(AT_FDCWD, dir, &e);
}

static void globs(const char *pattern, const char *hidden, const char *expected)
{
	AUTO_STRLIST hide = STRLIST_INIT;
	AUTO_STRLIST hits = STRLIST_INIT;
	AUTO_BUF all = BUF_INIT;
	struct err e;

	if (hidden)
		strlist_add(&hide, hidden);
	if (source_glob(dir_fd, pattern, &hide, &hits, &e) < 0)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < hits.len; i++)
		buf_addf(&all, "%s%s", i ? " " : "", hits.at[i]);
	assert_string_equal(all.s, expected);
}

static void globs_are_sorted_and_follow_no_link(void **state)
{
	(void)state;
	globs("**/*.c", NULL, "a/b/z.c a/y.c x.c");
	globs("*", NULL, "a link x.c");
	globs("a/*", NULL, "a/b a/y.c");
	globs("./a/b/", NULL, "a/b");
	globs("none*", NULL, "");
}

static void globs_leave_out_what_is_hidden_and_what_is_gits(void **state)
{
	(void)state;
	globs("**/*.c", "a/b", "a/y.c x.c");
	globs("a/.git/*", NULL, "");
}

static void reading_stays_beneath(void **state)
{
	static const char *const bad[] = { "",          "/etc/passwd", "../x",
		                           "a/../../x", "a",           "none" };
	AUTO_BUF text = BUF_INIT;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(source_read(dir_fd, bad[i], &text, &e), -1);
	assert_int_equal(source_read(dir_fd, "link/y.c", &text, &e), 0);
	assert_string_equal(text.s, "a/y.c");
}

static void the_root_is_the_nearest_with_a_mark(void **state)
{
	AUTO_BUF deep = BUF_INIT;
	AUTO_BUF expected = BUF_INIT;
	AUTO_FREE char *root = NULL;

	(void)state;
	buf_addf(&deep, "%s/a/b", dir);
	buf_addf(&expected, "%s/a", dir);
	root = source_root(deep.s);
	assert_string_equal(root, expected.s);
	free(root);
	put("a/b/Imagefile.lock");
	root = source_root(deep.s);
	assert_string_equal(root, deep.s);
	free(root);
	root = source_root(dir);
	assert_string_equal(root, dir);
}

static void kinds_have_the_names_that_recipes_use(void **state)
{
	(void)state;
	assert_string_equal(target_kind_text(TARGET_TASK), "task");
	assert_string_equal(step_kind_text(STEP_CONFIG), "config");
	assert_true(step_changes_files(&(struct step){ .kind = STEP_RUN }));
	assert_false(step_changes_files(&(struct step){ .kind = STEP_ENV }));
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(globs_are_sorted_and_follow_no_link),
		EACH(globs_leave_out_what_is_hidden_and_what_is_gits),
		EACH(reading_stays_beneath),
		EACH(the_root_is_the_nearest_with_a_mark),
		cmocka_unit_test(kinds_have_the_names_that_recipes_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

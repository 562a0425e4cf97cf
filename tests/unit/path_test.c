#include "base/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/vec.h"

static void cleans(const char *path, const char *expected)
{
	AUTO_BUF b = BUF_INIT;

	buf_adds(&b, "|"); /* what was there stays, and is no part of the path */
	path_clean(&b, path);
	assert_string_equal(b.s + 1, expected);
}

static void cleaning_folds_what_says_nothing(void **state)
{
	(void)state;
	cleans("", ".");
	cleans(".", ".");
	cleans("./", ".");
	cleans("a//b/./c/", "a/b/c");
	cleans("a/../b", "b");
	cleans("a/b/../../..", "..");
	cleans("../../a", "../../a");
	cleans("../a/..", "..");
	cleans("a/..", ".");
	cleans("..a/...", "..a/...");
}

static void nothing_is_above_the_root(void **state)
{
	(void)state;
	cleans("/", "/");
	cleans("///", "/");
	cleans("/..", "/");
	cleans("/../../a/..//b", "/b");
	cleans("/a/..", "/");
}

static void joins(const char *base, const char *path, const char *expected)
{
	AUTO_BUF b = BUF_INIT;

	path_join(&b, base, path);
	assert_string_equal(b.s, expected);
}

static void joining_starts_over_at_an_absolute_path(void **state)
{
	(void)state;
	joins("/app", "x/../y", "/app/y");
	joins("/app", "/etc", "/etc");
	joins("", "x", "x");
	joins("a", "", "a");
	joins("/", "x", "/x");
	joins("a", "../..", "..");
}

static void parts(const char *path, const char *dir, const char *base)
{
	AUTO_FREE char *d = path_dir(path);

	assert_string_equal(d, dir);
	assert_string_equal(path_base(path), base);
}

static void directory_and_name_make_up_a_path(void **state)
{
	(void)state;
	parts("a/b/c", "a/b", "c");
	parts("c", ".", "c");
	parts("/c", "/", "c");
	parts("/", "/", "");
}

static void below_goes_by_whole_components(void **state)
{
	(void)state;
	assert_true(path_below("a/b", "a"));
	assert_true(path_below("a", "a"));
	assert_false(path_below("ab", "a"));
	assert_false(path_below("a", "a/b"));
	assert_true(path_below("x", "."));
	assert_false(path_below("../x", "."));
	assert_false(path_below("/x", "."));
	assert_true(path_below("/x", "/"));
}

static void only_two_dots_escape(void **state)
{
	(void)state;
	assert_true(path_escapes(".."));
	assert_true(path_escapes("../x"));
	assert_false(path_escapes("..x"));
	assert_false(path_escapes("."));
}

static void components_come_one_by_one(void **state)
{
	const char *s = "//a/bc//d/", *part;
	AUTO_BUF b = BUF_INIT;
	size_t n;

	(void)state;
	while ((part = path_next(&s, &n)))
		buf_addf(&b, "<%.*s>", (int)n, part);
	assert_string_equal(b.s, "<a><bc><d>");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cleaning_folds_what_says_nothing),
		cmocka_unit_test(nothing_is_above_the_root),
		cmocka_unit_test(joining_starts_over_at_an_absolute_path),
		cmocka_unit_test(directory_and_name_make_up_a_path),
		cmocka_unit_test(below_goes_by_whole_components),
		cmocka_unit_test(only_two_dots_escape),
		cmocka_unit_test(components_come_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static struct pattern *compile(const char *text)
{
	struct pattern *p;
	struct err e;

	if (pattern_new(&p, text, &e) < 0)
		fail_msg("%s", e.msg);
	return p;
}

static void yes(const char *text, const char *path)
{
	struct pattern *p = compile(text);

	if (!pattern_match(p, path))
		fail_msg("'%s' should match %s", text, path);
	pattern_free(p);
}

static void no(const char *text, const char *path)
{
	struct pattern *p = compile(text);

	if (pattern_match(p, path))
		fail_msg("'%s' should not match %s", text, path);
	pattern_free(p);
}

static void a_literal_is_itself_and_not_its_content(void **state)
{
	(void)state;
	yes("src/main.c", "src/main.c");
	yes("./src//main.c/", "src/main.c");
	no("src", "src/main.c");
	no("src/main.c", "src");
}

static void star_stays_within_a_component(void **state)
{
	(void)state;
	yes("*.c", "main.c");
	no("*.c", "src/main.c");
	yes("src/*", "src/.hidden");
	no("src/*", "src/a/b");
	yes("a*b*c", "aXbYbZc");
	no("a*b*c", "aXbYbZ");
}

static void two_stars_are_any_number_of_components(void **state)
{
	(void)state;
	yes("**/*.c", "main.c");
	yes("**/*.c", "a/b/main.c");
	yes("src/**", "src/a/b");
	no("src/**", "src");
	no("src/**", "srcs/a");
	yes("src/**/x", "src/x");
	yes("src/**/x", "src/a/b/x");
	no("src/**/x", "src/ax");
	yes("**", "a/b");
	yes("src**.c", "src/a/b.c");
	no("**/test_*", "a/mytest_b");
}

static void classes_negate_as_in_shell_and_go(void **state)
{
	(void)state;
	yes("[a-c]x", "bx");
	no("[a-c]x", "dx");
	yes("[^a-c]x", "dx");
	yes("[!a-c]x", "dx");
	no("[!a-c]x", "ax");
	no("a[^b]c", "a/c");
	yes("[ä-ü]", "ö");
	yes("?", "ö");
}

static void backslash_quotes(void **state)
{
	(void)state;
	yes("\\*", "*");
	no("\\*", "x");
	yes("\\d", "d");
	yes("[\\]]", "]");
}

static void bytes_that_are_no_text_match_themselves(void **state)
{
	(void)state;
	yes("a\xff*", "a\xff"
	              "b");
	no("a\xff*", "a\xfe"
	             "b");
	yes("a?b", "a\xff"
	           "b");
}

static void what_is_malformed_is_refused(void **state)
{
	static const char *const bad[] = { "[", "a[b", "a\\", "[z-", "[]" };
	struct pattern *p;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(pattern_new(&p, bad[i], &e), -1);
		assert_int_equal(e.code, ERR_INVALID);
	}
}

static void below(const char *text, const char *dir, bool expected)
{
	struct pattern *p = compile(text);

	if (pattern_may_match_below(p, dir) != expected)
		fail_msg("'%s' below %s", text, dir);
	pattern_free(p);
}

static void directories_that_cannot_matter_are_known(void **state)
{
	(void)state;
	below("src/*.c", ".", true);
	below("src/*.c", "src", true);
	below("src/*.c", "src/sub", false);
	below("src/*.c", "doc", false);
	below("src/**/x", "src/a/b", true);
	below("**/x", "any", true);
	below("a/b/c", "a/b", true);
	below("a/b/c", "a/b/c", false);
	below("a/b/c", "a/bb", false);
	below("*/x", "a", true);
	below("*/x", "a/b", false);
}

static void many_stars_take_no_time(void **state)
{
	AUTO_BUF text = BUF_INIT;
	AUTO_BUF path = BUF_INIT;

	(void)state;
	for (int i = 0; i < 200; i++) {
		buf_adds(&text, "**/*a");
		buf_adds(&path, "aaaaaaaaaa/aaaaaaaa");
	}
	buf_adds(&text, "*b/x");
	no(text.s, path.s);
}

static void literals_are_told_from_patterns(void **state)
{
	(void)state;
	assert_true(pattern_is_literal("src/a.b+c{d}"));
	assert_false(pattern_is_literal("a*"));
	assert_false(pattern_is_literal("a?"));
	assert_false(pattern_is_literal("[a]"));
	assert_false(pattern_is_literal("a\\b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_literal_is_itself_and_not_its_content),
		cmocka_unit_test(star_stays_within_a_component),
		cmocka_unit_test(two_stars_are_any_number_of_components),
		cmocka_unit_test(classes_negate_as_in_shell_and_go),
		cmocka_unit_test(backslash_quotes),
		cmocka_unit_test(bytes_that_are_no_text_match_themselves),
		cmocka_unit_test(what_is_malformed_is_refused),
		cmocka_unit_test(directories_that_cannot_matter_are_known),
		cmocka_unit_test(many_stars_take_no_time),
		cmocka_unit_test(literals_are_told_from_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

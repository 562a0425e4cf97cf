#include "base/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "os/clock.h"

static struct ignore *parse(const char *text)
{
	struct ignore *ig;
	struct err e;

	if (ignore_parse(&ig, text, strlen(text), ".dockerignore", &e) < 0)
		fail_msg("%s: %s", text, e.msg);
	return ig;
}

static bool matches(const char *text, const char *path)
{
	struct ignore *ig = parse(text);
	bool hit = ignore_matches(ig, path);

	ignore_free(ig);
	return hit;
}

struct row {
	const char *text, *path;
	bool out;
};

static void check(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (matches(rows[i].text, rows[i].path) != rows[i].out)
			fail_msg("'%s' should%s exclude %s", rows[i].text,
			         rows[i].out ? "" : " not", rows[i].path);
}

/* What moby's patternmatcher says to these was read off its source. */
static void stars_and_directories(void **state)
{
	static const struct row rows[] = {
		{ "*", "notes", true },
		{ "*", "sub/notes", true }, /* through its parent */
		{ "*.o", "main.o", true },
		{ "*.o", "sub/main.o", false },
		{ "sub/*", "sub/deep/x", true },
		{ "sub/*.o", "sub/deep/x.o", false },
		{ "**", "any", true },
		{ "**/", "any/where", true },
		{ "**/**", "any/where", true },
		{ "sub/**", "sub", false },
		{ "sub/**", "sub/x", true },
		{ "sub/**", "sub/x/y/z", true },
		{ "sub/**", "subway/x", false },
		{ "sub**", "subway/x", true }, /* a prefix of text */
		{ "**/obj", "obj", true },
		{ "**/obj", "a/b/obj", true },
		{ "**/obj", "a/obj/x", true },
		{ "**/obj", "a/myobj", false },
		{ "**obj", "a/myobj", true },  /* a suffix of text */
		{ "**obj*", "myobj1", false }, /* but no longer with a star behind */
		{ "**/obj/*", "a/obj/x", true },
		{ "**/obj/*", "a/obj", false },
		{ "**/obj/**", "a/obj/x/y", true },
		{ "**/t*.log", "a/b/today.log", true },
		{ "**/t*.log", "today.log", true },
		{ "**/**/*.log", "a.log", true },
		{ "**/**/*.log", "a/b/c.log2", false },
		{ "a**/*.c", "a/x.c", true },
		{ "a**/*.c", "a/b/x.c", true },
		{ "a**/*.c", "ab/x.c", true },
		{ "a/**/z", "a/z", true },
		{ "a/**/z", "a/b/c/z", true },
		{ "a/**/z", "a/bz", false },
		{ "a/*.c**", "a/x.cpp", true },
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void single_characters_and_classes(void **state)
{
	static const struct row rows[] = {
		{ "f?o", "foo", true },
		{ "f?o", "fo", false },
		{ "f?o", "f/o", false },
		{ "f?o", "f☺o", true }, /* a character, not a byte */
		{ "f???o", "f☺o", false },
		{ "f[l-n]o", "fmo", true },
		{ "f[l-n]o", "fko", false },
		{ "f[^l-n]o", "fko", true },
		{ "f[^l-n]o", "fmo", false },
		{ "f[^l-n]o", "f☺o", true },
		{ "f[^x]o", "f/o", true }, /* in Go, a slash too */
		{ "f[!x]o", "f!o", true }, /* `!` is no negation */
		{ "f[!x]o", "fao", false },
		{ "[а-я]*", "ж.txt", true },
		{ "[\\]x]", "]", true },
		{ "[a\\-z]", "-", true },
		{ "[a\\-z]", "m", false },
		{ "f\\*o", "f*o", true },
		{ "f\\*o", "fxo", false },
		{ "f\\\\", "f\\", true },
		{ "\\#x", "#x", true },
		{ "a.c", "abc", false },
		{ "(x)|{y}+$", "(x)|{y}+$", true },
		{ "(x)|*", "(x)|z", true },
		{ "a^b", "a^b", true },
		{ "a^*", "a^b", false }, /* an anchor, once a star is about */
		{ "^a*", "ab", true },
		{ "x\\d", "x7", true }, /* a class of Go's regular expressions */
		{ "x\\d", "xd", false },
		{ "[*]", "[[]", true }, /* the star takes the bracket apart */
		{ "[*]", "*", false },
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void exceptions_in_order(void **state)
{
	static const struct row rows[] = {
		{ "*.md\n!README.md", "README.md", false },
		{ "*.md\n!README.md", "NEWS.md", true },
		{ "!README.md\n*.md", "README.md", true },
		{ "docs\n!docs/README.md", "docs/README.md", false },
		{ "docs/\n!docs/README.md", "docs/NEWS.md", true },
		{ "docs/*\n!docs/README.md", "docs/README.md", false },
		{ "**\n!src/app", "src/app/main.c", false },
		{ "**\n!src/app\nsrc/app/*.o", "src/app/main.o", true },
		{ "**\n!src/app\nsrc/app/*.o", "src/app/main.c", false },
		{ "a\n!a/b\na/b/c", "a/b/c", true },
		{ "*\n!**/*.go", "x/y/z.go", false },
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void lines_are_read_as_moby_reads_them(void **state)
{
	static const struct row rows[] = {
		{ "# obj\nobj", "obj", true },
		{ "# obj", "obj", false },
		{ " # obj", "# obj", true }, /* a comment starts at the margin */
		{ "\xef\xbb\xbf# c\nobj", "obj", true },
		{ "\xef\xbb\xbfobj", "obj", true },
		{ "obj\r\nbin\r\n", "bin", true },
		{ "  obj \t\n", "obj", true },
		{ "\xc2\xa0obj\xe3\x80\x80", "obj", true },
		{ "/obj", "obj", true },
		{ "//obj", "obj", true },
		{ "./obj/", "obj", true },
		{ "a/../obj", "obj", true },
		{ "../obj", "obj", false },
		{ "/../obj", "obj", true },
		{ "obj//x", "obj/x", true },
		{ "*\n! /obj", "obj", false },
		{ "*\n!./obj/", "obj/x", false },
		{ "*\n/!obj", "obj", false },
		{ "/ obj", "obj", true },
		{ ".", "obj", false },
		{ "/", "obj", false },
		{ "**", ".", false },
		{ "", "obj", false },
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
	assert_false(ignore_matches(NULL, "obj"));
	assert_false(ignore_skips_directory(NULL, "obj"));
}

static void malformed_patterns_name_file_and_line(void **state)
{
	static const char *const bad[] = {
		"[",    "[^",   "[^x",     "a[",   "[]a]",        "[-]",
		"[x-]", "[-x]", "[a-b-c]", "x\\",  "!",           "! ",
		"!/",   "/!",   "[z-a]*",  "*\\b", "[[:alpha:]]",
	};
	struct ignore *ig;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_BUF text = BUF_INIT;

		buf_addf(&text, "# one\n\n%s\n", bad[i]);
		if (ignore_parse(&ig, text.s, text.len, ".dockerignore", &e) == 0)
			fail_msg("'%s' was accepted", bad[i]);
		assert_int_equal(e.code, ERR_INVALID);
		assert_memory_equal(e.msg, ".dockerignore:3: ", 17);
	}
	assert_int_equal(ignore_parse(&ig, "a\0b", 3, "x", &e), -1);
}

static void a_list_takes_no_comments(void **state)
{
	static const char *const list[] = { "#x", "/abs", "!abs/keep" };
	struct ignore *ig;
	struct err e;

	(void)state;
	assert_int_equal(ignore_from_list(&ig, list, 3, "exclude", &e), 0);
	assert_true(ignore_matches(ig, "#x"));
	assert_true(ignore_matches(ig, "abs/other"));
	assert_false(ignore_matches(ig, "abs/keep"));
	ignore_free(ig);
}

static void skips(const char *text, const char *dir, bool expected)
{
	struct ignore *ig = parse(text);

	if (ignore_skips_directory(ig, dir) != expected)
		fail_msg("'%s' should%s skip %s", text, expected ? "" : " not", dir);
	ignore_free(ig);
}

static void directories_are_entered_only_for_exceptions(void **state)
{
	(void)state;
	skips("node_modules", "node_modules", true);
	skips("node_modules", "src", false);
	skips("docs\n!docs/README.md", "docs", false);
	skips("docs\n!docs/README.md", "docs/img", true);
	skips("docs\n!README.md", "docs", true);
	skips("*\n!src/**", "src", false);
	skips("*\n!src/**", "other", true);
	skips("*\n!**/*.go", "other", false);
	skips("!docs/x\ndocs", "docs", true); /* excluded again after the exception */
	skips("**\n!a/b/c", "a", false);
	skips("**\n!a/b/c", "a/b", false);
	skips("**\n!a/b/c", "a/bb", true);
	skips("**\n!a/*/c", "a/x", false);
	skips("**\n!a/*/c", "a/x/y", true);
}

/* 20,000 paths against 50 patterns, and patterns made to explode. */
static void matching_is_cheap(void **state)
{
	AUTO_BUF text = BUF_INIT;
	struct ignore *ig;
	int64_t start;
	char path[128];
	int hits = 0;

	(void)state;
	for (int i = 0; i < 50; i++)
		buf_addf(&text,
		         i % 3 == 0   ? "**/name%d*\n"
		         : i % 3 == 1 ? "dir%d/sub\n"
		                      : "*.ext%d\n",
		         i);
	ig = parse(text.s);
	start = clock_ns();
	for (int i = 0; i < 20000; i++) {
		snprintf(path, sizeof(path), "src/module%d/deeper/and/deeper/file%d.c",
		         i % 100, i);
		hits += ignore_matches(ig, path);
	}
	assert_int_equal(hits, 0);
	assert_true(clock_ns() - start < INT64_C(5000000000)); /* with sanitizers and load
	                                                        */
	ignore_free(ig);
	ig = parse("**/**/**/**/**/**/**/**/*a*a*a*a*a*a*a*a*b/c");
	memset(path, 'a', sizeof(path) - 1);
	for (size_t i = 7; i < sizeof(path); i += 8)
		path[i] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_false(ignore_matches(ig, path));
	ignore_free(ig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stars_and_directories),
		cmocka_unit_test(single_characters_and_classes),
		cmocka_unit_test(exceptions_in_order),
		cmocka_unit_test(lines_are_read_as_moby_reads_them),
		cmocka_unit_test(malformed_patterns_name_file_and_line),
		cmocka_unit_test(a_list_takes_no_comments),
		cmocka_unit_test(directories_are_entered_only_for_exceptions),
		cmocka_unit_test(matching_is_cheap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

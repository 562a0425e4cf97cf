#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Unit tests link the engine; these five need nothing else of cmd/. */
#include "cmd/human.c"
#include "cmd/options.c"
#include "cmd/options_help.c"
#include "cmd/options_make.c"
#include "cmd/table.c"

static const char *const formats[] = { "dot", "json", NULL };
static const struct opt graph_options[] = {
	{ 0, "format", "FORMAT", "write this", CHOICE(format, formats), 0 },
	{ 0 },
};

static const struct command table[] = {
	{ .name = "build",
	  .args = "[TARGET...]",
	  .help = "build targets",
	  .max_words = -1,
	  .takes = TAKES_PROJECT | TAKES_BUILD | TAKES_DRY_RUN | TAKES_QUESTION |
	           TAKES_NETWORK | TAKES_STORE,
	  .example = "imgmake web\nimgmake -j4" },
	{ .name = "graph",
	  .args = "",
	  .help = "draw the targets",
	  .options = graph_options,
	  .takes = TAKES_PROJECT },
	{ .name = "run",
	  .args = "IMAGE [-- ARG...]",
	  .help = "run an image",
	  .min_words = 1,
	  .max_words = 1,
	  .takes = TAKES_PROJECT | TAKES_REST | CHANGES },
	{ 0 },
};

#define ARGV(...)                                                                        \
	(char **)(const char *[])                                                        \
	{                                                                                \
		"imgmake", __VA_ARGS__, NULL                                             \
	}
#define PARSE(o, e, ...) options_parse(o, table, ARGV(__VA_ARGS__), e)
#define GOOD(o, ...)                                                                     \
	do {                                                                             \
		struct err e_;                                                           \
		if (PARSE(o, &e_, __VA_ARGS__) < 0)                                      \
			fail_msg("%s", e_.msg);                                          \
	} while (0)
#define BAD(text, ...)                                                                   \
	do {                                                                             \
		struct options o_;                                                       \
		struct err e_;                                                           \
		assert_int_equal(PARSE(&o_, &e_, __VA_ARGS__), -1);                      \
		assert_string_equal(e_.msg, text);                                       \
		options_fini(&o_);                                                       \
	} while (0)

static void the_command_defaults_to_the_first(void **state)
{
	struct options o;

	(void)state;
	GOOD(&o, "web", "default");
	assert_string_equal(o.command->name, "build");
	assert_false(o.command_said);
	assert_int_equal(o.words.len, 2);
	assert_string_equal(o.words.at[1], "default");
	options_fini(&o);
	GOOD(&o, "build", "graph");
	assert_true(o.command_said);
	assert_string_equal(o.words.at[0], "graph");
	options_fini(&o);
}

static void options_stand_before_and_after_the_command(void **state)
{
	struct options o;

	(void)state;
	GOOD(&o, "-f", "graph", "--format=json", "V=1", "graph", "-C", "a", "-Cb");
	assert_string_equal(o.command->name, "graph");
	assert_string_equal(o.file, "graph");
	assert_int_equal(o.format, 2);
	assert_int_equal(o.words.len, 0);
	assert_int_equal(o.directories.len, 2);
	assert_string_equal(o.directories.at[1], "b");
	assert_string_equal(o.variables.at[0], "V=1");
	options_fini(&o);
}

static void letters_cluster_and_values_attach(void **state)
{
	struct options o;

	(void)state;
	GOOD(&o, "-knj4", "-B", "web");
	assert_true(o.keep_going && o.dry_run && o.always);
	assert_int_equal(o.jobs, 4);
	options_fini(&o);
	GOOD(&o, "-j", "4", "--jobs=5", "--jobs", "6", "--lock=strict", "-d", "explain");
	assert_int_equal(o.jobs, 6);
	assert_int_equal(o.lock, LOCK_STRICT);
	assert_int_equal(o.debug, DEBUG_EXPLAIN);
	options_fini(&o);
	GOOD(&o, "-W", "a", "-Wb", "--registry-mirror", "h=m",
	     "--insecure-registry=h:5000");
	assert_int_equal(o.touched.len, 2);
	assert_string_equal(o.mirrors.at[0], "h=m");
	assert_string_equal(o.insecure.at[0], "h:5000");
	options_fini(&o);
}

static void words_and_variables_are_told_apart(void **state)
{
	struct options o;

	(void)state;
	GOOD(&o, "web", "A_1=x=y", "1=2", "a/b=c", "EMPTY=");
	assert_int_equal(o.variables.len, 2);
	assert_string_equal(o.variables.at[0], "A_1=x=y");
	assert_int_equal(o.words.len, 3);
	options_fini(&o);
	GOOD(&o, "--", "-k", "A=b");
	assert_false(o.keep_going);
	assert_int_equal(o.words.len, 2);
	options_fini(&o);
	GOOD(&o, "run", "web", "--", "sh", "-c", "A=b");
	assert_int_equal(o.words.len, 1);
	assert_int_equal(o.rest.len, 3);
	assert_string_equal(o.rest.at[1], "-c");
	options_fini(&o);
}

static void mistakes_say_what_would_be_right(void **state)
{
	(void)state;
	BAD("unknown option --keep-gong, did you mean --keep-going?", "--keep-gong");
	BAD("unknown option -y (see imgmake build --help)", "-ky");
	BAD("the command graph takes no option --jobs", "graph", "--jobs=4");
	BAD("the command graph takes no option -k", "-k", "graph");
	BAD("the command build takes no option --format", "--format=dot");
	BAD("-j: '0' is not a number of 1 or more", "-j0");
	BAD("--jobs: '4x' is not a number of 1 or more", "--jobs=4x");
	BAD("-j: '99999999999' is not a number of 1 or more", "-j", "99999999999");
	BAD("-j needs a value: N", "web", "-j");
	BAD("--lock: 'latest' is none of update, strict", "--lock=latest");
	BAD("--keep-going takes no value", "--keep-going=yes");
	BAD("--registry-mirror: 'docker.io' is not of the form HOST=MIRROR",
	    "--registry-mirror", "docker.io");
	BAD("-f: the FILE is empty", "-f", "");
	BAD("usage: imgmake run IMAGE [-- ARG...]", "run");
	BAD("run: unexpected 'b' (usage: imgmake run IMAGE [-- ARG...])", "run", "a",
	    "b");
	BAD("graph: unexpected 'web' (usage: imgmake graph)", "graph", "web");
}

static void help_needs_no_words(void **state)
{
	struct options o;

	(void)state;
	GOOD(&o, "run", "--help");
	assert_true(o.help);
	assert_string_equal(o.command->name, "run");
	options_fini(&o);
}

static void help_fits_a_terminal(void **state)
{
	AUTO_BUF text = BUF_INIT;

	(void)state;
	options_help_all(&text, table);
	for (const char *s = text.s; *s;) {
		size_t n = strcspn(s, "\n");

		if (n > 80 || (n && s[n - 1] == ' '))
			fail_msg("too wide, or ends in a space: '%.*s'", (int)n, s);
		s += n + 1;
	}
	assert_non_null(
		strstr(text.s, "Usage: imgmake graph [OPTION...] [NAME=VALUE...]\n"));
	assert_non_null(strstr(text.s, "\n  -j, --jobs N                "
	                               "run at most N steps at once\n"));
	assert_non_null(strstr(text.s, "(FORMAT: dot, json)\n"));
	assert_non_null(strstr(text.s, "\nExample:\n  imgmake web\n  imgmake -j4\n"));
}

static void every_option_is_reachable_and_unique(void **state)
{
	(void)state;
	for (const struct opt *a = options_common(); a->name; a++) {
		assert_true(!a->value == (a->kind == OPT_FLAG));
		for (const struct opt *b = a + 1; b->name; b++) {
			assert_string_not_equal(a->name, b->name);
			assert_true(!a->letter || a->letter != b->letter);
		}
	}
}

static void check_size(int64_t bytes, const char *text)
{
	AUTO_BUF b = BUF_INIT;

	human_size(&b, bytes);
	assert_string_equal(b.s, text);
}

static void check_duration(int64_t ms, const char *text)
{
	AUTO_BUF b = BUF_INIT;

	human_duration(&b, ms * 1000000);
	assert_string_equal(b.s, text);
}

static void numbers_read_well(void **state)
{
	(void)state;
	check_size(0, "0 B");
	check_size(999, "999 B");
	check_size(1000, "1.0 kB");
	check_size(77400000, "77.4 MB");
	check_size(999960000, "1.0 GB");
	check_size(INT64_MAX, "9.2 EB");
	check_duration(120, "120 ms");
	check_duration(1234, "1.2 s");
	check_duration(59960, "1 min 0 s");
	check_duration(200000, "3 min 20 s");
	check_duration(7500000, "2 h 5 min");
}

static void output_lines_cannot_forge_anything(void **state)
{
	static const char line[] =
		"a\tb\x1b[1;31mred\x1b[0m \x1b]0;title\x07 10%\r20%\x1b[2J\r";
	AUTO_BUF b = BUF_INIT;

	(void)state;
	human_line(&b, line, sizeof(line) - 1);
	assert_string_equal(b.s, "20%\\x1b[2J");
	buf_reset(&b);
	human_line(&b, "a\tb\x1b[31mc", 9);
	assert_string_equal(b.s, "a       bc");
}

static void tables_align_by_columns_of_the_terminal(void **state)
{
	static const char *const columns[] = { "NAME", ">SIZE", "NOTE", NULL };
	struct table *t = table_new(columns);
	AUTO_BUF b = BUF_INIT;

	(void)state;
	table_add(t, "日本");
	table_addf(t, "%d B", 12);
	table_add(t, "a\nb");
	table_add(t, "x");
	table_add(t, "1234 B");
	table_add(t, "");
	table_write(t, &b);
	assert_string_equal(b.s, "NAME    SIZE  NOTE\n"
	                         "日本    12 B  a\\x0ab\n"
	                         "x     1234 B\n");
	table_free(t);
}

static void what_make_was_told_counts_as_far_as_it_is_ours(void **state)
{
	struct options o;

	(void)state;
	GOOD(&o, "web");
	assert_true(options_take_make(&o, NULL));
	assert_true(options_take_make(&o, " -j2 -- n=n q"));
	assert_true(options_take_make(&o, "n=B"));
	assert_true(options_take_make(&o, "-Iqn --no-print-directory"));
	assert_false(o.dry_run || o.question || o.silent || o.always || o.keep_going);
	assert_true(options_take_make(&o, "knsw -l2 -j4 -l2.5 -- x=-l7 -l9"));
	assert_true(o.dry_run && o.silent && o.keep_going && !o.always && !o.question);
	assert_true(o.max_load > 2.4 && o.max_load < 2.6);
	options_fini(&o);
	GOOD(&o, "-l1", "web");
	assert_true(options_take_make(&o, "Bqn -l3"));
	assert_true(o.always && o.question && o.max_load < 2);
	options_fini(&o);
	GOOD(&o, "graph"); /* takes none of them, and looks only */
	assert_true(options_take_make(&o, "nBk"));
	assert_false(o.dry_run || o.always || o.keep_going);
	options_fini(&o);
	GOOD(&o, "run", "web");
	assert_true(options_take_make(&o, "k"));
	assert_false(options_take_make(&o, "t"));
	assert_false(options_take_make(&o, "q"));
	options_fini(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_command_defaults_to_the_first),
		cmocka_unit_test(options_stand_before_and_after_the_command),
		cmocka_unit_test(letters_cluster_and_values_attach),
		cmocka_unit_test(words_and_variables_are_told_apart),
		cmocka_unit_test(mistakes_say_what_would_be_right),
		cmocka_unit_test(help_needs_no_words),
		cmocka_unit_test(help_fits_a_terminal),
		cmocka_unit_test(every_option_is_reachable_and_unique),
		cmocka_unit_test(numbers_read_well),
		cmocka_unit_test(output_lines_cannot_forge_anything),
		cmocka_unit_test(tables_align_by_columns_of_the_terminal),
		cmocka_unit_test(what_make_was_told_counts_as_far_as_it_is_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

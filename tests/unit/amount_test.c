#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/amount.h"

static void is_time(const char *text, int64_t seconds, const char *again)
{
	AUTO_BUF b = BUF_INIT;
	struct err e;
	int64_t got;

	assert_int_equal(amount_duration(text, &got, &e), 0);
	assert_int_equal(got, seconds);
	amount_add_duration(&b, got);
	assert_string_equal(b.s, again);
}

static void is_size(const char *text, int64_t bytes, const char *again)
{
	AUTO_BUF b = BUF_INIT;
	struct err e;
	int64_t got;

	assert_int_equal(amount_size(text, &got, &e), 0);
	assert_int_equal(got, bytes);
	amount_add_size(&b, got);
	assert_string_equal(b.s, again);
}

static void times_are_read_and_written(void **state)
{
	is_time("1s", 1, "1s");
	is_time("90s", 90, "1m30s");
	is_time("10m", 600, "10m");
	is_time("1h30m", 5400, "1h30m");
	is_time("1w", 604800, "7d");
}

static void what_is_no_time_is_refused(void **state)
{
	static const char *const bad[] = { "",           "0s",   "10",
		                           "m",          "10x",  "-1s",
		                           "1 s",        "1.5h", "99999999999999999999s",
		                           "9999999999w" };
	struct err e;
	int64_t got;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(amount_duration(bad[i], &got, &e), -1);
		assert_int_equal(e.code, ERR_INVALID);
	}
}

static void sizes_are_read_and_written(void **state)
{
	is_size("1", 1, "1b");
	is_size("512b", 512, "512b");
	is_size("2g", (int64_t)2 << 30, "2g");
	is_size("1536M", (int64_t)1536 << 20, "1536m");
	is_size("64kB", 64 << 10, "64k");
	is_size("6MiB", 6 << 20, "6m");
	is_size("1000", 1000, "1000b");
}

static void what_is_no_size_is_refused(void **state)
{
	static const char *const bad[] = { "",   "0",    "g",   "2x",  "2 g",
		                           "-1", "1.5g", "2gg", "1bb", "9999999999t" };
	struct err e;
	int64_t got;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(amount_size(bad[i], &got, &e), -1);
		assert_int_equal(e.code, ERR_INVALID);
	}
}

static void is_number(int64_t v, const char *expected)
{
	char space[INT_TEXT];

	assert_string_equal(int_text(v, space), expected);
}

static void numbers_are_written_to_the_last_digit(void **state)
{
	(void)state;
	is_number(0, "0");
	is_number(7, "7");
	is_number(-10, "-10");
	is_number(INT64_MAX, "9223372036854775807");
	is_number(INT64_MIN, "-9223372036854775808");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_read_and_written),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(sizes_are_read_and_written),
		cmocka_unit_test(what_is_no_size_is_refused),
		cmocka_unit_test(numbers_are_written_to_the_last_digit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

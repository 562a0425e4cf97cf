#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void an_unused_one_is_an_empty_string(void **state)
{
	struct buf b = BUF_INIT;
	char *s;

	(void)state;
	assert_string_equal(b.s, "");
	buf_truncate(&b, 0);
	buf_reset(&b);
	s = buf_take(&b);
	assert_string_equal(s, "");
	free(s);
	buf_fini(&b);
}

static void appends_keep_it_terminated(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		buf_addf(&b, "%03d", i);
		assert_int_equal(b.s[b.len], 0);
	}
	buf_addc(&b, 0);
	buf_add(&b, "x", 1);
	buf_add(&b, NULL, 0);
	assert_int_equal(b.len, 3002);
	buf_truncate(&b, 3);
	assert_string_equal(b.s, "000");
}

static void taking_leaves_it_empty(void **state)
{
	struct buf b = BUF_INIT;
	char *s;

	(void)state;
	buf_adds(&b, "mine");
	s = buf_take(&b);
	assert_string_equal(s, "mine");
	assert_string_equal(b.s, "");
	assert_int_equal(b.len, 0);
	free(s);
}

static void printable(const char *s, const char *expected)
{
	AUTO_BUF b = BUF_INIT;

	buf_add_printable(&b, s, strlen(s));
	assert_string_equal(b.s, expected);
}

static void foreign_text_cannot_steer_a_terminal(void **state)
{
	(void)state;
	printable("plain ä☺", "plain ä☺");
	printable("a\033[2Jb", "a\\x1b[2Jb");
	printable("line\nnext\r", "line\\x0anext\\x0d");
	printable("\302\233"
	          "31m",
	          "\\xc2\\x9b31m");                       /* CSI as one C1 character */
	printable("x\342\200\256y", "x\\xe2\\x80\\xaey"); /* right-to-left override */
	printable("x\342\201\246y", "x\\xe2\\x81\\xa6y"); /* isolate */
	printable("\302", "\302");
}

static void integers_are_little_endian(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	buf_add_u32(&b, 0x01020304);
	buf_add_u64(&b, UINT64_C(0x0102030405060708));
	buf_add_str(&b, "ab", 2);
	assert_int_equal(b.len, 18);
	assert_memory_equal(b.s, "\4\3\2\1\x8\7\6\5\4\3\2\1\2\0\0\0ab", 18);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unused_one_is_an_empty_string),
		cmocka_unit_test(appends_keep_it_terminated),
		cmocka_unit_test(taking_leaves_it_empty),
		cmocka_unit_test(foreign_text_cannot_steer_a_terminal),
		cmocka_unit_test(integers_are_little_endian),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

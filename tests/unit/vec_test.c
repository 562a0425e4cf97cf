#include "base/vec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void pushing_keeps_what_is_there(void **state)
{
	VEC(int) v = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		vec_push(&v, i * i);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(v.at[i], i * i);
	vec_fini(&v);
	assert_int_equal(v.len, 0);
	vec_push(&v, 1);
	vec_fini(&v);
}

static void string_lists_own_and_sort_bytewise(void **state)
{
	AUTO_STRLIST l = STRLIST_INIT;

	(void)state;
	strlist_sort(&l);
	strlist_add(&l, "b");
	strlist_take(&l, mem_strdup("a.b"));
	strlist_add(&l, "\303\244");
	strlist_add(&l, "a/b");
	strlist_add(&l, "B");
	strlist_sort(&l);
	assert_string_equal(l.at[0], "B");
	assert_string_equal(l.at[1], "a.b");
	assert_string_equal(l.at[2], "a/b");
	assert_string_equal(l.at[3], "b");
	assert_string_equal(l.at[4], "\303\244");
	assert_true(strlist_has(&l, "a/b"));
	assert_false(strlist_has(&l, "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pushing_keeps_what_is_there),
		cmocka_unit_test(string_lists_own_and_sort_bytewise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

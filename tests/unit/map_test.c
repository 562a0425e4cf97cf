#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void finds_all_that_was_put_in_the_order_of_insertion(void **state)
{
	static int values[5000];
	struct map m = MAP_INIT;
	char key[32];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "key/%d", i * 7919);
		map_put(&m, key, &values[i]);
	}
	assert_int_equal(m.len, 5000);
	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "key/%d", i * 7919);
		assert_ptr_equal(map_get(&m, key), &values[i]);
		assert_string_equal(m.at[i].key, key);
	}
	assert_null(map_get(&m, "key/1"));
	map_fini(&m);
}

static void putting_again_replaces_the_value(void **state)
{
	struct map m = MAP_INIT;
	int a, b;

	(void)state;
	assert_null(map_get(&m, "x"));
	map_put(&m, "x", &a);
	map_put(&m, "x", &b);
	map_put(&m, "", &a);
	assert_int_equal(m.len, 2);
	assert_ptr_equal(map_get(&m, "x"), &b);
	assert_ptr_equal(map_get(&m, ""), &a);
	map_fini(&m);
	assert_null(map_get(&m, "x"));
	map_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_all_that_was_put_in_the_order_of_insertion),
		cmocka_unit_test(putting_again_replaces_the_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

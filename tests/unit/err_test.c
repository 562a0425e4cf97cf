#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void errors_read_from_the_outside_in(void **state)
{
	struct err e;

	(void)state;
	errno = ENOSPC;
	assert_int_equal(err_sys(&e, "write %s", "layer"), -1);
	assert_int_equal(err_wrap(&e, "target %s", "app"), -1);
	assert_string_equal(e.msg, "target app: write layer: No space left on device");
	assert_int_equal(e.code, ERR_SYS);
	assert_int_equal(e.sys, ENOSPC);
}

static void setting_forgets_the_errno_of_before(void **state)
{
	struct err e = { .sys = 5 };

	(void)state;
	assert_int_equal(err_set(&e, ERR_LIMIT, "%d%%", 5), -1);
	assert_string_equal(e.msg, "5%");
	assert_int_equal(e.sys, 0);
}

static void a_long_one_keeps_both_ends(void **state)
{
	char name[3000];
	struct err e;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	errno = EACCES;
	err_sys(&e, "open %s", name);
	assert_non_null(strstr(e.msg, ": Permission denied"));
	for (int i = 0; i < 40; i++) {
		err_wrap(&e, "outer %d %.100s", i, name);
		assert_true(strlen(e.msg) < sizeof(e.msg));
	}
	assert_memory_equal(e.msg, "outer 39 ", 9);
	assert_non_null(strstr(e.msg, "... "));
	assert_string_equal(e.msg + strlen(e.msg) - 17, "Permission denied");
	err_wrap(&e, "%s", name);
	assert_true(strlen(e.msg) < sizeof(e.msg));
	assert_string_equal(e.msg + strlen(e.msg) - 17, "Permission denied");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_read_from_the_outside_in),
		cmocka_unit_test(setting_forgets_the_errno_of_before),
		cmocka_unit_test(a_long_one_keeps_both_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

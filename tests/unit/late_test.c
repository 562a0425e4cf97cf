/* Libraries that are loaded when first needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <archive.h>
#include <cmocka.h>

#include "image/archive_late.h"
#include "os/late.h"

static int (*version)(void);
static const struct late_name known[] = { { "archive_version_number", &version } };
static const struct late_name unknown[] = { { "archive_of_nothing", &version } };

static void a_library_is_there_once_it_was_loaded(void **state)
{
	struct late l = { "libarchive.so.13",        "libarchive", known, 1,
		          PTHREAD_MUTEX_INITIALIZER, false };
	struct err e;

	(void)state;
	version = NULL;
	assert_int_equal(late_load(&l, &e), 0);
	assert_int_equal(late_load(&l, &e), 0);
	assert_int_equal(archive_late_load(&e), 0);
	assert_int_equal(version(), archive_version_number());
	assert_true(version() >= 3000000);
}

static void one_that_is_missing_is_named(void **state)
{
	struct late l = { "libnowhere.so.7",         "libnowhere", known, 1,
		          PTHREAD_MUTEX_INITIALIZER, false };
	struct err e;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(late_load(&l, &e), -1);
		assert_int_equal(e.code, ERR_FAILED);
		assert_non_null(strstr(e.msg, "libnowhere.so.7 cannot be loaded ("));
		assert_non_null(strstr(e.msg, "install libnowhere"));
	}
}

static void one_without_a_function_is_refused(void **state)
{
	struct late l = { "libarchive.so.13",        "libarchive", unknown, 1,
		          PTHREAD_MUTEX_INITIALIZER, false };
	struct err e;

	(void)state;
	version = NULL;
	assert_int_equal(late_load(&l, &e), -1);
	assert_int_equal(e.code, ERR_FAILED);
	assert_non_null(strstr(e.msg, "libarchive.so.13 has no archive_of_nothing"));
	assert_null(version);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_library_is_there_once_it_was_loaded),
		cmocka_unit_test(one_that_is_missing_is_named),
		cmocka_unit_test(one_without_a_function_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

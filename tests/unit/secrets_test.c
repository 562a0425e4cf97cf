#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "build/secrets.h"

static int load(struct secrets *s, const char *text, struct err *e)
{
	AUTO_STRLIST given = STRLIST_INIT;

	*s = (struct secrets){ 0 };
	strlist_add(&given, text);
	return secrets_load(s, &given, e);
}

static void a_variable_of_ours_can_be_a_secret(void **state)
{
	const struct secret *x;
	struct secrets s;
	struct err e;

	(void)state;
	setenv("A_SECRET", "hunter2", 1);
	assert_int_equal(load(&s, "token=env:A_SECRET", &e), 0);
	assert_int_equal(secrets_get(&s, "token", &x, &e), 0);
	assert_string_equal(x->value.s, "hunter2");
	assert_int_equal(secrets_get(&s, "other", &x, &e), -1);
	assert_non_null(strstr(e.msg, "--secret other=FILE"));
	secrets_fini(&s);
}

static void what_cannot_be_a_secret_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "x", "=f", "x=", "x=env:NOT_SET_AT_ALL", "x=/does/not/exist", "x=/"
	};
	struct secrets s;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(load(&s, bad[i], &e), -1);
		secrets_fini(&s);
	}
}

static void redacted(const struct secrets *s, const char *text, const char *want)
{
	AUTO_BUF out = BUF_INIT;

	secrets_redact(s, text, strlen(text), &out);
	assert_string_equal(out.s, want);
}

static void values_and_their_lines_are_redacted(void **state)
{
	struct secrets s;
	struct err e;

	(void)state;
	setenv("A_SECRET", "hunter2\nsecond line\nab", 1);
	assert_int_equal(load(&s, "token=env:A_SECRET", &e), 0);
	redacted(&s, "say hunter2 and hunter2!", "say *** and ***!");
	redacted(&s, "second line", "***");
	redacted(&s, "hunter", "hunter");
	redacted(&s, "ab", "ab");
	redacted(NULL, "hunter2", "hunter2");
	secrets_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_variable_of_ours_can_be_a_secret),
		cmocka_unit_test(what_cannot_be_a_secret_is_refused),
		cmocka_unit_test(values_and_their_lines_are_redacted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mode.h"

static void becomes(const char *text, uint32_t from, bool is_dir, uint32_t to)
{
	uint32_t got = 0;

	assert_int_equal(mode_change(text, from, is_dir, &got), 0);
	assert_int_equal(got, to);
}

static void letters_add_take_away_and_set(void **state)
{
	(void)state;
	becomes("+x", 0644, false, 0755);
	becomes("a+x", 0600, false, 0711);
	becomes("u+x", 0644, false, 0744);
	becomes("go-w", 0666, false, 0644);
	becomes("u=rw,g=r,o=r", 0777, false, 0644);
	becomes("u=rwx,go=", 0644, false, 0700);
	becomes("ug+rw-x", 0511, false, 0661);
	becomes("=r", 0777, false, 0444);
	becomes("g=u,o=g", 0640, false, 0666);
	becomes("o+u", 0700, false, 0707);
	becomes("u+s,g+s", 0755, false, 06755);
	becomes("+t", 0755, true, 01755);
	becomes("u+t", 0755, true, 0755);
}

static void executable_where_it_is_or_a_directory(void **state)
{
	(void)state;
	becomes("a+X", 0644, false, 0644);
	becomes("a+X", 0744, false, 0755);
	becomes("a+X", 0700, true, 0711);
	becomes("go=rX", 0600, true, 0655);
	becomes("a-x,a+X", 0777, false, 0666);
}

static void nothing_else_is_taken(void **state)
{
	static const char *const bad[] = { "",      "u",    "755",   "u+x,", ",u+x",
		                           "u+y",   "u+x ", "z+x",   "+ur",  "u~x",
		                           "+x755", "u+x;", "u+x,,g" };
	uint32_t got;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char *text = strdup(bad[i]); /* what is read behind it is seen */

		if (mode_change(text, 0644, false, &got) == 0)
			fail_msg("'%s' was taken", bad[i]);
		free(text);
	}
}

/* The program itself is the judge, of every start. */
static void it_agrees_with_chmod(void **state)
{
	static const char *const texts[] = { "u+x,go-w", "a+X",      "g=u-w",
		                             "o=,u-s",   "a=rX,u+w", "ug=rwx,o-rwx" };
	char name[] = "/tmp/imgmake-mode.XXXXXX", command[128];
	int fd = mkstemp(name);

	(void)state;
	assert_true(fd >= 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		for (uint32_t from = 0; from < 01000; from += 037) {
			struct stat st;

			snprintf(command, sizeof(command), "umask 0; chmod %s %s",
			         texts[i], name);
			assert_int_equal(fchmod(fd, from), 0);
			assert_int_equal(system(command), 0);
			assert_int_equal(fstat(fd, &st), 0);
			becomes(texts[i], from, false, st.st_mode & 07777);
		}
	close(fd);
	unlink(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters_add_take_away_and_set),
		cmocka_unit_test(executable_where_it_is_or_a_directory),
		cmocka_unit_test(nothing_else_is_taken),
		cmocka_unit_test(it_agrees_with_chmod),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "os/jobserver.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/fd.h"
#include "os/file.h"

/* A pipe as make hands it on: inherited, and holding `tokens`. */
static void make_pipe(int fds[2], const char *tokens, struct buf *flags,
                      const char *front, const char *behind)
{
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], tokens, strlen(tokens)), (ssize_t)strlen(tokens));
	buf_addf(flags, "%s%d,%d%s", front, fds[0], fds[1], behind);
}

static void drop_pipe(int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

static void what_is_in(int fd, const char *expected)
{
	char text[20] = "";
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	assert_string_equal(text, expected);
}

static void joins_the_pipe_of_every_version(void **state)
{
	static const char *const forms[][2] = {
		{ "ks -j3 --jobserver-auth=", " -- A=b --jobserver-auth=9,9" },
		{ " -j3 --jobserver-auth=", "" },
		{ " -j3 --jobserver-fds=", " -j3" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		AUTO_BUF flags = BUF_INIT;
		struct jobserver *j;
		int fds[2], jobs;

		make_pipe(fds, "ab", &flags, forms[i][0], forms[i][1]);
		assert_int_equal(jobserver_join(&j, flags.s, &jobs), JOBSERVER_JOINED);
		assert_int_equal(jobs, 3);
		assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(fds[1], F_GETFD) & FD_CLOEXEC);
		assert_false(fcntl(fds[0], F_GETFL) & O_NONBLOCK); /* others share that */
		assert_true(jobserver_take(j));
		assert_true(jobserver_take(j));
		assert_false(jobserver_take(j)); /* and does not wait */
		jobserver_give(j);
		assert_true(jobserver_take(j));
		jobserver_close(j);
		what_is_in(fds[0], "ba"); /* each as it was */
		drop_pipe(fds);
	}
}

static void joins_a_fifo(void **state)
{
	char dir[] = "/tmp/imgmake-jobs.XXXXXX", path[60], flags[100];
	struct jobserver *j, *own;
	int jobs;
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/f", dir);
	snprintf(flags, sizeof(flags), " -j5 --jobserver-auth=fifo:%s", path);
	assert_int_equal(jobserver_join(&j, flags, &jobs), JOBSERVER_SHUT);
	assert_int_equal(jobserver_new(&own, 2, path, &e), 0);
	assert_int_equal(jobserver_join(&j, flags, &jobs), JOBSERVER_JOINED);
	assert_int_equal(jobs, 5);
	assert_true(jobserver_take(j));
	assert_false(jobserver_take(own));
	jobserver_close(j); /* gives back, and does not remove what is another's */
	assert_true(jobserver_take(own));
	jobserver_close(own);
	assert_int_equal(access(path, F_OK), -1);
	rmdir(dir);
}

static void what_is_no_jobserver_is_told_apart(void **state)
{
	static const char *const none[] = { NULL, "", "ks", " -j",
		                            "k -- --jobserver-auth=0,1" };
	static const char *const shut[] = { " -j2 --jobserver-auth=-2,-2",
		                            " --jobserver-auth=",
		                            " --jobserver-auth=98,99",
		                            " --jobserver-auth=1,2",
		                            " --jobserver-auth=x",
		                            " --jobserver-auth=fifo:",
		                            " --jobserver-auth=fifo:/dev/null",
		                            " --jobserver-auth=fifo:/nowhere/f",
		                            " -j2 --jobserver-fds=99999999999,3" };
	struct jobserver *j;
	int jobs;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		assert_int_equal(jobserver_join(&j, none[i], &jobs), JOBSERVER_NONE);
	assert_int_equal(jobserver_join(&j, "k -j1 -- A=-j7", &jobs), JOBSERVER_NONE);
	assert_int_equal(jobs, 1);
	for (size_t i = 0; i < ARRAY_LEN(shut); i++)
		assert_int_equal(jobserver_join(&j, shut[i], &jobs), JOBSERVER_SHUT);
}

static void offers(const struct jobserver *j, const char *from, const char *expected)
{
	AUTO_BUF flags = BUF_INIT;
	int fds[2];

	jobserver_offer(j, from, false, &flags, fds);
	assert_string_equal(flags.s, expected);
	assert_int_equal(fds[0] >= 0, strstr(expected, "=3,4") != NULL);
	assert_int_equal(fds[1] >= 0, strstr(expected, "=3,4") != NULL);
}

static void what_is_offered_keeps_the_other_flags(void **state)
{
	struct jobserver *j;
	struct err e;

	(void)state;
	assert_int_equal(jobserver_new(&j, 4, NULL, &e), 0);
	offers(j, NULL, " -j4 --jobserver-auth=3,4");
	offers(j, "ks -j2 --jobserver-auth=7,8 --no-print-directory -- A=-j9 B=c",
	       "ks --no-print-directory -j4 --jobserver-auth=3,4 -- A=-j9 B=c");
	offers(NULL, "k -j2 --jobserver-auth=-2,-2 -- A=b", "k -- A=b");
	offers(NULL, NULL, "");
	jobserver_close(j);
}

static void the_second_signal_gives_all_back_and_takes_no_more(void **state)
{
	AUTO_BUF flags = BUF_INIT;
	struct jobserver *j;
	int fds[2], jobs;

	(void)state;
	make_pipe(fds, "xyz", &flags, " --jobserver-auth=", "");
	assert_int_equal(jobserver_join(&j, flags.s, &jobs), JOBSERVER_JOINED);
	assert_true(jobserver_take(j));
	assert_true(jobserver_take(j));
	jobserver_give_all(j);
	assert_false(jobserver_take(j));
	what_is_in(fds[0], "zyx");
	jobserver_close(j);
	drop_pipe(fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joins_the_pipe_of_every_version),
		cmocka_unit_test(joins_a_fifo),
		cmocka_unit_test(what_is_no_jobserver_is_told_apart),
		cmocka_unit_test(what_is_offered_keeps_the_other_flags),
		cmocka_unit_test(the_second_signal_gives_all_back_and_takes_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

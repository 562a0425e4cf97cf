#include "os/process.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/vec.h"
#include "os/fd.h"

static int sh(const char *script, struct buf *out, struct buf *err)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	struct process_options o = { .argv = argv, .cwd = -1, .out = out, .err = err };
	struct err e;
	int status = -1;

	if (process_run(&o, &status, &e) < 0)
		fail_msg("%s", e.msg);
	return status;
}

static void keeps_standard_output_and_error_apart(void **state)
{
	AUTO_BUF out = BUF_INIT;
	AUTO_BUF err = BUF_INIT;

	(void)state;
	assert_int_equal(sh("echo one; echo two >&2; exit 3", &out, &err), 3);
	assert_string_equal(out.s, "one\n");
	assert_string_equal(err.s, "two\n");
}

static void joins_both_in_the_order_written(void **state)
{
	AUTO_BUF both = BUF_INIT;

	(void)state;
	assert_int_equal(sh("echo 1; echo 2 >&2; echo 3", &both, &both), 0);
	assert_string_equal(both.s, "1\n2\n3\n");
	buf_reset(&both);
	assert_int_equal(sh("echo 1; echo 2 >&2; echo 3", NULL, &both), 0);
	assert_string_equal(both.s, "1\n2\n3\n");
}

static void appends_to_what_the_buffer_held(void **state)
{
	AUTO_BUF out = BUF_INIT;
	AUTO_BUF err = BUF_INIT;

	(void)state;
	buf_adds(&out, "before ");
	sh("printf after", &out, &err);
	assert_string_equal(out.s, "before after");
}

static void death_by_a_signal_is_128_and_its_number(void **state)
{
	AUTO_BUF out = BUF_INIT;

	(void)state;
	assert_int_equal(sh("kill -9 $$", &out, &out), 128 + SIGKILL);
}

static void absent_program_is_named_with_the_way_out(void **state)
{
	const char *argv[] = { "no-such-program-here", NULL };
	struct process_options o = { .argv = argv, .cwd = -1 };
	struct err e;
	int status;

	(void)state;
	assert_int_equal(process_run(&o, &status, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_string_equal(e.msg, "no-such-program-here: no such program "
	                           "(install no-such-program-here)");
	argv[0] = "./absent";
	assert_int_equal(process_run(&o, &status, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_string_equal(e.msg, "./absent: no such program");
	argv[0] = "/etc/passwd";
	assert_int_equal(process_run(&o, &status, &e), -1);
	assert_int_equal(e.code, ERR_SYS);
}

static void input_larger_than_a_pipe_goes_through(void **state)
{
	static char input[3 << 20];
	const char *argv[] = { "cat", NULL };
	AUTO_BUF out = BUF_INIT;
	struct process_options o = { .argv = argv,
		                     .cwd = -1,
		                     .input = input,
		                     .input_len = sizeof(input),
		                     .out = &out,
		                     .limit = sizeof(input) };
	struct err e;
	int status;

	(void)state;
	memset(input, 'x', sizeof(input));
	assert_int_equal(process_run(&o, &status, &e), 0);
	assert_int_equal(out.len, sizeof(input));
	/* A program that does not read it is no trouble either. */
	argv[0] = "true";
	assert_int_equal(process_run(&o, &status, &e), 0);
	assert_int_equal(status, 0);
}

static void without_input_it_reads_nothing(void **state)
{
	AUTO_BUF out = BUF_INIT;

	(void)state;
	assert_int_equal(sh("wc -c", &out, &out), 0);
	assert_int_equal(atoi(out.s), 0);
}

static void beyond_the_limit_the_oldest_bytes_go(void **state)
{
	const char *argv[] = { "sh", "-c", "seq 1 20000", NULL };
	AUTO_BUF out = BUF_INIT;
	struct process_options o = { .argv = argv, .cwd = -1, .out = &out, .limit = 12 };
	struct err e;
	int status;

	(void)state;
	assert_int_equal(process_run(&o, &status, &e), 0);
	assert_string_equal(out.s, "19999\n20000\n");
}

static void collect(void *self, const char *s, size_t n)
{
	struct buf *b = self;

	buf_addc(b, '<');
	buf_add(b, s, n > 20 ? 20 : n);
	buf_addc(b, '>');
}

static void lines_are_given_whole_and_the_last_without_newline_too(void **state)
{
	const char *argv[] = { "sh", "-c",
		               "printf 'a\\n\\nb' ; sleep 0; printf 'c\\nend' >&2",
		               NULL };
	AUTO_BUF got = BUF_INIT;
	struct process_options o = {
		.argv = argv, .cwd = -1, .line = collect, .line_self = &got
	};
	struct err e;
	int status;

	(void)state;
	assert_int_equal(process_run(&o, &status, &e), 0);
	assert_string_equal(got.s, "<a><><bc><end>");
}

static void a_line_without_end_is_given_in_pieces(void **state)
{
	const char *argv[] = { "sh", "-c", "head -c 200000 /dev/zero | tr '\\0' x",
		               NULL };
	AUTO_BUF got = BUF_INIT;
	struct process_options o = {
		.argv = argv, .cwd = -1, .line = collect, .line_self = &got
	};
	struct err e;
	int status;

	(void)state;
	assert_int_equal(process_run(&o, &status, &e), 0);
	assert_int_equal(got.len, 4 * 22); /* 3 x 64 KiB and the rest */
}

static void runs_in_the_directory_and_environment_given(void **state)
{
	const char *argv[] = { "sh", "-c", "pwd; echo $ONLY; echo $HOME", NULL };
	const char *env[] = { "ONLY=this", NULL };
	AUTO_CLOSE int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_BUF out = BUF_INIT;
	struct process_options o = { .argv = argv, .env = env, .cwd = root, .out = &out };
	struct err e;
	int status;

	(void)state;
	assert_int_equal(process_run(&o, &status, &e), 0);
	assert_string_equal(out.s, "/\nthis\n\n");
}

static void inherits_no_descriptor_mask_or_ignored_signal(void **state)
{
	AUTO_BUF out = BUF_INIT;
	unsigned long blocked, ignored;
	int careless[2], fds;
	sigset_t all, before;

	(void)state;
	assert_int_equal(pipe(careless), 0);
	signal(SIGPIPE, SIG_IGN);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	sh("ls /proc/self/fd | wc -l; sed -n 's/SigBlk:.//p; s/SigIgn:.//p' /proc/self/status",
	   &out, &out);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	signal(SIGPIPE, SIG_DFL);
	close(careless[0]);
	close(careless[1]);
	/* 0, 1, 2 and the directory that ls reads */
	assert_int_equal(sscanf(out.s, "%d %lx %lx", &fds, &blocked, &ignored), 3);
	assert_int_equal(fds, 4);
	assert_int_equal(blocked, 0);
	assert_int_equal(ignored & 1ul << (SIGPIPE - 1), 0);
}

static void something_left_in_the_background_is_not_waited_for(void **state)
{
	AUTO_BUF out = BUF_INIT;
	char *end;
	pid_t left;

	(void)state;
	assert_int_equal(sh("sleep 1000 & echo $!", &out, &out), 0);
	left = (pid_t)strtol(out.s, &end, 10);
	assert_true(left > 1 && *end == '\n');
	assert_int_equal(kill(left, SIGKILL), 0);
}

struct interrupted {
	int ready;
	int status;
};

static void say_ready(void *self, const char *s, size_t n)
{
	struct interrupted *it = self;

	(void)s;
	if (write(it->ready, "r", n ? 1 : 0) < 0)
		abort();
}

static void *sleep_long(void *arg)
{
	const char *argv[] = { "sh", "-c", "echo ready; sleep 1000 & wait", NULL };
	struct interrupted *it = arg;
	struct process_options o = {
		.argv = argv, .cwd = -1, .line = say_ready, .line_self = it
	};
	struct err e;

	if (process_run(&o, &it->status, &e) < 0)
		it->status = -1;
	return NULL;
}

static void an_interrupt_ends_all_that_run(void **state)
{
	enum { N = 4 };
	pthread_t threads[N];
	struct interrupted it[N];
	int ends[2];
	char c;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	for (int i = 0; i < N; i++) {
		it[i] = (struct interrupted){ ends[1], 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, sleep_long, &it[i]),
		                 0);
	}
	for (int i = 0; i < N; i++)
		assert_int_equal(read(ends[0], &c, 1), 1);
	process_interrupt_all();
	for (int i = 0; i < N; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(it[i].status, 128 + SIGTERM);
	}
	close(ends[0]);
	close(ends[1]);
	/* Later ones are not touched. */
	AUTO_BUF out = BUF_INIT;
	assert_int_equal(sh("echo on", &out, &out), 0);
}

static void *many_short_ones(void *arg)
{
	int *bad = arg;

	for (int i = 0; i < 25; i++) {
		AUTO_BUF out = BUF_INIT;
		const char *argv[] = { "echo", "x", NULL };
		struct process_options o = { .argv = argv, .cwd = -1, .out = &out };
		struct err e;
		int status;

		if (process_run(&o, &status, &e) < 0 || status || strcmp(out.s, "x\n"))
			++*bad;
	}
	return NULL;
}

static void many_threads_may_run_programs(void **state)
{
	pthread_t threads[8];
	int bad[8] = { 0 };

	(void)state;
	for (int i = 0; i < 8; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, many_short_ones, &bad[i]), 0);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(bad[i], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_standard_output_and_error_apart),
		cmocka_unit_test(joins_both_in_the_order_written),
		cmocka_unit_test(appends_to_what_the_buffer_held),
		cmocka_unit_test(death_by_a_signal_is_128_and_its_number),
		cmocka_unit_test(absent_program_is_named_with_the_way_out),
		cmocka_unit_test(input_larger_than_a_pipe_goes_through),
		cmocka_unit_test(without_input_it_reads_nothing),
		cmocka_unit_test(beyond_the_limit_the_oldest_bytes_go),
		cmocka_unit_test(lines_are_given_whole_and_the_last_without_newline_too),
		cmocka_unit_test(a_line_without_end_is_given_in_pieces),
		cmocka_unit_test(runs_in_the_directory_and_environment_given),
		cmocka_unit_test(inherits_no_descriptor_mask_or_ignored_signal),
		cmocka_unit_test(something_left_in_the_background_is_not_waited_for),
		cmocka_unit_test(an_interrupt_ends_all_that_run),
		cmocka_unit_test(many_threads_may_run_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

/* Unit tests link the engine; these five need nothing else of cmd/. */
#include "cmd/human.c"
#include "cmd/ongoing.c"
#include "cmd/outputs.c"
#include "cmd/table.c"
#include "cmd/terminal.c"

#include "os/fd.h"

struct screen {
	int out, err;
	struct terminal *t;
	struct progress *p;
};

static void open_screen(struct screen *s, enum terminal_mode mode)
{
	s->out = memfd_create("out", MFD_CLOEXEC);
	s->err = memfd_create("err", MFD_CLOEXEC);
	assert_true(s->out >= 0 && s->err >= 0);
	s->t = terminal_new(mode, s->out, s->err);
	s->p = terminal_progress(s->t);
}

static void expect_in(int fd, const char *text)
{
	AUTO_BUF b = BUF_INIT;
	struct err e;

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, &b, 1 << 20, "screen", &e), 0);
	assert_string_equal(b.s, text);
}

static void close_screen(struct screen *s, const char *out, const char *err)
{
	terminal_free(s->t);
	expect_in(s->out, out);
	expect_in(s->err, err);
	fd_close(&s->out);
	fd_close(&s->err);
}

static void say_everything(struct screen *s)
{
	struct err e;

	progress_begin(s->p, "web", "push", 10);
	progress_step(s->p, "web", "layer %d", 1);
	progress_output(s->p, "web", "one\n\ttwo\033[2J\n");
	progress_warning(s->p, "careful");
	terminal_note(s->t, "noted");
	terminal_print(s->t, "result\n", 7);
	progress_end(s->p, "web", "push", 10);
	err_set(&e, ERR_FAILED, "it\nfailed");
	terminal_error(s->t, &e);
}

static void plain_lines_name_their_target_and_escape_foreign_text(void **state)
{
	struct screen s;

	(void)state;
	open_screen(&s, TERMINAL_PLAIN);
	say_everything(&s);
	close_screen(&s, "result\n",
	             "web: layer 1\nweb: one\nweb:         two\\x1b[2J\n"
	             "imgmake: warning: careful\nnoted\nimgmake: it\\x0afailed\n");
}

static void silence_is_broken_by_warnings_errors_and_output_of_commands(void **state)
{
	struct screen s;

	(void)state;
	open_screen(&s, TERMINAL_SILENT);
	say_everything(&s);
	close_screen(&s, "result\n",
	             "web: one\nweb:         two\\x1b[2J\n"
	             "imgmake: warning: careful\nimgmake: it\\x0afailed\n");
}

static void json_is_an_object_a_line(void **state)
{
	struct screen s;

	(void)state;
	open_screen(&s, TERMINAL_JSON);
	progress_begin(s.p, "web", "push", 10);
	progress_warning(s.p, "a\nb\377");
	progress_end(s.p, "web", "push", 10);
	close_screen(
		&s, "",
		"{\"event\":\"begin\",\"target\":\"web\",\"what\":\"push\",\"total\":10}\n"
		"{\"event\":\"warning\",\"text\":\"a\\nb\\\\xff\"}\n"
		"{\"event\":\"end\",\"target\":\"web\",\"what\":\"push\",\"done\":10,"
		"\"total\":10}\n");
}

static void outputs_at_once_are_shown_whole(void **state)
{
	struct screen s;

	open_screen(&s, TERMINAL_PLAIN);
	progress_output(s.p, "a", "1");
	progress_output(s.p, "b", "1");
	progress_output(s.p, "c", "1");
	progress_output(s.p, "a", "2");
	progress_output(s.p, "c", "2");
	progress_output_end(s.p, "c", false);
	progress_step(s.p, "c", "made");
	progress_step(s.p, "d", "made");
	progress_output(s.p, "a", "3");
	progress_output_end(s.p, "a", false);
	progress_output(s.p, "b", "2");
	progress_output_end(s.p, "b", false);
	progress_output_end(s.p, "silent", true);
	progress_step(s.p, "b", "made");
	close_screen(&s, "",
	             "a: 1\na: 2\nd: made\na: 3\nc: 1\nc: 2\nc: made\nb: 1\nb: 2\n"
	             "b: made\n");
}

static void what_failed_is_shown_again_where_something_came_after(void **state)
{
	struct screen s;
	struct err e;

	err_set(&e, ERR_FAILED, "it failed");
	open_screen(&s, TERMINAL_PLAIN);
	for (int i = 1; i <= 42; i++)
		progress_output(s.p, "a", i < 3 ? "early" : "late");
	progress_output(s.p, "b", "1");
	progress_output_end(s.p, "a", true);
	progress_output_end(s.p, "b", false);
	assert_int_equal(ftruncate(s.err, 0), 0);
	assert_int_equal(lseek(s.err, 0, SEEK_SET), 0);
	terminal_error(s.t, &e);
	terminal_error(s.t, &e);
	AUTO_BUF want = BUF_INIT;
	buf_adds(&want, "a failed; its last 40 lines again:\n");
	for (int i = 0; i < 40; i++)
		buf_adds(&want, "a: late\n");
	buf_adds(&want, "imgmake: it failed\nimgmake: it failed\n");
	close_screen(&s, "", want.s);

	open_screen(&s, TERMINAL_PLAIN);
	progress_output(s.p, "b", "1");
	progress_output(s.p, "a", "1");
	progress_output_end(s.p, "a", true);
	terminal_error(s.t, &e);
	close_screen(&s, "", "b: 1\na: 1\nimgmake: it failed\n");
}

static void a_status_line_is_cleared_before_anything_else(void **state)
{
	struct screen s;

	(void)state;
	setenv("NO_COLOR", "1", 1);
	open_screen(&s, TERMINAL_TTY);
	progress_begin(s.p, NULL, "pull", -1);
	progress_step(s.p, NULL, "line");
	terminal_print(s.t, "result\n", 7);
	progress_end(s.p, NULL, "pull", 0);
	progress_warning(s.p, "careful");
	close_screen(&s, "result\n",
	             "\rpull\033[K\r\033[Kline\n\rpull\033[K\r\033[K"
	             "imgmake: warning: careful\n");
}

static void a_status_line_is_never_wider_than_the_terminal(void **state)
{
	struct ongoing_list l = { 0 };
	char what[500];
	struct progress_event ev = { PROGRESS_BEGIN, "日本", what, 0, 5000000 };
	AUTO_BUF b = BUF_INIT;

	(void)state;
	memset(what, 'x', sizeof(what) - 1);
	what[sizeof(what) - 1] = '\0';
	ongoing_begin(&l, &ev, 0);
	ongoing_begin(&l, &ev, 0);
	for (size_t width = COLUMNS_MIN; width < 120; width++) {
		buf_reset(&b);
		ongoing_add_status(&b, &l, width, 1);
		assert_true(text_width(b.s, b.len) <= width);
	}
	ongoing_list_fini(&l);
}

static void a_result_that_cannot_be_written_is_an_error(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct terminal *t = terminal_new(TERMINAL_PLAIN, full, 2);
	struct err e;

	(void)state;
	assert_int_equal(terminal_flush(t, &e), 0);
	terminal_print(t, "x", 1);
	assert_int_equal(terminal_flush(t, &e), -1);
	assert_string_equal(e.msg, "write to standard output: No space left on device");
	terminal_free(t);
	fd_close(&full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_lines_name_their_target_and_escape_foreign_text),
		cmocka_unit_test(
			silence_is_broken_by_warnings_errors_and_output_of_commands),
		cmocka_unit_test(json_is_an_object_a_line),
		cmocka_unit_test(outputs_at_once_are_shown_whole),
		cmocka_unit_test(what_failed_is_shown_again_where_something_came_after),
		cmocka_unit_test(a_status_line_is_cleared_before_anything_else),
		cmocka_unit_test(a_status_line_is_never_wider_than_the_terminal),
		cmocka_unit_test(a_result_that_cannot_be_written_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

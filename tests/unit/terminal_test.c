#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

/* Unit tests link the engine; these four need nothing else of cmd/. */
#include "cmd/human.c"
#include "cmd/ongoing.c"
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
		cmocka_unit_test(a_status_line_is_cleared_before_anything_else),
		cmocka_unit_test(a_status_line_is_never_wider_than_the_terminal),
		cmocka_unit_test(a_result_that_cannot_be_written_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

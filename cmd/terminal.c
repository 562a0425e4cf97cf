#include "cmd/terminal.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/json.h"
#include "cmd/ongoing.h"
#include "cmd/outputs.h"
#include "cmd/recorder.h"
#include "os/clock.h"

static const int64_t second = 1000000000;
static const int64_t say_every = 2000000000; /* of one piece of work, in plain mode */
static const int64_t draw_every = 100000000;
enum { COLUMNS_DEFAULT = 80, COLUMNS_MIN = 20 };

struct terminal {
	struct progress progress; /* first: the sink is found from it */
	pthread_mutex_t lock;
	enum terminal_mode mode;
	bool colour;
	bool at_once, bare; /* output of commands: as it comes; without names */
	int out_fd, err_fd;
	int out_errno; /* of the first failed write to out_fd, or 0 */
	bool drawn;    /* a status line stands on the terminal */
	bool held;     /* somebody else has the terminal: what comes is kept in: */
	struct buf later;
	int64_t drawn_at;
	struct ongoing_list ongoing;
	struct outputs outputs; /* of commands; not in JSON, where each line says whose it
	                         * is */
	struct recorder *recorder; /* or NULL */
};

enum terminal_mode terminal_mode_for(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && term && *term && strcmp(term, "dumb") ? TERMINAL_TTY
	                                                           : TERMINAL_PLAIN;
}

/* Returns 0 or the errno. Waits where somebody made the descriptor non-blocking. */
static int write_all(int fd, const char *s, size_t n)
{
	while (n) {
		ssize_t k = write(fd, s, n);

		if (k < 0 && errno == EAGAIN) {
			struct pollfd p = { .fd = fd, .events = POLLOUT };

			poll(&p, 1, -1);
		} else if (k < 0 && errno != EINTR) {
			return errno;
		} else if (k > 0) {
			s += k;
			n -= (size_t)k;
		}
	}
	return 0;
}

/* Nothing better can be done when standard error is gone. */
static void write_err(struct terminal *t, const struct buf *b)
{
	if (t->held)
		buf_add(&t->later, b->s, b->len);
	else if (b->len)
		write_all(t->err_fd, b->s, b->len);
}

static size_t columns(const struct terminal *t)
{
	struct winsize w;

	if (ioctl(t->err_fd, TIOCGWINSZ, &w) < 0 || w.ws_col < COLUMNS_MIN)
		return COLUMNS_DEFAULT;
	return w.ws_col;
}

static void add_clear(struct terminal *t, struct buf *b)
{
	if (t->drawn)
		buf_adds(b, "\r\x1b[K");
	t->drawn = false;
}

static void add_status(struct terminal *t, struct buf *b, int64_t now)
{
	t->drawn_at = now;
	if (t->mode != TERMINAL_TTY || !t->ongoing.works.len || t->held)
		return;
	buf_addc(b, '\r');
	ongoing_add_status(b, &t->ongoing, columns(t) - 1, now); /* the last one would
	                                                            wrap */
	buf_adds(b, "\x1b[K");
	t->drawn = true;
}

/* Whole lines above the status line, in one write so that nothing flickers. */
static void put_lines(void *self, const struct buf *lines)
{
	struct terminal *t = self;
	AUTO_BUF b = BUF_INIT;

	add_clear(t, &b);
	buf_add(&b, lines->s, lines->len);
	add_status(t, &b, clock_ns());
	write_err(t, &b);
	t->outputs.writes++;
}

static void put_line(struct terminal *t, const char *line)
{
	AUTO_BUF b = BUF_INIT;

	buf_addf(&b, "%s\n", line);
	put_lines(t, &b);
}

static void redraw(struct terminal *t, int64_t now)
{
	AUTO_BUF b = BUF_INIT;

	if (!t->ongoing.works.len)
		add_clear(t, &b);
	add_status(t, &b, now);
	write_err(t, &b);
}

/* JSON has to be UTF-8; other bytes are shown escaped. */
static json_t *json_text(const char *s)
{
	json_t *j = json_string(s);
	AUTO_BUF b = BUF_INIT;

	if (j)
		return j;
	for (; *s; s++)
		buf_addf(&b, (unsigned char)*s < 0x80 ? "%c" : "\\x%02x",
		         (unsigned char)*s);
	return json_string(b.s);
}

static void put_json(struct terminal *t, const char *event, const char *target,
                     const char *text_key, const char *text, int64_t done, int64_t total)
{
	AUTO_JSON *j = json_object();
	AUTO_BUF b = BUF_INIT;

	json_object_set_new(j, "event", json_string(event));
	if (target)
		json_object_set_new(j, "target", json_text(target));
	json_object_set_new(j, text_key, json_text(text));
	if (done >= 0)
		json_object_set_new(j, "done", json_integer(done));
	if (total >= 0)
		json_object_set_new(j, "total", json_integer(total));
	json_write(&b, j);
	buf_addc(&b, '\n');
	write_err(t, &b);
}

static void say_amount(struct terminal *t, struct ongoing *w, bool over, int64_t now)
{
	AUTO_BUF b = BUF_INIT;

	ongoing_add_titled(&b, w->target, w->what);
	buf_adds(&b, ": ");
	ongoing_add_amount(&b, w, now);
	if (over) {
		buf_adds(&b, ", done in ");
		human_duration(&b, now - w->began);
	}
	w->said = now;
	put_line(t, b.s);
}

static void end_work(struct terminal *t, struct ongoing *w, int64_t done, int64_t now)
{
	struct ongoing over = ongoing_take(&t->ongoing, w);

	over.done = done;
	/* A short piece of work has no line of its own; one that got lines gets a last
	 * one. */
	if (t->mode == TERMINAL_PLAIN && over.said > over.began)
		say_amount(t, &over, true, now);
	ongoing_fini(&over);
}

/* What began, goes on or ends: shown as a whole, and not for each event. */
static void on_work(struct terminal *t, const struct progress_event *ev)
{
	static const char *const names[] = { "begin", "bytes", "end" };
	struct ongoing *w = ongoing_find(&t->ongoing, ev);
	int64_t now = clock_ns();
	bool rare = ev->kind != PROGRESS_BYTES || (w && now - w->said >= second);

	if (ev->kind == PROGRESS_BEGIN)
		ongoing_begin(&t->ongoing, ev, now);
	else if (ev->kind == PROGRESS_END && w)
		end_work(t, w, ev->done, now);
	else if (w) {
		w->done = ev->done;
		w->total = ev->total > 0 ? ev->total : w->total;
		if (t->mode == TERMINAL_PLAIN && now - w->said >= say_every)
			say_amount(t, w, false, now);
	}
	if (t->mode == TERMINAL_JSON && rare) {
		put_json(t, names[ev->kind], ev->target, "what", ev->what,
		         ev->kind == PROGRESS_BEGIN ? -1 : ev->done, ev->total);
		if (ev->kind == PROGRESS_BYTES)
			w->said = now;
	}
	if (t->mode == TERMINAL_TTY &&
	    (now - t->drawn_at >= draw_every || !t->ongoing.works.len))
		redraw(t, now);
}

static void on_line(struct terminal *t, const char *event, const char *target,
                    const char *text, size_t n)
{
	AUTO_FREE char *line = mem_strndup(text, n);
	bool output = !strcmp(event, "output");
	AUTO_BUF b = BUF_INIT;

	if (t->mode == TERMINAL_JSON) {
		put_json(t, event, target, "text", line, -1, -1);
		return;
	}
	ongoing_add_titled(&b, output && t->bare ? NULL : target, line);
	buf_addc(&b, '\n');
	if (output && target && !t->at_once) /* what a recipe prints is no target's */
		outputs_line(&t->outputs, target, b.s);
	else if (!outputs_wait(&t->outputs, target, b.s))
		put_lines(t, &b);
}

static void on_output(struct terminal *t, const struct progress_event *ev)
{
	const char *s = ev->what;

	while (*s) {
		size_t n = strcspn(s, "\n");

		on_line(t, "output", ev->target, s, n);
		s += n + (s[n] != '\0');
	}
}

/* "imgmake: warning: MESSAGE" */
static void put_message(struct terminal *t, const char *colour, const char *kind,
                        const char *text)
{
	AUTO_BUF b = BUF_INIT;

	if (t->colour)
		buf_adds(&b, colour);
	buf_addf(&b, "imgmake:%s", kind);
	if (t->colour)
		buf_adds(&b, "\x1b[0m");
	buf_addc(&b, ' ');
	buf_add_printable(&b, text, strlen(text));
	put_line(t, b.s);
}

static void clear(struct terminal *t)
{
	AUTO_BUF b = BUF_INIT;

	add_clear(t, &b);
	write_err(t, &b);
}

/* Also in silent mode: whoever finds a shell must know where they are. */
static void hold(struct terminal *t, const struct progress_event *ev)
{
	outputs_show_all(&t->outputs);
	on_line(t, "shell", ev->target, ev->what, strlen(ev->what));
	clear(t);
	t->held = true;
}

static void release(struct terminal *t)
{
	t->held = false;
	write_err(t, &t->later);
	buf_reset(&t->later);
}

static void emit(struct progress *self, const struct progress_event *ev)
{
	struct terminal *t = (struct terminal *)self;

	pthread_mutex_lock(&t->lock);
	if (t->recorder)
		recorder_event(t->recorder, ev);
	if (ev->kind == PROGRESS_WARNING && t->mode == TERMINAL_JSON)
		put_json(t, "warning", ev->target, "text", ev->what, -1, -1);
	else if (ev->kind == PROGRESS_WARNING)
		put_message(t, "\x1b[33m", " warning:", ev->what);
	else if (ev->kind == PROGRESS_HOLD)
		hold(t, ev);
	else if (ev->kind == PROGRESS_RELEASE)
		release(t);
	else if (ev->kind == PROGRESS_OUTPUT)
		on_output(t, ev); /* as make -s: what commands say is theirs */
	else if (ev->kind == PROGRESS_OUTPUT_END)
		outputs_end(&t->outputs, ev->target, ev->done);
	else if (t->mode == TERMINAL_SILENT)
		;
	else if (ev->kind == PROGRESS_STEP)
		on_line(t, "step", ev->target, ev->what, strlen(ev->what));
	else
		on_work(t, ev);
	pthread_mutex_unlock(&t->lock);
}

struct terminal *terminal_new(enum terminal_mode mode, int out_fd, int err_fd)
{
	struct terminal *t = mem_alloc(sizeof(*t));
	const char *no_color = getenv("NO_COLOR");

	t->progress.emit = emit;
	t->later = (struct buf)BUF_INIT;
	t->outputs.show = put_lines;
	t->outputs.self = t;
	pthread_mutex_init(&t->lock, NULL);
	t->mode = mode;
	t->colour = mode == TERMINAL_TTY && !(no_color && *no_color);
	t->out_fd = out_fd;
	t->err_fd = err_fd;
	return t;
}

int terminal_record(struct terminal *t, const char *events, const char *trace,
                    struct err *e)
{
	return recorder_open(&t->recorder, events, trace, e);
}

int terminal_record_end(struct terminal *t, struct err *e)
{
	struct recorder *r;

	pthread_mutex_lock(&t->lock);
	r = t->recorder;
	t->recorder = NULL;
	pthread_mutex_unlock(&t->lock);
	return recorder_close(r, e);
}

void terminal_free(struct terminal *t)
{
	if (!t)
		return;
	outputs_fini(&t->outputs);
	clear(t);
	ongoing_list_fini(&t->ongoing);
	buf_fini(&t->later);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

struct progress *terminal_progress(struct terminal *t)
{
	return &t->progress;
}

void terminal_output_at_once(struct terminal *t, bool bare)
{
	t->at_once = true;
	t->bare = bare;
}

void terminal_error(struct terminal *t, const struct err *e)
{
	pthread_mutex_lock(&t->lock);
	if (t->recorder)
		recorder_text(t->recorder, "error", e->msg);
	outputs_fail(&t->outputs);
	if (t->mode == TERMINAL_JSON)
		put_json(t, "error", NULL, "text", e->msg, -1, -1);
	else
		put_message(t, "\x1b[31m", "", e->msg);
	pthread_mutex_unlock(&t->lock);
}

void terminal_note(struct terminal *t, const char *fmt, ...)
{
	AUTO_BUF text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&t->lock);
	if (t->recorder)
		recorder_text(t->recorder, "note", text.s);
	if (t->mode != TERMINAL_SILENT)
		on_line(t, "note", NULL, text.s, text.len);
	pthread_mutex_unlock(&t->lock);
}

void terminal_print(struct terminal *t, const char *text, size_t n)
{
	pthread_mutex_lock(&t->lock);
	clear(t);
	if (!t->out_errno)
		t->out_errno = write_all(t->out_fd, text, n);
	pthread_mutex_unlock(&t->lock);
}

int terminal_flush(struct terminal *t, struct err *e)
{
	int failed;

	pthread_mutex_lock(&t->lock);
	failed = t->out_errno;
	pthread_mutex_unlock(&t->lock);
	errno = failed;
	return failed ? err_sys(e, "write to standard output") : 0;
}

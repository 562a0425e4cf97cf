#include "cmd/recorder.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "os/clock.h"
#include "os/fd.h"

struct recorder {
	int events, trace; /* or -1 */
	char *events_name, *trace_name;
	int64_t began;
	int64_t bytes_at; /* when a PROGRESS_BYTES was last written */
	bool any;         /* something stands in the trace */
	struct err failed;
	bool has_failed;
};

static const int64_t bytes_every = 1000000000;

static int make_file(int *fd, char **kept, const char *name, struct err *e)
{
	*fd = -1;
	*kept = NULL;
	if (!name)
		return 0;
	*kept = mem_strdup(name);
	*fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	return *fd < 0 ? err_sys(e, "%s", name) : 0;
}

/* After a failure nothing more is written: half a line would be no JSON. */
static void put(struct recorder *r, int fd, const char *name, const struct buf *b)
{
	if (!r->has_failed && fd_write(fd, b->s, b->len, name, &r->failed) < 0)
		r->has_failed = true;
}

int recorder_open(struct recorder **out, const char *events, const char *trace,
                  struct err *e)
{
	struct recorder *r = mem_alloc(sizeof(*r));
	AUTO_BUF b = BUF_INIT;
	struct err ignored;

	r->events = r->trace = -1;
	r->began = clock_ns();
	if (make_file(&r->events, &r->events_name, events, e) < 0 ||
	    make_file(&r->trace, &r->trace_name, trace, e) < 0) {
		if (recorder_close(r, &ignored) < 0)
			r = NULL;
		return -1;
	}
	buf_adds(&b, "[\n");
	if (r->trace >= 0)
		put(r, r->trace, r->trace_name, &b);
	*out = r;
	return 0;
}

/* JSON has to be UTF-8; other bytes are shown escaped. */
static json_t *text_json(const char *s)
{
	json_t *j = json_string(s);
	AUTO_BUF b = BUF_INIT;

	if (j)
		return j;
	buf_add_printable(&b, s, strlen(s));
	j = json_string(b.s);
	return j ? j : json_string("");
}

static void put_event(struct recorder *r, json_t *j)
{
	AUTO_BUF b = BUF_INIT;

	json_write(&b, j);
	buf_addc(&b, '\n');
	put(r, r->events, r->events_name, &b);
	json_decref(j);
}

static json_t *event_json(const struct recorder *r, const char *event)
{
	return json_pack("{s:f,s:s}", "time", (double)(clock_ns() - r->began) / 1e9,
	                 "event", event);
}

static void write_event(struct recorder *r, const struct progress_event *ev)
{
	static const char *const names[] = {
		[PROGRESS_BEGIN] = "begin",
		[PROGRESS_BYTES] = "bytes",
		[PROGRESS_END] = "end",
		[PROGRESS_STEP] = "step",
		[PROGRESS_OUTPUT] = "output",
		[PROGRESS_WARNING] = "warning",
		[PROGRESS_OUTPUT_END] = "output end",
		[PROGRESS_HOLD] = "shell",
		[PROGRESS_RELEASE] = "shell end",
	};
	bool is_work = ev->kind == PROGRESS_BEGIN || ev->kind == PROGRESS_BYTES ||
	               ev->kind == PROGRESS_END;
	int64_t now = clock_ns();
	json_t *j;

	if (ev->kind == PROGRESS_BYTES && now - r->bytes_at < bytes_every)
		return;
	if (ev->kind == PROGRESS_BYTES)
		r->bytes_at = now;
	j = event_json(r, names[ev->kind]);
	if (ev->target)
		json_object_set_new(j, "target", text_json(ev->target));
	json_object_set_new(j, is_work ? "what" : "text", text_json(ev->what));
	if (is_work && ev->kind != PROGRESS_BEGIN)
		json_object_set_new(j, "done", json_integer(ev->done));
	if (is_work && ev->total >= 0)
		json_object_set_new(j, "total", json_integer(ev->total));
	put_event(r, j);
}

/* The Trace Event Format's duration events, in its array form, which may lack its end. */
static void write_trace(struct recorder *r, const struct progress_event *ev)
{
	AUTO_BUF b = BUF_INIT, name = BUF_INIT;
	AUTO_JSON *j = NULL;

	if (ev->kind != PROGRESS_BEGIN && ev->kind != PROGRESS_END)
		return;
	buf_addf(&name, "%s%s%s", ev->target ? ev->target : "", ev->target ? ": " : "",
	         ev->what);
	j = json_pack("{s:o,s:s,s:f,s:i,s:I}", "name", text_json(name.s), "ph",
	              ev->kind == PROGRESS_BEGIN ? "B" : "E", "ts",
	              (double)(clock_ns() - r->began) / 1e3, "pid", (int)getpid(), "tid",
	              (json_int_t)syscall(SYS_gettid));
	if (r->any)
		buf_adds(&b, ",\n");
	r->any = true;
	json_write(&b, j);
	put(r, r->trace, r->trace_name, &b);
}

void recorder_event(struct recorder *r, const struct progress_event *ev)
{
	if (r->events >= 0)
		write_event(r, ev);
	if (r->trace >= 0)
		write_trace(r, ev);
}

void recorder_text(struct recorder *r, const char *event, const char *text)
{
	json_t *j;

	if (r->events < 0)
		return;
	j = event_json(r, event);
	json_object_set_new(j, "text", text_json(text));
	put_event(r, j);
}

int recorder_close(struct recorder *r, struct err *e)
{
	AUTO_BUF b = BUF_INIT;
	int rc = 0;

	if (!r)
		return 0;
	buf_adds(&b, "\n]\n");
	if (r->trace >= 0)
		put(r, r->trace, r->trace_name, &b);
	if (r->has_failed) {
		*e = r->failed;
		rc = -1;
	}
	fd_close(&r->events);
	fd_close(&r->trace);
	free(r->events_name);
	free(r->trace_name);
	free(r);
	return rc;
}

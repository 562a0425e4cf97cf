#include "base/progress.h"

#include "base/buf.h"

static void emit(struct progress *p, enum progress_kind kind, const char *target,
                 const char *what, int64_t done, int64_t total)
{
	struct progress_event ev = { kind, target, what, done, total };

	if (p)
		p->emit(p, &ev);
}

void progress_begin(struct progress *p, const char *target, const char *what,
                    int64_t total)
{
	emit(p, PROGRESS_BEGIN, target, what, 0, total);
}

void progress_bytes(struct progress *p, const char *target, const char *what,
                    int64_t done, int64_t total)
{
	emit(p, PROGRESS_BYTES, target, what, done, total);
}

void progress_end(struct progress *p, const char *target, const char *what, int64_t done)
{
	emit(p, PROGRESS_END, target, what, done, done);
}

void progress_step(struct progress *p, const char *target, const char *fmt, ...)
{
	AUTO_BUF text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	emit(p, PROGRESS_STEP, target, text.s, 0, -1);
}

void progress_warning(struct progress *p, const char *fmt, ...)
{
	AUTO_BUF text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	emit(p, PROGRESS_WARNING, NULL, text.s, 0, -1);
}

void progress_output(struct progress *p, const char *target, const char *text)
{
	emit(p, PROGRESS_OUTPUT, target, text, 0, -1);
}

void progress_output_end(struct progress *p, const char *target, bool failed)
{
	emit(p, PROGRESS_OUTPUT_END, target, "", failed, -1);
}

void progress_hold(struct progress *p, const char *target, const char *why)
{
	emit(p, PROGRESS_HOLD, target, why, 0, -1);
}

void progress_release(struct progress *p)
{
	emit(p, PROGRESS_RELEASE, NULL, "", 0, -1);
}

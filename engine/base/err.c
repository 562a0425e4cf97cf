#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void format(char *out, size_t size, const char *fmt, va_list ap)
{
	if (vsnprintf(out, size, fmt, ap) < 0)
		out[0] = '\0';
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	e->code = code;
	e->sys = 0;
	va_start(ap, fmt);
	format(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	return -1;
}

int err_sys(struct err *e, const char *fmt, ...)
{
	int sys = errno;
	size_t len;
	va_list ap;

	e->code = ERR_SYS;
	e->sys = sys;
	va_start(ap, fmt);
	/* Room is kept for the reason: it is the part that tells what to do. */
	format(e->msg, sizeof(e->msg) - 80, fmt, ap);
	va_end(ap);
	len = strlen(e->msg);
	snprintf(e->msg + len, sizeof(e->msg) - len, ": %s", strerror(sys));
	return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char context[sizeof(e->msg) / 2];
	char inner[sizeof(e->msg)];
	va_list ap;

	va_start(ap, fmt);
	format(context, sizeof(context), fmt, ap);
	va_end(ap);
	memcpy(inner, e->msg, sizeof(inner));
	if (strlen(context) + 2 + strlen(inner) < sizeof(e->msg)) {
		memcpy(e->msg, context, strlen(context));
		memcpy(e->msg + strlen(context), ": ", 2);
		memcpy(e->msg + strlen(context) + 2, inner, strlen(inner) + 1);
		return -1;
	}
	/* Both ends matter: the place in front and the reason behind. */
	size_t room = sizeof(e->msg) - strlen(context) - 8;
	snprintf(e->msg, sizeof(e->msg), "%s: ... %s", context,
	         inner + strlen(inner) - room);
	return -1;
}

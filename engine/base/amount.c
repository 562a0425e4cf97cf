#include "base/amount.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

static const struct {
	char letter;
	int64_t factor;
} times[] = {
	{ 'w', 604800 }, { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 },
};

static const char sizes[] = "bkmgt";

/* Digits at *s, which moves behind them. */
static bool take_number(const char **s, int64_t *out)
{
	const char *start = *s;

	for (*out = 0; isdigit((unsigned char)**s); ++*s)
		if (__builtin_mul_overflow(*out, 10, out) ||
		    __builtin_add_overflow(*out, **s - '0', out))
			return false;
	return *s != start;
}

static bool read_duration(const char *s, int64_t *total)
{
	for (*total = 0; *s; s++) {
		int64_t n;
		size_t i = 0;

		if (!take_number(&s, &n))
			return false;
		while (i < ARRAY_LEN(times) && times[i].letter != *s)
			i++;
		if (i == ARRAY_LEN(times) ||
		    __builtin_mul_overflow(n, times[i].factor, &n) ||
		    __builtin_add_overflow(*total, n, total))
			return false;
	}
	return *total > 0 && *total < INT64_MAX / 1000000000;
}

int amount_duration(const char *text, int64_t *seconds, struct err *e)
{
	if (read_duration(text, seconds))
		return 0;
	return err_set(e, ERR_INVALID,
	               "'%s' is no time like \"90s\", \"10m\", \"1h30m\" or \"1d\"",
	               text);
}

static bool read_size(const char *s, int64_t *bytes)
{
	const char *unit;

	if (!take_number(&s, bytes) || !*bytes)
		return false;
	if (!*s)
		return true;
	unit = strchr(sizes, tolower((unsigned char)*s++));
	if (!unit ||
	    (*s && (unit == sizes || (strcasecmp(s, "b") && strcasecmp(s, "ib")))))
		return false;
	for (; unit > sizes; unit--)
		if (__builtin_mul_overflow(*bytes, 1024, bytes))
			return false;
	return true;
}

int amount_size(const char *text, int64_t *bytes, struct err *e)
{
	if (read_size(text, bytes))
		return 0;
	return err_set(e, ERR_INVALID, "'%s' is no size like \"512m\" or \"2g\"", text);
}

void amount_add_duration(struct buf *out, int64_t seconds)
{
	for (size_t i = 1; i < ARRAY_LEN(times); i++) {
		if (seconds >= times[i].factor)
			buf_addf(out, "%" PRId64 "%c", seconds / times[i].factor,
			         times[i].letter);
		seconds %= times[i].factor;
	}
}

void amount_add_size(struct buf *out, int64_t bytes)
{
	size_t unit = 0;

	while (sizes[unit + 1] && bytes % 1024 == 0 && bytes) {
		bytes /= 1024;
		unit++;
	}
	buf_addf(out, "%" PRId64 "%c", bytes, sizes[unit]);
}

const char *int_text(int64_t v, char out[INT_TEXT])
{
	char *p = out + INT_TEXT - 1;
	uint64_t left = v < 0 ? -(uint64_t)v : (uint64_t)v;

	*p = '\0';
	do
		*--p = (char)('0' + left % 10);
	while (left /= 10);
	if (v < 0)
		*--p = '-';
	return p;
}

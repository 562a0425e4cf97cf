#include "cmd/human.h"

#include <string.h>

void human_size(struct buf *out, int64_t bytes)
{
	static const char *const units[] = { "kB", "MB", "GB", "TB", "PB", "EB" };
	double v = (double)bytes / 1000;
	size_t i = 0;

	if (bytes < 1000) {
		buf_addf(out, "%lld B", (long long)bytes);
		return;
	}
	for (; v >= 999.95 && i + 1 < ARRAY_LEN(units); i++)
		v /= 1000;
	buf_addf(out, "%.1f %s", v, units[i]);
}

void human_duration(struct buf *out, int64_t ns)
{
	long long ms = ns / 1000000, s = (ms + 500) / 1000;

	if (ms < 1000)
		buf_addf(out, "%lld ms", ms);
	else if (ms < 59950)
		buf_addf(out, "%.1f s", (double)ms / 1000);
	else if (s < 3600)
		buf_addf(out, "%lld min %lld s", s / 60, s % 60);
	else
		buf_addf(out, "%lld h %lld min", s / 3600, s / 60 % 60);
}

/* Length of a colour sequence (ESC [ ... m) at s, else 0. */
static size_t colour_at(const char *s, size_t n)
{
	size_t i = 2;

	if (n < 3 || s[0] != '\x1b' || s[1] != '[')
		return 0;
	while (i < n && ((s[i] >= '0' && s[i] <= '9') || s[i] == ';'))
		i++;
	return i < n && s[i] == 'm' ? i + 1 : 0;
}

static void skip_overwritten(const char **s, size_t *n)
{
	const char *cr;

	while (*n && (*s)[*n - 1] == '\r')
		--*n;
	cr = *n ? memrchr(*s, '\r', *n) : NULL;
	if (cr) {
		*n -= (size_t)(cr + 1 - *s);
		*s = cr + 1;
	}
}

void human_line(struct buf *out, const char *s, size_t n)
{
	size_t start = out->len, colour;

	skip_overwritten(&s, &n);
	for (size_t i = 0; i < n;) {
		size_t end = i;

		while (end < n && s[end] != '\t' && !colour_at(s + end, n - end))
			end++;
		buf_add_printable(out, s + i, end - i);
		i = end;
		colour = i < n ? colour_at(s + i, n - i) : 0;
		if (colour) {
			i += colour;
		} else if (i < n) {
			buf_addf(out, "%*s", 8 - (int)((out->len - start) % 8), "");
			i++;
		}
	}
}

#include "sandbox/lines.h"

#include <string.h>

enum { LINE_MAX_BYTES = 64 * 1024 };

static void give(struct lines *l)
{
	if (l->line)
		l->line(l->self, l->part.s, l->part.len);
	buf_reset(&l->part);
}

void lines_add(struct lines *l, const char *data, size_t n)
{
	while (n) {
		const char *nl = memchr(data, '\n', n);
		size_t len = nl ? (size_t)(nl - data) : n;

		if (len > LINE_MAX_BYTES - l->part.len) {
			len = LINE_MAX_BYTES - l->part.len;
			nl = NULL;
		}
		buf_add(&l->part, data, len);
		data += len + (nl != NULL);
		n -= len + (nl != NULL);
		if (nl || l->part.len == LINE_MAX_BYTES)
			give(l);
	}
}

void lines_end(struct lines *l)
{
	if (l->part.len)
		give(l);
	buf_fini(&l->part);
}

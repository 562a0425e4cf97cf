#include "registry/base64.h"

#include <string.h>

static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *out, const void *data, size_t n)
{
	const unsigned char *p = data;

	buf_reserve(out, (n + 2) / 3 * 4); /* at once: growing would leave a copy */
	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		unsigned v = (unsigned)p[i] << 16 |
		             (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
		             (left > 2 ? p[i + 2] : 0);

		buf_addc(out, alphabet[v >> 18]);
		buf_addc(out, alphabet[v >> 12 & 63]);
		buf_addc(out, left > 1 ? alphabet[v >> 6 & 63] : '=');
		buf_addc(out, left > 2 ? alphabet[v & 63] : '=');
	}
}

static int value_of(char c)
{
	const char *at;

	if (c == '-')
		c = '+';
	if (c == '_')
		c = '/';
	at = c ? strchr(alphabet, c) : NULL;
	return at ? (int)(at - alphabet) : -1;
}

int base64_decode(struct buf *out, const char *s)
{
	size_t n = strlen(s);
	unsigned bits = 0, have = 0;

	while (n && s[n - 1] == '=')
		n--;
	buf_reserve(out, n);
	for (size_t i = 0; i < n; i++) {
		int v = value_of(s[i]);

		if (v < 0)
			return -1;
		bits = bits << 6 | (unsigned)v;
		have += 6;
		if (have >= 8) {
			have -= 8;
			buf_addc(out, (char)(bits >> have & 0xff));
		}
	}
	return have == 6 ? -1 : 0; /* a lone last character */
}

#include <string.h>

#include "image/tar_parse.h"

enum {
	NAME_LIMIT = 255,
	VALUE_LIMIT = 64 * 1024, /* the kernel's, like the one above */
	COUNT_LIMIT = 256,       /* keeps the search for doubles short */
};

void tar_xattrs_reset(struct tar_xattrs *x)
{
	x->list.len = x->encoded.len = 0;
	arena_fini(&x->arena);
}

void tar_xattrs_fini(struct tar_xattrs *x)
{
	vec_fini(&x->list);
	vec_fini(&x->encoded);
	arena_fini(&x->arena);
}

static int bad(struct err *e)
{
	return err_set(e, ERR_INVALID, "bad extended attribute");
}

/* Marks by which overlayfs knows whiteouts and redirects: a layer may not bring its own.
 */
static bool is_overlay_mark(const char *name)
{
	return !strncmp(name, "trusted.overlay.", 16) ||
	       !strncmp(name, "user.overlay.", 13);
}

static int add(struct tar_xattrs *x, struct toc_xattr attr, bool encoded, struct err *e)
{
	if (!attr.name[0] || strlen(attr.name) > NAME_LIMIT || attr.size > VALUE_LIMIT)
		return bad(e);
	if (is_overlay_mark(attr.name))
		return 1;
	for (size_t i = 0; i < x->list.len; i++) {
		if (strcmp(x->list.at[i].name, attr.name) != 0)
			continue;
		if (x->encoded.at[i] == encoded)
			return err_set(e, ERR_INVALID, "an extended attribute twice");
		if (!encoded)
			x->list.at[i] = attr;
		return 1;
	}
	if (x->list.len == COUNT_LIMIT)
		return err_set(e, ERR_LIMIT, "more than %d extended attributes",
		               COUNT_LIMIT);
	vec_push(&x->list, attr);
	vec_push(&x->encoded, encoded);
	return 1;
}

static int base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Length, or -1. The padding may be missing: libarchive writes none. */
static ssize_t base64_decode(const char *s, size_t n, char *out)
{
	size_t made = 0;
	unsigned bits = 0, have = 0;

	for (int pad = 0; n > 0 && pad < 2 && s[n - 1] == '='; pad++)
		n--;
	for (size_t i = 0; i < n; i++) {
		int v = base64_digit(s[i]);

		if (v < 0)
			return -1;
		bits = (bits << 6 | (unsigned)v) & 0xffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[made++] = (char)(bits >> have);
		}
	}
	return n % 4 == 1 ? -1 : (ssize_t)made;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The name is URL-encoded, the value in base 64. */
static int add_encoded(struct tar_xattrs *x, const char *name, const char *value,
                       size_t n, struct err *e)
{
	char *plain = arena_alloc(&x->arena, strlen(name) + 1), *to = plain;
	char *bytes = arena_alloc(&x->arena, n + 1);
	ssize_t size = base64_decode(value, n, bytes);

	for (; *name; name++) {
		int hi = *name == '%' ? hex_digit(name[1]) : -1;
		int lo = hi >= 0 ? hex_digit(name[2]) : -1;

		*to++ = lo >= 0 ? (char)(hi << 4 | lo) : *name;
		name += lo >= 0 ? 2 : 0;
	}
	if (size < 0 || strlen(plain) != (size_t)(to - plain))
		return bad(e);
	return add(x, (struct toc_xattr){ plain, bytes, (size_t)size }, true, e);
}

int tar_xattrs_read(struct tar_xattrs *x, const char *key, const char *value, size_t n,
                    struct err *e)
{
	static const char plain[] = "SCHILY.xattr.", encoded[] = "LIBARCHIVE.xattr.";

	if (!strncmp(key, plain, sizeof(plain) - 1)) {
		key += sizeof(plain) - 1;
		return add(x, (struct toc_xattr){ key, value, n }, false, e);
	}
	if (!strncmp(key, encoded, sizeof(encoded) - 1))
		return add_encoded(x, key + sizeof(encoded) - 1, value, n, e);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct toc_xattr *)a)->name,
	              ((const struct toc_xattr *)b)->name);
}

void tar_xattrs_sort(struct tar_xattrs *x)
{
	if (x->list.len)
		qsort(x->list.at, x->list.len, sizeof(*x->list.at), by_name);
}

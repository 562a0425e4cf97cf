/* pax headers: "LENGTH KEY=VALUE\n" (POSIX.1-2017, pax, "pax Extended Header"). */
#include <string.h>

#include "image/tar_parse.h"

void tar_ext_init(struct tar_ext *x, size_t max_regions)
{
	*x = (struct tar_ext){ .body = BUF_INIT,
		               .long_name = BUF_INIT,
		               .long_link = BUF_INIT };
	x->sparse.max_regions = max_regions;
	tar_ext_reset(x);
}

void tar_ext_fini(struct tar_ext *x)
{
	buf_fini(&x->body);
	buf_fini(&x->long_name);
	buf_fini(&x->long_link);
	tar_xattrs_fini(&x->xattrs);
	vec_fini(&x->sparse.regions);
}

void tar_ext_reset(struct tar_ext *x)
{
	x->seen = 0;
	buf_reset(&x->body);
	buf_reset(&x->long_name);
	buf_reset(&x->long_link);
	x->path = x->link = x->sparse_name = NULL;
	x->size = x->uid = x->gid = -1;
	x->has_mtime = false;
	x->mtime_nsec = 0;
	tar_xattrs_reset(&x->xattrs);
	tar_sparse_reset(&x->sparse);
}

/* Values are NUL-terminated behind their n bytes. */
typedef int setter(struct tar_ext *x, const char *value, size_t n, struct err *e);

static int bad_value(struct err *e)
{
	return err_set(e, ERR_INVALID, "bad value in a pax header");
}

static int set_text(const char **out, const char *value, size_t n, struct err *e)
{
	if (n == 0 || memchr(value, '\0', n))
		return bad_value(e);
	*out = value;
	return 0;
}

static int set_path(struct tar_ext *x, const char *value, size_t n, struct err *e)
{
	return set_text(&x->path, value, n, e);
}

static int set_link(struct tar_ext *x, const char *value, size_t n, struct err *e)
{
	return set_text(&x->link, value, n, e);
}

static int set_number(int64_t *out, const char *value, size_t n, struct err *e)
{
	return tar_decimal(value, n, out) ? 0 : bad_value(e);
}

static int set_size(struct tar_ext *x, const char *value, size_t n, struct err *e)
{
	return set_number(&x->size, value, n, e);
}

static int set_uid(struct tar_ext *x, const char *value, size_t n, struct err *e)
{
	return set_number(&x->uid, value, n, e);
}

static int set_gid(struct tar_ext *x, const char *value, size_t n, struct err *e)
{
	return set_number(&x->gid, value, n, e);
}

/* The digits of a fraction as nanoseconds; what is smaller is dropped. */
static int32_t nanoseconds(const char *digits)
{
	int32_t v = 0;

	for (int i = 0; i < 9; i++)
		v = v * 10 + (*digits >= '0' && *digits <= '9' ? *digits++ - '0' : 0);
	return v;
}

/* Seconds rounded down, and nanoseconds upwards from there. */
static int set_mtime(struct tar_ext *x, const char *value, size_t n, struct err *e)
{
	bool negative = value[0] == '-';
	const char *digits = value + negative;
	size_t whole = strcspn(digits, "."), part;

	if (!tar_decimal(digits, whole, &x->mtime))
		return bad_value(e);
	part = digits[whole] ? whole + 1 : whole;
	if (part + strspn(digits + part, "0123456789") + negative != n)
		return bad_value(e);
	x->mtime_nsec = nanoseconds(digits + part);
	if (negative && strspn(digits + part, "0") != strlen(digits + part)) {
		x->mtime = -x->mtime - 1;
		x->mtime_nsec = 1000000000 - (x->mtime_nsec ? x->mtime_nsec : 1);
	} else if (negative) {
		x->mtime = -x->mtime;
	}
	x->has_mtime = true;
	return 0;
}

static int set_sparse_name(struct tar_ext *x, const char *value, size_t n, struct err *e)
{
	return set_text(&x->sparse_name, value, n, e);
}

static int set_major(struct tar_ext *x, const char *value, size_t n, struct err *e)
{
	return set_number(&x->sparse.major, value, n, e);
}

static int set_minor(struct tar_ext *x, const char *value, size_t n, struct err *e)
{
	return set_number(&x->sparse.minor, value, n, e);
}

static int set_realsize(struct tar_ext *x, const char *value, size_t n, struct err *e)
{
	return x->sparse.realsize >= 0 ? bad_value(e)
	                               : set_number(&x->sparse.realsize, value, n, e);
}

static int set_blocks(struct tar_ext *x, const char *value, size_t n, struct err *e)
{
	return set_number(&x->sparse.blocks, value, n, e);
}

static int set_offset(struct tar_ext *x, const char *value, size_t n, struct err *e)
{
	return x->sparse.at >= 0 || x->sparse.map
	               ? bad_value(e)
	               : set_number(&x->sparse.at, value, n, e);
}

static int set_numbytes(struct tar_ext *x, const char *value, size_t n, struct err *e)
{
	int64_t offset = x->sparse.at, size;

	x->sparse.at = -1;
	if (offset < 0 || !tar_decimal(value, n, &size))
		return bad_value(e);
	return tar_sparse_add(&x->sparse, offset, size, e);
}

static int set_map(struct tar_ext *x, const char *value, size_t n, struct err *e)
{
	if (x->sparse.regions.len || memchr(value, '\0', n))
		return bad_value(e);
	x->sparse.map = true;
	return tar_sparse_map(&x->sparse, value, e);
}

static int refuse(struct tar_ext *x, const char *value, size_t n, struct err *e)
{
	(void)x, (void)value, (void)n;
	return err_set(e, ERR_INVALID,
	               "a sparse file in a form that tar readers disagree on");
}

static const struct {
	const char *key;
	setter *set;
	bool sparse, repeats;
} keys[] = {
	{ "path", set_path, false, false },
	{ "linkpath", set_link, false, false },
	{ "size", set_size, false, false },
	{ "uid", set_uid, false, false },
	{ "gid", set_gid, false, false },
	{ "mtime", set_mtime, false, false },
	{ "GNU.sparse.name", set_sparse_name, true, false },
	{ "GNU.sparse.major", set_major, true, false },
	{ "GNU.sparse.minor", set_minor, true, false },
	{ "GNU.sparse.realsize", set_realsize, true, false },
	{ "GNU.sparse.size", set_realsize, true, false },
	{ "GNU.sparse.numblocks", set_blocks, true, false },
	{ "GNU.sparse.offset", set_offset, true, true },
	{ "GNU.sparse.numbytes", set_numbytes, true, true },
	{ "GNU.sparse.map", set_map, true, false },
	{ "SCHILY.realsize", refuse, true, false },
	{ "SUN.holesdata", refuse, true, false },
};

static int read_record(struct tar_ext *x, const char *key, const char *value, size_t n,
                       struct err *e)
{
	int r = tar_xattrs_read(&x->xattrs, key, value, n, e);

	if (r)
		return r < 0 ? -1 : 0;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (strcmp(key, keys[i].key) != 0)
			continue;
		if ((x->seen & 1u << i) && !keys[i].repeats)
			return err_set(e, ERR_INVALID, "'%s' twice in a pax header", key);
		x->seen |= 1u << i;
		x->sparse.on = x->sparse.on || keys[i].sparse;
		return keys[i].set(x, value, n, e);
	}
	return 0; /* names of users, other times, comments, private keys */
}

/* Takes one record off [*at, end): key and value become strings in place. */
static int split(char **at, char *end, char **key, char **value, size_t *n, struct err *e)
{
	size_t left = (size_t)(end - *at), digits = 0;
	char *space = memchr(*at, ' ', left < 8 ? left : 8), *last, *eq;
	int64_t size;

	digits = space ? (size_t)(space - *at) : 0;
	if (!space || !tar_decimal(*at, digits, &size) || **at == '0' ||
	    (size_t)size > left || (size_t)size < digits + 4)
		return err_set(e, ERR_CORRUPT, "bad pax header");
	last = *at + size - 1;
	*key = space + 1;
	eq = memchr(*key, '=', (size_t)(last - *key));
	if (*last != '\n' || !eq || eq == *key || memchr(*key, '\0', (size_t)(eq - *key)))
		return err_set(e, ERR_CORRUPT, "bad pax header");
	*eq = *last = '\0';
	*value = eq + 1;
	*n = (size_t)(last - *value);
	*at = last + 1;
	return 0;
}

int tar_pax_read(struct tar_ext *x, struct err *e)
{
	char *at = x->body.s, *end = at + x->body.len, *key = at, *value = at;
	size_t n;

	while (at < end) {
		if (split(&at, end, &key, &value, &n, e) < 0 ||
		    read_record(x, key, value, n, e) < 0)
			return -1;
	}
	tar_xattrs_sort(&x->xattrs);
	return 0;
}

int tar_pax_global(const struct buf *body, struct err *e)
{
	static const char *const harmless[] = { "comment",   "atime", "ctime",
		                                "uname",     "gname", "charset",
		                                "hdrcharset" };
	char *at = body->s, *end = at + body->len, *key = at, *value = at;
	size_t n, i;

	while (at < end) {
		if (split(&at, end, &key, &value, &n, e) < 0)
			return -1;
		for (i = 0; i < ARRAY_LEN(harmless); i++)
			if (!strcmp(key, harmless[i]))
				break;
		if (i == ARRAY_LEN(harmless))
			return err_set(
				e, ERR_INVALID,
				"'%.50s' in a global pax header, which tar readers disagree on",
				key);
	}
	return 0;
}

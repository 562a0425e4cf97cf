#include "build/account.h"

#include <string.h>

#define ID_MAX 4294967294u /* 2^32 - 1 means "leave it" to chown */

static bool read_id(const char *s, size_t n, uint32_t *out)
{
	uint64_t v = 0;

	if (!n || n > 10)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	*out = (uint32_t)v;
	return v <= ID_MAX;
}

/* Field i of a line of colon-separated fields. */
static bool field(const char *line, size_t n, int i, const char **out, size_t *len)
{
	const char *end = line + n;

	for (;; i--) {
		const char *colon = memchr(line, ':', (size_t)(end - line));
		const char *stop = colon ? colon : end;

		if (i == 0) {
			*out = line;
			*len = (size_t)(stop - line);
			return true;
		}
		if (!colon)
			return false;
		line = colon + 1;
	}
}

/* The line whose first field is `name`. */
static bool find_line(const struct buf *text, const char *name, size_t n,
                      const char **line, size_t *len)
{
	const char *p = text->s, *end = text->s + text->len;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *first;
		size_t first_len;

		*line = p;
		*len = (size_t)((nl ? nl : end) - p);
		if (field(*line, *len, 0, &first, &first_len) && first_len == n &&
		    !memcmp(first, name, n))
			return true;
		p = nl ? nl + 1 : end;
	}
	return false;
}

const char *account_next(const char *line, const char *end)
{
	const char *nl = memchr(line, '\n', (size_t)(end - line));

	return nl ? nl + 1 : end;
}

const char *account_find(const struct buf *text, const char *name)
{
	const char *line;
	size_t len;

	return find_line(text, name, strlen(name), &line, &len) ? line : NULL;
}

bool account_field(const char *line, const char *stop, int i, const char **out)
{
	size_t n;

	return field(line, (size_t)(stop - line), i, out, &n);
}

bool account_id(const char *line, const char *end, uint32_t *id)
{
	const char *nl = memchr(line, '\n', (size_t)(end - line)), *f;
	size_t n;

	return field(line, (size_t)((nl ? nl : end) - line), 2, &f, &n) &&
	       read_id(f, n, id);
}

static int look_up(const char *path, const char *what, const char *name, size_t n,
                   int id_field, account_reader *read, void *self, uint32_t *id,
                   uint32_t *group, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	const char *line, *f;
	size_t len, flen;

	if (read(self, path, &text, e) < 0)
		return -1;
	if (!find_line(&text, name, n, &line, &len))
		return err_set(
			e, ERR_INVALID,
			"the image has no %s '%.*s' in %s; write a number, or add the %s first",
			what, (int)n, name, path, what);
	if (!field(line, len, id_field, &f, &flen) || !read_id(f, flen, id))
		return err_set(e, ERR_INVALID, "%s '%.*s' has no valid number in %s",
		               what, (int)n, name, path);
	if (group &&
	    (!field(line, len, id_field + 1, &f, &flen) || !read_id(f, flen, group)))
		return err_set(e, ERR_INVALID, "%s '%.*s' has no valid group in %s", what,
		               (int)n, name, path);
	return 0;
}

int account_resolve(const char *spec, account_reader *read, void *self, struct owner *out,
                    struct err *e)
{
	const char *colon = strchr(spec, ':');
	size_t n = colon ? (size_t)(colon - spec) : strlen(spec);

	if (!n || (colon && !colon[1]))
		return err_set(e, ERR_INVALID, "owner '%s' is not USER or USER:GROUP",
		               spec);
	if (read_id(spec, n, &out->uid))
		out->gid = out->uid;
	else if (look_up("/etc/passwd", "user", spec, n, 2, read, self, &out->uid,
	                 &out->gid, e) < 0)
		return -1;
	if (!colon || read_id(colon + 1, strlen(colon + 1), &out->gid))
		return 0;
	return look_up("/etc/group", "group", colon + 1, strlen(colon + 1), 2, read, self,
	               &out->gid, NULL, e);
}

/* One look into the image for everything that a file says. */
struct kept_file {
	account_reader *read;
	void *self;
	struct buf passwd;
	bool have;
};

static int read_kept(void *self, const char *path, struct buf *text, struct err *e)
{
	struct kept_file *k = self;

	if (strcmp(path, "/etc/passwd") != 0)
		return k->read(k->self, path, text, e);
	if (!k->have && k->read(k->self, path, &k->passwd, e) < 0)
		return -1;
	k->have = true;
	buf_add(text, k->passwd.s, k->passwd.len);
	return 0;
}

/* The line of a name, or of a number's user. */
static bool find_user_line(const struct buf *text, const char *name, size_t n,
                           const char **line, size_t *len)
{
	const char *p = text->s, *end = text->s + text->len;
	uint32_t want, id;

	if (!read_id(name, n, &want))
		return find_line(text, name, n, line, len);
	for (; p < end; p = account_next(p, end)) {
		const char *next = account_next(p, end);

		if (account_id(p, end, &id) && id == want) {
			*line = p;
			*len = (size_t)(next - p) - (next > p && next[-1] == '\n');
			return true;
		}
	}
	return false;
}

static bool names(const char *list, size_t n, const char *user, size_t user_len)
{
	const char *end = list + n;

	while (list < end) {
		const char *comma = memchr(list, ',', (size_t)(end - list));
		size_t len = (size_t)((comma ? comma : end) - list);

		if (len == user_len && !memcmp(list, user, len))
			return true;
		list += len + 1;
	}
	return false;
}

static void list_groups(const struct buf *text, const char *user, size_t n,
                        struct account_process *out)
{
	const char *p = text->s, *end = text->s + text->len;

	for (; p < end && out->n_groups < ACCOUNT_GROUPS_MAX; p = account_next(p, end)) {
		const char *next = account_next(p, end), *f;
		size_t len = (size_t)(next - p) - (next > p && next[-1] == '\n'), flen;
		uint32_t id;

		if (account_id(p, end, &id) && field(p, len, 3, &f, &flen) &&
		    names(f, flen, user, n))
			out->groups[out->n_groups++] = id;
	}
}

/* What the user's line says beside the ids of `spec`. */
static int take_line(const char *line, size_t len, bool has_group, struct kept_file *k,
                     struct account_process *out, struct err *e)
{
	AUTO_BUF groups = BUF_INIT;
	const char *f;
	size_t n;

	if (field(line, len, 5, &f, &n) && n && *f == '/') {
		buf_reset(&out->home);
		buf_add(&out->home, f, n);
	}
	if (has_group)
		return 0;
	if (field(line, len, 3, &f, &n))
		read_id(f, n, &out->owner.gid);
	if (read_kept(k, "/etc/group", &groups, e) < 0)
		return -1;
	if (field(line, len, 0, &f, &n))
		list_groups(&groups, f, n, out);
	return 0;
}

int account_process(const char *spec, account_reader *read, void *self,
                    struct account_process *out, struct err *e)
{
	struct kept_file k = { .read = read, .self = self, .passwd = BUF_INIT };
	const char *colon = strchr(spec, ':'), *line;
	size_t n = colon ? (size_t)(colon - spec) : strlen(spec), len;
	uint32_t number;
	int rc = 0;

	*out = (struct account_process){ .home = BUF_INIT };
	if (*spec)
		rc = account_resolve(spec, read_kept, &k, &out->owner, e);
	buf_adds(&out->home, out->owner.uid ? "/" : "/root");
	if (rc == 0 && !colon && read_id(spec, n, &number))
		out->owner.gid = 0;
	if (rc == 0 && out->owner.uid && !k.have) {
		AUTO_BUF ignored = BUF_INIT;

		rc = read_kept(&k, "/etc/passwd", &ignored, e);
	}
	if (rc == 0 && out->owner.uid && find_user_line(&k.passwd, spec, n, &line, &len))
		rc = take_line(line, len, colon != NULL, &k, out, e);
	buf_fini(&k.passwd);
	return rc;
}

#include "base/path.h"

#include <string.h>

const char *path_next(const char **cursor, size_t *len)
{
	const char *s = *cursor;

	while (*s == '/')
		s++;
	*len = strcspn(s, "/");
	*cursor = s + *len;
	return *len ? s : NULL;
}

static bool is_dotdot(const char *s, size_t n)
{
	return n == 2 && s[0] == '.' && s[1] == '.';
}

/* Takes the last component off out[root..], unless it is ".." or there is none. */
static bool fold(struct buf *out, size_t root)
{
	size_t at = out->len;

	while (at > root && out->s[at - 1] != '/')
		at--;
	if (at == out->len || is_dotdot(out->s + at, out->len - at))
		return false;
	buf_truncate(out, at > root ? at - 1 : root);
	return true;
}

void path_clean(struct buf *out, const char *path)
{
	size_t start = out->len, root, n;
	bool absolute = *path == '/';
	const char *s;

	if (absolute)
		buf_addc(out, '/');
	root = out->len;
	while ((s = path_next(&path, &n))) {
		if (n == 1 && s[0] == '.')
			continue;
		if (is_dotdot(s, n) && (fold(out, root) || absolute))
			continue;
		if (out->len > root)
			buf_addc(out, '/');
		buf_add(out, s, n);
	}
	if (out->len == start)
		buf_addc(out, '.');
}

void path_join(struct buf *out, const char *base, const char *path)
{
	AUTO_BUF whole = BUF_INIT;

	if (*path != '/' && *base)
		buf_addf(&whole, "%s/", base);
	buf_adds(&whole, path);
	path_clean(out, whole.s);
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

char *path_dir(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return mem_strdup(".");
	if (slash == path)
		return mem_strdup("/");
	return mem_strndup(path, (size_t)(slash - path));
}

bool path_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (!*dir || !strcmp(dir, "."))
		return *path != '/' && !path_escapes(path);
	if (n && dir[n - 1] == '/') /* the root */
		return !strncmp(path, dir, n);
	return !strncmp(path, dir, n) && (path[n] == '\0' || path[n] == '/');
}

static int rank_in_walk(char c)
{
	return c == '/' ? 1 : c ? (unsigned char)c + 1 : 0;
}

int path_compare(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return rank_in_walk(*a) - rank_in_walk(*b);
}

bool path_escapes(const char *path)
{
	return is_dotdot(path, strcspn(path, "/"));
}

#include "image/reference.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"

#define DEFAULT_HOST "docker.io"
#define OFFICIAL "library/"

static const char example[] = "for example registry.example.com/team/app:1.2";

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_lower(c) || is_upper(c) || is_digit(c);
}

bool reference_tag_valid(const char *tag)
{
	size_t n = strlen(tag);

	if (n == 0 || n > 128 || tag[0] == '.' || tag[0] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(tag[i]) && !strchr("_.-", tag[i]))
			return false;
	return true;
}

/* One separator: ".", "_", "__" or any number of "-". Its length, 0 if it is none. */
static size_t separator(const char *s, size_t n)
{
	size_t k = 0;

	if (s[0] == '.')
		return 1;
	if (s[0] == '_')
		return n > 1 && s[1] == '_' ? 2 : 1;
	while (k < n && s[k] == '-')
		k++;
	return k;
}

/* [a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)* */
static bool component_valid(const char *s, size_t n)
{
	size_t i = 0;

	for (;;) {
		size_t start = i, gap;

		while (i < n && (is_lower(s[i]) || is_digit(s[i])))
			i++;
		if (i == start)
			return false;
		if (i == n)
			return true;
		gap = separator(s + i, n - i);
		if (gap == 0)
			return false;
		i += gap;
	}
}

static int bad_component(const char *text, const char *s, size_t n, struct err *e)
{
	int len = (int)(n > 80 ? 80 : n);

	if (n == 0)
		return err_set(e, ERR_INVALID,
		               "'%.200s': a component of the name is empty; write it %s",
		               text, example);
	for (size_t i = 0; i < n; i++)
		if (is_upper(s[i]))
			return err_set(
				e, ERR_INVALID,
				"'%.200s': '%.*s' has upper-case letters; repository names "
				"must be lower-case, %s",
				text, len, s, example);
	return err_set(
		e, ERR_INVALID,
		"'%.200s': '%.*s' is not a valid component of a name (lower-case letters and "
		"digits, separated by '.', '_', '__' or '-'), %s",
		text, len, s, example);
}

static int check_repo(const char *text, const char *repo, struct err *e)
{
	for (const char *s = repo;; s++) {
		size_t n = strcspn(s, "/");

		if (!component_valid(s, n))
			return bad_component(text, s, n, e);
		s += n;
		if (!*s)
			return 0;
	}
}

static bool port_valid(const char *s)
{
	unsigned long port = 0;
	size_t n = strlen(s);

	if (n == 0 || n > 5)
		return false;
	for (; *s; s++) {
		if (!is_digit(*s))
			return false;
		port = port * 10 + (unsigned long)(*s - '0');
	}
	return port >= 1 && port <= 65535;
}

/* Labels of letters, digits and inner hyphens, joined by dots. */
static bool host_name_valid(const char *s, size_t n)
{
	for (size_t i = 0, start = 0; i <= n; i++) {
		if (i < n && (is_alnum(s[i]) || s[i] == '-'))
			continue;
		if (i < n && s[i] != '.')
			return false;
		if (i == start || s[start] == '-' || s[i - 1] == '-')
			return false;
		start = i + 1;
	}
	return true;
}

/* "name", "name:port", "[v6]" or "[v6]:port". */
static bool host_valid(const char *host)
{
	const char *rest;

	if (host[0] == '[') {
		size_t n = strspn(host + 1, "0123456789abcdefABCDEF:");

		if (n < 2 || host[1 + n] != ']')
			return false;
		rest = host + 1 + n + 1;
	} else {
		size_t n = strcspn(host, ":");

		if (!host_name_valid(host, n))
			return false;
		rest = host + n;
	}
	return !*rest || (*rest == ':' && port_valid(rest + 1));
}

static bool is_host(const char *s, size_t n)
{
	if (n == 9 && !memcmp(s, "localhost", 9))
		return true;
	for (size_t i = 0; i < n; i++)
		if (s[i] == '.' || s[i] == ':' || is_upper(s[i]))
			return true;
	return false;
}

static bool is_hex_id(const char *s)
{
	size_t n = strspn(s, "0123456789abcdef");

	return n == DIGEST_HEX && !s[n];
}

/* "host/repo" or "repo", without tag and digest. */
static int parse_name(struct reference *r, const char *text, char *name, struct err *e)
{
	char *slash = strchr(name, '/');
	const char *repo = name, *host = DEFAULT_HOST, *prefix = "";
	int n;

	if (slash && is_host(name, (size_t)(slash - name))) {
		*slash = '\0';
		host = name;
		repo = slash + 1;
		if (strlen(host) >= sizeof(r->host) || !host_valid(host))
			return err_set(
				e, ERR_INVALID,
				"'%.200s': '%.80s' is not a host name with an optional port, "
				"for example registry.example.com:5000",
				text, host);
	} else if (is_hex_id(name)) {
		return err_set(e, ERR_INVALID,
		               "'%s' is an image ID, not a name; write a repository, %s",
		               text, example);
	}
	if (!strcmp(host, "index.docker.io"))
		host = DEFAULT_HOST;
	if (!strcmp(host, DEFAULT_HOST) && !strchr(repo, '/'))
		prefix = OFFICIAL;
	if (check_repo(text, repo, e) < 0)
		return -1;
	snprintf(r->host, sizeof(r->host), "%s", host);
	n = snprintf(r->repo, sizeof(r->repo), "%s%s", prefix, repo);
	if ((size_t)n >= sizeof(r->repo))
		return err_set(
			e, ERR_INVALID,
			"'%.80s...': the repository's name is longer than %zu bytes",
			text, sizeof(r->repo) - 1);
	return 0;
}

static int check_shape(const char *text, struct err *e)
{
	const char *scheme = strstr(text, "://");

	if (!*text)
		return err_set(e, ERR_INVALID,
		               "the name of an image is empty; write it %s", example);
	if (scheme)
		return err_set(e, ERR_INVALID,
		               "'%.200s': leave out '%.*s://'; write the name alone, %s",
		               text, (int)(scheme - text > 20 ? 20 : scheme - text), text,
		               example);
	for (const char *s = text; *s; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f)
			return err_set(
				e, ERR_INVALID,
				"'%.200s': a name holds neither spaces nor other than ASCII "
				"characters, %s",
				text, example);
	return 0;
}

/* Cuts "@digest" off `name`. */
static int take_digest(struct reference *r, const char *text, char *name, struct err *e)
{
	char *at = strchr(name, '@');

	if (!at)
		return 0;
	if (digest_parse(&r->digest, at + 1, e) < 0)
		return err_wrap(e, "'%.200s'", text);
	r->has_digest = true;
	*at = '\0';
	return 0;
}

/* Cuts ":tag" off `name`: a colon after the last slash. */
static int take_tag(struct reference *r, const char *text, char *name, struct err *e)
{
	char *slash = strrchr(name, '/');
	char *colon = strchr(slash ? slash : name, ':');

	if (!colon)
		return 0;
	if (!reference_tag_valid(colon + 1))
		return err_set(
			e, ERR_INVALID,
			"'%.200s': '%.140s' is not a valid tag (up to 128 letters, digits, '_', "
			"'.' and '-', not starting with '.' or '-'), %s",
			text, colon + 1, example);
	snprintf(r->tag, sizeof(r->tag), "%s", colon + 1);
	*colon = '\0';
	return 0;
}

static int parse(struct reference *r, const char *text, struct err *e)
{
	AUTO_FREE char *name = NULL;

	memset(r, 0, sizeof(*r));
	if (check_shape(text, e) < 0)
		return -1;
	name = mem_strdup(text);
	if (take_digest(r, text, name, e) < 0 || take_tag(r, text, name, e) < 0)
		return -1;
	return parse_name(r, text, name, e);
}

int reference_parse(struct reference *r, const char *text, struct err *e)
{
	if (parse(r, text, e) < 0)
		return -1;
	if (!r->tag[0] && !r->has_digest)
		memcpy(r->tag, "latest", sizeof("latest"));
	return 0;
}

int reference_parse_repo(struct reference *r, const char *text, struct err *e)
{
	if (parse(r, text, e) < 0)
		return -1;
	if (r->has_digest || r->tag[0])
		return err_set(e, ERR_INVALID,
		               "'%.200s': a repository is wanted here; leave out the %s",
		               text, r->has_digest ? "digest" : "tag");
	return 0;
}

char *reference_repo_text(const struct reference *r)
{
	AUTO_BUF b = BUF_INIT;

	buf_addf(&b, "%s/%s", r->host, r->repo);
	return buf_take(&b);
}

char *reference_text(const struct reference *r)
{
	AUTO_BUF b = BUF_INIT;

	buf_addf(&b, "%s/%s", r->host, r->repo);
	if (r->tag[0])
		buf_addf(&b, ":%s", r->tag);
	if (r->has_digest)
		buf_addf(&b, "@%s", DIGEST_STR(&r->digest));
	return buf_take(&b);
}

#include "registry/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

/* The five components, as slices; NULL where one is absent (RFC 3986, appendix B). */
struct part {
	const char *s;
	size_t n;
};

struct parts {
	struct part scheme, authority, path, query;
};

static size_t scheme_length(const char *s)
{
	size_t n = 0;

	if (!isalpha((unsigned char)s[0]))
		return 0;
	while (isalnum((unsigned char)s[n]) || (s[n] && strchr("+-.", s[n])))
		n++;
	return s[n] == ':' ? n : 0;
}

static void split(struct parts *p, const char *s)
{
	size_t n = scheme_length(s);

	*p = (struct parts){ 0 };
	if (n) {
		p->scheme = (struct part){ s, n };
		s += n + 1;
	}
	if (s[0] == '/' && s[1] == '/') {
		n = strcspn(s + 2, "/?#");
		p->authority = (struct part){ s + 2, n };
		s += 2 + n;
	}
	n = strcspn(s, "?#");
	p->path = (struct part){ s, n };
	s += n;
	if (*s == '?')
		p->query = (struct part){ s + 1, strcspn(s + 1, "#") };
}

static bool clean_text(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= 0x20 || (unsigned char)*s >= 0x7f || *s == '\\')
			return false;
	return true;
}

static int bad(struct err *e, const char *text, const char *why)
{
	AUTO_BUF shown = BUF_INIT;

	/* The query may hold a signature: it is not repeated in messages. */
	buf_add_printable(&shown, text, strcspn(text, "?#"));
	return err_set(e, ERR_INVALID, "bad URL '%.200s': %s", shown.s, why);
}

static int parse_port(struct url *u, const char *s, size_t n)
{
	int port = 0;

	u->port = strcmp(u->scheme, "https") ? 80 : 443;
	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (!isdigit((unsigned char)s[i]))
			return -1;
		port = port * 10 + (s[i] - '0');
		if (port > 65535)
			return -1;
	}
	u->port = port;
	return port > 0 ? 0 : -1;
}

static bool host_valid(const char *host, bool ipv6)
{
	unsigned char addr[16];

	if (ipv6)
		return inet_pton(AF_INET6, host, addr) == 1;
	for (const char *s = host; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("-._", *s))
			return false;
	/* It also becomes a directory's name (certs.d): no leading dot. */
	return *host && *host != '.' && strlen(host) < 256;
}

static int parse_authority(struct url *u, struct part a)
{
	const char *end = a.s + a.n, *host = a.s, *host_end;

	if (memchr(a.s, '@', a.n))
		return -1;
	if (a.n && *host == '[') {
		host_end = memchr(a.s, ']', a.n);
		if (!host_end)
			return -1;
		u->ipv6 = true;
		u->host = mem_strndup(host + 1, (size_t)(host_end - host - 1));
		host_end++;
	} else {
		host_end = memchr(a.s, ':', a.n);
		if (!host_end)
			host_end = end;
		u->host = mem_strndup(host, (size_t)(host_end - host));
	}
	for (char *s = u->host; *s; s++)
		*s = (char)tolower((unsigned char)*s);
	if (!host_valid(u->host, u->ipv6))
		return -1;
	if (host_end < end && *host_end != ':')
		return -1;
	return parse_port(u, host_end + 1,
	                  host_end < end ? (size_t)(end - host_end - 1) : 0);
}

int url_parse(struct url *u, const char *text, struct err *e)
{
	struct parts p;

	*u = (struct url){ 0 };
	if (!clean_text(text))
		return bad(e, text, "it holds blanks or control characters");
	split(&p, text);
	if (p.scheme.n == 5 && !strncasecmp(p.scheme.s, "https", 5))
		u->scheme = mem_strdup("https");
	else if (p.scheme.n == 4 && !strncasecmp(p.scheme.s, "http", 4))
		u->scheme = mem_strdup("http");
	else
		return bad(e, text, "only http and https are understood");
	if (!p.authority.s || parse_authority(u, p.authority) < 0) {
		url_fini(u);
		return bad(e, text, "its host or port is not valid");
	}
	return 0;
}

void url_fini(struct url *u)
{
	free(u->scheme);
	free(u->host);
	*u = (struct url){ 0 };
}

/* RFC 3986, 5.2.4, on a path that starts with a slash. */
static void remove_dots(struct buf *out, const char *s, size_t n)
{
	const char *end = s + n;
	size_t root = out->len;

	while (s < end) {
		const char *next = memchr(s + 1, '/', (size_t)(end - s - 1));
		size_t len = (size_t)((next ? next : end) - s);
		bool dot = len == 2 && s[1] == '.';
		bool dots = len == 3 && s[1] == '.' && s[2] == '.';

		if (dots)
			while (out->len > root && out->s[out->len - 1] != '/')
				buf_truncate(out, out->len - 1);
		if (dots && out->len > root)
			buf_truncate(out, out->len - 1);
		if (!dot && !dots)
			buf_add(out, s, len);
		else if (!next)
			buf_addc(out, '/');
		s += len;
	}
}

static void add_path(struct buf *out, const struct parts *base, const struct parts *ref)
{
	AUTO_BUF whole = BUF_INIT;
	size_t dir = base->path.n;

	if (ref->path.s[0] != '/' || !ref->path.n) {
		while (dir && base->path.s[dir - 1] != '/')
			dir--;
		buf_add(&whole, base->path.s, dir);
		if (!dir)
			buf_addc(&whole, '/');
	}
	buf_add(&whole, ref->path.s, ref->path.n);
	remove_dots(out, whole.s, whole.len);
}

int url_resolve(char **out, const char *base, const char *ref, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	AUTO_URL checked = { 0 };
	struct parts b, r;
	struct part query;

	if (!clean_text(ref))
		return bad(e, ref, "it holds blanks or control characters");
	split(&b, base);
	split(&r, ref);
	query = r.query;
	if (r.scheme.s)
		buf_add(&text, ref, strcspn(ref, "?#"));
	else
		buf_addf(&text, "%.*s://", (int)b.scheme.n, b.scheme.s);
	if (!r.scheme.s && r.authority.s) {
		buf_add(&text, r.authority.s, r.authority.n);
		buf_add(&text, r.path.s, r.path.n);
	} else if (!r.scheme.s) {
		buf_add(&text, b.authority.s, b.authority.n);
		if (r.path.n)
			add_path(&text, &b, &r);
		else
			buf_add(&text, b.path.s, b.path.n);
		if (!r.path.n && !query.s)
			query = b.query;
	}
	if (query.s) {
		buf_addc(&text, '?');
		buf_add(&text, query.s, query.n);
	}
	if (url_parse(&checked, text.s, e) < 0)
		return -1;
	*out = buf_take(&text);
	return 0;
}

void url_escape(struct buf *out, const char *s)
{
	for (; *s; s++) {
		if (isalnum((unsigned char)*s) || strchr("-._~", *s))
			buf_addc(out, *s);
		else
			buf_addf(out, "%%%02X", (unsigned char)*s);
	}
}

char *url_add_query(const char *url, const char *key, const char *value)
{
	struct buf out = BUF_INIT;
	const char *query = strchr(url, '?');

	buf_adds(&out, url);
	if (!query)
		buf_addc(&out, '?');
	else if (query[1] && url[strlen(url) - 1] != '&')
		buf_addc(&out, '&');
	buf_addf(&out, "%s=", key);
	url_escape(&out, value);
	return buf_take(&out);
}

bool url_same_origin(const char *a, const char *b)
{
	AUTO_URL x = { 0 }, y = { 0 };
	struct err e;

	if (url_parse(&x, a, &e) < 0 || url_parse(&y, b, &e) < 0)
		return false;
	return x.port == y.port && !strcmp(x.scheme, y.scheme) && !strcmp(x.host, y.host);
}

char *url_authority(const struct url *u)
{
	struct buf out = BUF_INIT;

	buf_addf(&out, u->ipv6 ? "[%s]" : "%s", u->host);
	if (u->port != (strcmp(u->scheme, "https") ? 80 : 443))
		buf_addf(&out, ":%d", u->port);
	return buf_take(&out);
}

bool url_host_loopback(const char *host)
{
	static const char tail[] = ".localhost";
	size_t n = strlen(host);
	struct in_addr v4;

	if (!strcasecmp(host, "localhost") || !strcmp(host, "::1"))
		return true;
	if (n > strlen(tail) && !strcasecmp(host + n - strlen(tail), tail))
		return true;
	return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

static bool v4_inner(uint32_t a)
{
	return a >> 24 == 0 || a >> 24 == 10 || a >> 24 == 127 ||
	       a >> 22 == (100 << 2 | 1) || a >> 16 == 0xa9fe ||
	       a >> 20 == (172 << 4 | 1) || a >> 16 == 0xc0a8;
}

bool url_host_inner(const char *host)
{
	struct in6_addr v6;
	struct in_addr v4;

	/* inet_aton also takes "127.1" and "0x7f000001", as the resolver does. */
	if (inet_aton(host, &v4))
		return v4_inner(ntohl(v4.s_addr));
	if (inet_pton(AF_INET6, host, &v6) != 1)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&v6)) {
		memcpy(&v4, v6.s6_addr + 12, 4);
		return v4_inner(ntohl(v4.s_addr));
	}
	return IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_LINKLOCAL(&v6) ||
	       IN6_IS_ADDR_UNSPECIFIED(&v6) || (v6.s6_addr[0] & 0xfe) == 0xfc;
}

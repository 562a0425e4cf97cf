#include "registry/token.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "os/clock.h"
#include "registry/base64.h"
#include "registry/retry.h"
#include "registry/url.h"

#define SECOND 1000000000LL
enum { LIFE_DEFAULT_S = 60, LIFE_MAX_S = 24 * 3600, TOKEN_MAX = 64 * 1024 };

void token_free(struct token *t)
{
	if (!t)
		return;
	if (t->value)
		explicit_bzero(t->value, strlen(t->value));
	free(t->value);
	free(t);
}

int token_realm_check(const char *realm, const char *registry_url, struct err *e)
{
	AUTO_URL to = { 0 }, from = { 0 };

	if (url_parse(&to, realm, e) < 0 || url_parse(&from, registry_url, e) < 0)
		return err_wrap(e, "where to get a token");
	if (!strcmp(to.scheme, "http") && strcmp(from.scheme, "http") != 0)
		return err_set(e, ERR_DENIED,
		               "%s wants us to fetch a token over plain http from %s",
		               from.host, to.host);
	if (!strcmp(to.host, from.host))
		return 0;
	if (url_host_loopback(to.host) && url_host_loopback(from.host))
		return 0;
	if (url_host_inner(to.host) || url_host_loopback(to.host))
		return err_set(e, ERR_DENIED,
		               "%s wants us to fetch a token from the inner address %s",
		               from.host, to.host);
	return 0;
}

/* It goes into a header: no blanks, no controls. */
static bool token_valid(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (!isgraph((unsigned char)s[i]))
			return false;
	return n > 0 && n <= TOKEN_MAX;
}

static struct token *token_new(const char *value, int64_t life_s, int64_t asked_at)
{
	struct token *t = mem_alloc(sizeof(*t));

	t->value = mem_strdup(value);
	/* A tenth less: it must live until the registry has seen it. */
	t->expires = asked_at + life_s * SECOND / 10 * 9;
	return t;
}

/* Some say it in a string, or with a fraction; a token is no worse for what cannot be
 * read. */
static int64_t life_of(const json_t *root)
{
	const json_t *j = json_object_get(root, "expires_in");
	double life = json_is_string(j) ? strtod(json_string_value(j), NULL)
	                                : json_number_value(j);

	if (!(life >= 1))
		return LIFE_DEFAULT_S;
	return life < LIFE_MAX_S ? (int64_t)life : LIFE_MAX_S;
}

int token_read(const char *text, size_t n, int64_t asked_at, struct token **out,
               struct err *e)
{
	const char *token = NULL, *access = NULL;
	AUTO_JSON *root = NULL;

	if (json_read_secret(&root, text, n, e) < 0 ||
	    json_member_str(root, "token", false, &token, e) < 0 ||
	    json_member_str(root, "access_token", false, &access, e) < 0)
		return -1;
	if (!token || !*token)
		token = access;
	if (!token || !token_valid(token))
		return err_set(e, ERR_INVALID, "the answer holds no usable token");
	*out = token_new(token, life_of(root), asked_at);
	if (access)
		explicit_bzero((char *)access, strlen(access));
	if (token != access)
		explicit_bzero((char *)token, strlen(token));
	return 0;
}

static void get_url(struct buf *url, const struct host *h, const struct strlist *scopes,
                    const struct credential *who)
{
	char join = strchr(h->realm, '?') ? '&' : '?';

	buf_adds(url, h->realm);
	if (*h->service) {
		buf_addf(url, "%cservice=", join);
		url_escape(url, h->service);
		join = '&';
	}
	for (size_t i = 0; i < scopes->len; i++) {
		buf_addf(url, "%cscope=", join);
		url_escape(url, scopes->at[i]);
		join = '&';
	}
	if (who->secret && *who->user) {
		buf_addf(url, "%caccount=", join);
		url_escape(url, who->user);
	}
}

static int ask_get(struct registry *r, struct host *h, const struct strlist *scopes,
                   const struct credential *who, struct http_answer *a, struct err *e)
{
	AUTO_BUF url = BUF_INIT, pair = BUF_INIT, basic = BUF_INIT;
	struct http_request q = { .method = "GET" };
	int rc;

	get_url(&url, h, scopes, who);
	q.url = url.s;
	if (who->secret) {
		buf_reserve(&pair, strlen(who->user) + strlen(who->secret) + 16);
		buf_addf(&pair, "%s:%s", *who->user ? who->user : "<token>", who->secret);
		buf_reserve(&basic, pair.len * 2 + 16);
		buf_adds(&basic, "Basic ");
		base64_encode(&basic, pair.s, pair.len);
		explicit_bzero(pair.s, pair.len);
		q.authorization = basic.s;
	}
	rc = retry_perform(r, h, &q, RETRY_TRIES, a, e);
	if (basic.len)
		explicit_bzero(basic.s, basic.len);
	return rc;
}

static int ask_post(struct registry *r, struct host *h, const struct strlist *scopes,
                    const struct credential *who, struct http_answer *a, struct err *e)
{
	AUTO_STRLIST headers = STRLIST_INIT;
	AUTO_BUF form = BUF_INIT, joined = BUF_INIT;
	struct http_memory body;
	struct http_request q = { .method = "POST",
		                  .url = h->realm,
		                  .headers = &headers };
	int rc;

	strlist_add(&headers, "Content-Type: application/x-www-form-urlencoded");
	for (size_t i = 0; i < scopes->len; i++)
		buf_addf(&joined, "%s%s", i ? " " : "", scopes->at[i]);
	buf_reserve(&form,
	            3 * (strlen(who->secret) + joined.len + strlen(h->service)) + 256);
	buf_adds(&form, "grant_type=refresh_token&client_id=imgmake&service=");
	url_escape(&form, h->service);
	buf_adds(&form, "&scope=");
	url_escape(&form, joined.s);
	buf_adds(&form, "&refresh_token=");
	url_escape(&form, who->secret);
	q.body = http_memory(&body, form.s, form.len);
	rc = retry_perform(r, h, &q, RETRY_TRIES, a, e);
	explicit_bzero(form.s, form.len);
	return rc;
}

static int refused(const struct host *h, const struct credential *who,
                   const struct http_answer *a, struct err *e)
{
	AUTO_URL u = { 0 };

	if (url_parse(&u, h->realm, e) < 0)
		return -1;
	if ((a->status == 401 || a->status == 403) && who->secret)
		return err_set(
			e, ERR_DENIED,
			"denied: %s refused the password of \"%s\" for %s (from %s); log in "
			"again",
			u.host, *who->user ? who->user : "<token>", h->name,
			who->source ? who->source : "?");
	if (a->status == 401 || a->status == 403)
		return err_set(e, ERR_DENIED,
		               "denied: %s gives no token without a login to %s", u.host,
		               h->name);
	return err_set(e, ERR_NETWORK, "%s gave no token for %s: HTTP status %ld", u.host,
	               h->name, a->status);
}

int token_fetch(struct registry *r, struct host *h, const struct strlist *scopes,
                const struct credential *who, struct token **out, struct err *e)
{
	int64_t asked_at = clock_ns();
	AUTO_ANSWER a = HTTP_ANSWER_INIT;
	bool post = who->secret && who->identity;
	int rc = post ? ask_post(r, h, scopes, who, &a, e)
	              : ask_get(r, h, scopes, who, &a, e);

	if (rc == 0 && post && (a.status == 404 || a.status == 405))
		rc = ask_get(r, h, scopes, who, &a, e);
	if (rc < 0)
		return err_wrap(e, "get a token for %s", h->name);
	if (a.status != 200)
		return refused(h, who, &a, e);
	rc = token_read(a.body.s, a.body.len, asked_at, out, e);
	explicit_bzero(a.body.s, a.body.len);
	return rc < 0 ? err_wrap(e, "token for %s", h->name) : 0;
}

#include "registry/call.h"

#include <string.h>

#include "registry/auth.h"
#include "registry/hello.h"
#include "registry/url.h"

enum { HOPS_MAX = 10, RENEWALS_MAX = 2, SPARE_STALL_S = 10 };

struct run {
	struct registry *r;
	const struct call *c;
	struct http_answer *a;
	const char *method;
	char *url;
	struct buf login;     /* Authorization that goes out */
	struct strlist asked; /* scopes that challenges named */
	bool fresh;
	int hops, renewals;
	atomic_bool *silent; /* of a repository that one can do without; else NULL */
	struct err *e;
};

static void forget_login(struct run *x)
{
	if (x->login.len)
		explicit_bzero(x->login.s, x->login.len);
	buf_reset(&x->login);
}

void call_scope(struct strlist *scopes, const char *repo, const char *actions)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "repository:%s:%s", repo, actions);
	strlist_take(scopes, buf_take(&b));
}

static void start_url(struct run *x)
{
	struct buf b = BUF_INIT;

	free(x->url);
	if (x->c->path)
		host_add_base(&b, x->c->host);
	buf_adds(&b, x->c->path ? x->c->path : x->c->url);
	x->url = buf_take(&b);
}

/* Passwords and tokens go to the registry's own origin and nowhere else. */
static bool at_home(const struct run *x)
{
	AUTO_BUF base = BUF_INIT;

	host_add_base(&base, x->c->host);
	return x->c->scopes && url_same_origin(base.s, x->url);
}

static int find_login(struct run *x, const char *refused)
{
	struct auth_need need = { x->c->host, x->c->repo, x->c->scopes, &x->asked,
		                  refused };
	struct buf next = BUF_INIT;
	int rc = auth_value(x->r, &need, &next, &x->fresh, x->e);

	forget_login(x);
	buf_fini(&x->login);
	x->login = next;
	return rc;
}

static atomic_bool *find_spare(struct registry *r, const struct call *c)
{
	AUTO_BUF name = BUF_INIT;
	struct spare *s;
	bool needed;

	pthread_mutex_lock(&r->lock);
	if (r->spare.len && c->repo)
		buf_addf(&name, "%s/%s", c->host->name, c->repo);
	s = name.len ? map_get(&r->spare, name.s) : NULL;
	needed = !s || s->needed;
	pthread_mutex_unlock(&r->lock);
	return needed ? NULL : &s->silent;
}

/* Those who write are given the usual time: a registry may have much to do with what it
 * got. */
static void hurry(const struct run *x, struct http_request *q)
{
	bool reads = !strcmp(x->method, "GET") || !strcmp(x->method, "HEAD");

	q->spare = x->silent != NULL;
	if (q->spare && reads && x->r->http.stall_s > SPARE_STALL_S)
		q->stall_s = SPARE_STALL_S;
}

static int perform_once(struct run *x)
{
	const struct call *c = x->c;
	struct http_request q = { .method = x->method,
		                  .url = x->url,
		                  .headers = c->headers,
		                  .sink = c->sink,
		                  .limit = c->limit,
		                  .stall_s = c->stall_s,
		                  .counted = c->counted,
		                  .once = c->tries == 1 };

	if (!strcmp(x->method, c->method))
		q.body = c->body;
	if (x->login.len && at_home(x))
		q.authorization = x->login.s;
	hurry(x, &q);
	return retry_perform(x->r, c->host, &q, c->tries ? c->tries : RETRY_TRIES, x->a,
	                     x->e);
}

static int perform(struct run *x)
{
	int rc;

	if (x->silent && atomic_load(x->silent)) {
		x->a->failure = HTTP_STALLED;
		return err_set(x->e, ERR_NETWORK, "%s fell silent before",
		               x->c->host->name);
	}
	rc = perform_once(x);
	if (rc < 0 && x->silent && x->a->failure == HTTP_STALLED)
		atomic_store(x->silent, true);
	return rc;
}

static int rewind_body(struct run *x)
{
	return x->c->body ? x->c->body->rewind(x->c->body) : 0;
}

/* 1: plain http is to be tried instead; -1: that was it. */
static int transport_failed(struct run *x)
{
	struct host *h = x->c->host;
	bool bare = strrchr(h->authority, ':') == NULL;
	bool no_tls = x->a->failure == HTTP_TLS || x->a->failure == HTTP_HANDSHAKE ||
	              (bare && x->a->failure == HTTP_CONNECT);
	int probing = SCHEME_PROBING;
	struct err inner;

	if (!x->c->path || x->hops || !no_tls)
		return -1;
	if (atomic_compare_exchange_strong(&h->scheme, &probing, SCHEME_HTTP) ||
	    (h->plain_allowed && probing == SCHEME_HTTP &&
	     !strncmp(x->url, "https:", 6))) {
		start_url(x);
		return rewind_body(x) < 0 ? -1 : 1;
	}
	if (x->a->failure != HTTP_TLS || h->plain_allowed)
		return -1;
	inner = *x->e;
	return err_set(
		x->e, ERR_NETWORK,
		"%.600s; if it serves plain http on purpose, give --insecure-registry %s",
		inner.msg, h->authority);
}

static enum auth_scheme scheme_of(struct host *h)
{
	enum auth_scheme is;

	pthread_mutex_lock(&h->auth_lock);
	is = h->auth;
	pthread_mutex_unlock(&h->auth_lock);
	return is;
}

/* 1: ask again, with what we now know; 0: the refusal stands. */
static int renew_login(struct run *x)
{
	struct buf before = BUF_INIT;
	size_t asked = x->asked.len;
	bool was_fresh = x->fresh;
	int rc;

	if (!at_home(x) || x->renewals++ >= RENEWALS_MAX)
		return 0;
	if (auth_learn(x->c->host, x->a, x->c->scopes, &x->asked, x->e) < 0)
		return -1;
	/* A new token without the right: another one has it no more. The host's scheme
	 * may have changed while we asked, with the answer that another call got. */
	if (was_fresh && x->asked.len == asked && scheme_of(x->c->host) == AUTH_BEARER)
		return 0;
	buf_add(&before, x->login.s, x->login.len);
	rc = find_login(x, before.len ? before.s : NULL);
	if (rc == 0 && x->login.len && strcmp(before.s, x->login.s) != 0)
		rc = rewind_body(x) < 0 ? -1 : 1;
	if (before.len)
		explicit_bzero(before.s, before.len);
	buf_fini(&before);
	return rc;
}

static bool is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 ||
	       status == 308;
}

/* 1: ask there; 0: it is an answer; -1. */
static int follow(struct run *x)
{
	const char *location = http_header(x->a, "location");
	char *next;

	if (!location || x->c->stay)
		return 0;
	if (++x->hops > HOPS_MAX)
		return err_set(x->e, ERR_NETWORK, "%s redirects more than %d times",
		               x->c->host->name, (int)HOPS_MAX);
	if (url_resolve(&next, x->url, location, x->e) < 0)
		return err_wrap(x->e, "redirected by %s", x->c->host->name);
	if (!strncmp(x->url, "https:", 6) && strncmp(next, "https:", 6) != 0) {
		free(next);
		return err_set(x->e, ERR_DENIED,
		               "%s redirects from https to plain http; refused",
		               x->c->host->name);
	}
	free(x->url);
	x->url = next;
	if (x->a->status == 303 && strcmp(x->method, "HEAD") != 0)
		x->method = "GET";
	return rewind_body(x) < 0 ? -1 : 1;
}

/* 1: once more; 0: the answer stands; -1. */
static int ask(struct run *x)
{
	int probing = SCHEME_PROBING;

	if (perform(x) < 0)
		return transport_failed(x);
	if (!strncmp(x->url, "https:", 6) && x->c->path && !x->hops)
		atomic_compare_exchange_strong(&x->c->host->scheme, &probing,
		                               SCHEME_HTTPS);
	if (x->a->status == 401)
		return renew_login(x);
	if (is_redirect(x->a->status))
		return follow(x);
	return 0;
}

/* With the probe's lock held. */
static void greet(struct host *h)
{
	int probing = SCHEME_PROBING;

	if (!h->loopback || h->greeted || atomic_load(&h->scheme) != probing)
		return;
	h->greeted = true;
	if (hello_finds_plain(h->authority))
		atomic_compare_exchange_strong(&h->scheme, &probing, SCHEME_HTTP);
}

/* Who comes second asks as the first has found out. */
static int one_round(struct run *x)
{
	struct host *h = x->c->host;
	int rc;

	if (!x->c->path || x->hops || atomic_load(&h->scheme) != SCHEME_PROBING)
		return ask(x);
	pthread_mutex_lock(&h->probe_lock);
	greet(h);
	start_url(x);
	rc = ask(x);
	pthread_mutex_unlock(&h->probe_lock);
	return rc;
}

int call_run(struct registry *r, const struct call *c, struct http_answer *a,
             struct err *e)
{
	struct run x = {
		.r = r, .c = c, .a = a, .method = c->method, .login = BUF_INIT, .e = e
	};
	int rc;

	x.silent = find_spare(r, c);
	start_url(&x);
	rc = c->scopes ? find_login(&x, NULL) : 0;
	if (rc == 0) {
		do
			rc = one_round(&x);
		while (rc > 0);
	}
	forget_login(&x);
	buf_fini(&x.login);
	strlist_fini(&x.asked);
	free(x.url);
	return rc;
}

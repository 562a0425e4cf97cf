#include "registry/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

#include "os/clock.h"
#include "registry/http_pool.h"
#include "registry/url.h"

enum {
	CONNECT_S = 20,
	SPARE_CONNECT_S = 10,
	HEADERS_MAX = 500,
	ERROR_BODY_MAX = 64 * 1024,
	BODY_MAX = 1 << 20,
};
#define SECOND 1000000000LL

/* One request under way. */
struct exchange {
	struct http *http;
	const struct http_request *q;
	struct http_answer *a;
	CURL *easy;
	const struct tls_host *tls;
	char *authority;
	int64_t moved, moved_at; /* bytes seen by the watchdog, and when they last grew */
	bool stalled, stopped, enough;
	bool loopback; /* it goes to this machine */
	char why[CURL_ERROR_SIZE];
	struct err *e;
};

static void forget_headers(struct http_answer *a)
{
	strlist_fini(&a->names);
	strlist_fini(&a->values);
}

static void add_header(struct http_answer *a, const char *line, const char *colon,
                       size_t n)
{
	const char *value = colon + 1, *end = line + n;
	char *name = mem_strndup(line, (size_t)(colon - line));

	for (char *s = name; *s; s++)
		*s = (char)tolower((unsigned char)*s);
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && isspace((unsigned char)end[-1]))
		end--;
	strlist_take(&a->names, name);
	strlist_take(&a->values, mem_strndup(value, (size_t)(end - value)));
}

static size_t on_header(char *line, size_t size, size_t n, void *self)
{
	struct exchange *x = self;
	const char *colon = memchr(line, ':', n);

	(void)size;
	if (n >= 5 && !memcmp(line, "HTTP/", 5))
		forget_headers(x->a); /* of a 100 before */
	else if (colon && x->a->names.len < HEADERS_MAX)
		add_header(x->a, line, colon, n);
	return n;
}

static size_t stop(struct exchange *x)
{
	x->stopped = true;
	return 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *self)
{
	struct exchange *x = self;
	struct http_answer *a = x->a;
	int64_t limit = x->q->limit ? x->q->limit : BODY_MAX;

	(void)size;
	if (!a->status)
		curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &a->status);
	if (x->q->counted)
		atomic_fetch_add(&x->http->received, (long long)n);
	if (a->status / 100 != 2) {
		/* Only a message for people: the rest of a long one is not waited for. */
		x->enough = a->body.len + n > ERROR_BODY_MAX;
		if (!x->enough)
			buf_add(&a->body, data, n);
		return x->enough ? 0 : n;
	}
	if (x->q->sink)
		return x->q->sink->write(x->q->sink, a, data, n, x->e) < 0 ? stop(x) : n;
	if ((int64_t)(a->body.len + n) > limit) {
		err_set(x->e, ERR_LIMIT,
		        "%s sent more than %lld bytes where less was expected",
		        x->authority, (long long)limit);
		return stop(x);
	}
	buf_add(&a->body, data, n);
	return n;
}

static size_t on_send(char *out, size_t size, size_t n, void *self)
{
	struct exchange *x = self;
	ssize_t got = x->q->body->read(x->q->body, out, size * n);

	if (got < 0) {
		x->stopped = true;
		return CURL_READFUNC_ABORT;
	}
	if (x->q->counted)
		atomic_fetch_add(&x->http->sent, got);
	return (size_t)got;
}

/* libcurl sends anew when a kept connection turns out to be dead. A PATCH must not be:
 * the part that arrived would be there twice. */
static int on_seek(void *self, curl_off_t offset, int origin)
{
	struct exchange *x = self;

	if (x->q->once || offset || origin != SEEK_SET ||
	    x->q->body->rewind(x->q->body) < 0)
		return CURL_SEEKFUNC_FAIL;
	return CURL_SEEKFUNC_OK;
}

/* Called at least once a second. */
static int on_progress(void *self, curl_off_t dt, curl_off_t down, curl_off_t ut,
                       curl_off_t up)
{
	struct exchange *x = self;
	int64_t limit = x->q->stall_s ? x->q->stall_s : x->http->stall_s;
	int64_t now = clock_ns();

	(void)dt;
	(void)ut;
	if (atomic_load(&x->http->cancelled))
		return 1;
	if (x->q->body && x->q->body->tick)
		x->q->body->tick(x->q->body);
	if (down + up != x->moved) {
		x->moved = down + up;
		x->moved_at = now;
	}
	x->stalled = now - x->moved_at > limit * SECOND;
	return x->stalled;
}

static CURLcode on_tls(CURL *easy, void *ctx, void *self)
{
	struct exchange *x = self;

	(void)easy;
	for (size_t i = 0; i < x->tls->authorities.len; i++) {
		const char *path = x->tls->authorities.at[i];

		if (SSL_CTX_load_verify_file(ctx, path) == 1)
			continue;
		err_set(x->e, ERR_INVALID, "%s holds no certificate that can be read",
		        path);
		x->stopped = true;
		return CURLE_SSL_CACERT_BADFILE;
	}
	return CURLE_OK;
}

static void set_tls(CURL *c, struct exchange *x)
{
	const char *system = tls_system_directory(x->http->tls);
	const char *bundle = getenv(X509_get_default_cert_file_env());

	if (system) {
		curl_easy_setopt(c, CURLOPT_CAINFO, NULL);
		curl_easy_setopt(c, CURLOPT_CAPATH, system);
	} else if (bundle) {
		curl_easy_setopt(c, CURLOPT_CAINFO, bundle);
	}
	if (x->tls->insecure) {
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (x->tls->authorities.len) {
		curl_easy_setopt(c, CURLOPT_SSL_CTX_FUNCTION, on_tls);
		curl_easy_setopt(c, CURLOPT_SSL_CTX_DATA, x);
#if LIBCURL_VERSION_NUM >= 0x075700
		/* The cached store would not have our authorities. */
		curl_easy_setopt(c, CURLOPT_CA_CACHE_TIMEOUT, 0L);
#endif
	}
	if (x->tls->cert) {
		curl_easy_setopt(c, CURLOPT_SSLCERT, x->tls->cert);
		curl_easy_setopt(c, CURLOPT_SSLKEY, x->tls->key);
	}
}

static void set_method(CURL *c, struct exchange *x)
{
	const struct http_request *q = x->q;

	curl_easy_setopt(c, CURLOPT_URL, q->url);
	if (!strcmp(q->method, "HEAD")) {
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
		return;
	}
	if (q->body) {
		curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->body->size);
		curl_easy_setopt(c, CURLOPT_READFUNCTION, on_send);
		curl_easy_setopt(c, CURLOPT_READDATA, x);
		curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(c, CURLOPT_SEEKDATA, x);
		curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
	}
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
}

static void set_rest(CURL *c, struct exchange *x)
{
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	/* Plain http is spoken with this machine since nobody listens there: a proxy
	 * would. */
	if (x->loopback)
		curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT,
	                 (long)(x->q->spare ? SPARE_CONNECT_S : CONNECT_S));
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256L * 1024);
	curl_easy_setopt(c, CURLOPT_USERAGENT, x->http->user_agent);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, x->why);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
}

static struct curl_slist *header_list(const struct http_request *q)
{
	struct curl_slist *list = NULL;

	for (size_t i = 0; q->headers && i < q->headers->len; i++)
		list = curl_slist_append(list, q->headers->at[i]);
	list = curl_slist_append(list, "Expect:");
	if (q->authorization) {
		AUTO_BUF line = BUF_INIT;

		buf_reserve(&line, strlen(q->authorization) + 32);
		buf_addf(&line, "Authorization: %s", q->authorization);
		list = curl_slist_append(list, line.s);
		explicit_bzero(line.s, line.len);
	}
	return list;
}

static void free_headers(struct curl_slist *list)
{
	for (struct curl_slist *l = list; l; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(list);
}

static int failed(struct exchange *x, enum http_failure kind, enum err_code code,
                  const char *text)
{
	AUTO_BUF why = BUF_INIT;

	x->a->failure = kind;
	buf_add_printable(&why, x->why, strlen(x->why));
	if (why.len)
		return err_set(x->e, code, "%s %s (%s)", x->authority, text, why.s);
	return err_set(x->e, code, "%s %s", x->authority, text);
}

/* In which of the ways, since each is mended by somebody else. */
static int untrusted(struct exchange *x)
{
	long verified = X509_V_OK;

	x->a->failure = HTTP_UNTRUSTED;
	curl_easy_getinfo(x->easy, CURLINFO_SSL_VERIFYRESULT, &verified);
	if (strstr(x->why, "subject name")) /* curl compares it, and has no code for this
	                                     */
		return err_set(
			x->e, ERR_DENIED,
			"%s has a certificate that is for another name (%s); check "
			"the name",
			x->authority, x->why);
	switch (verified) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return err_set(x->e, ERR_DENIED,
		               "%s has a certificate that has expired; its owner has to "
		               "renew it, unless the clock here is wrong",
		               x->authority);
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return err_set(x->e, ERR_DENIED,
		               "%s has a certificate that is not valid yet; is the clock "
		               "here right?",
		               x->authority);
	default:
		return err_set(
			x->e, ERR_DENIED,
			"%s has a certificate that is not trusted (%s); put the certificate "
			"of its authority into /etc/containers/certs.d/%s/ca.crt or "
			"~/.config/containers/certs.d/%s/ca.crt, or name one by SSL_CERT_FILE",
			x->authority, x->why, x->authority, x->authority);
	}
}

/* With TLS 1.3 a client learns of it only when it has sent its first request. */
static bool wants_ours(const struct exchange *x)
{
	return strstr(x->why, "alert certificate required") ||
	       strstr(x->why, "alert bad certificate");
}

static int lacks_ours(struct exchange *x)
{
	x->a->failure = HTTP_UNTRUSTED;
	return err_set(
		x->e, ERR_DENIED,
		"%s wants a certificate of ours; put it into "
		"~/.config/containers/certs.d/%s/client.cert, and its key beside it "
		"into client.key",
		x->authority, x->authority);
}

static int aborted(struct exchange *x)
{
	if (x->stopped) {
		x->a->failure = HTTP_STOPPED;
		return -1; /* source or sink has set the error */
	}
	if (atomic_load(&x->http->cancelled)) {
		x->a->failure = HTTP_CANCELLED;
		return http_cancelled(x->e);
	}
	x->why[0] = '\0';
	return failed(x, HTTP_STALLED, ERR_NETWORK, "fell silent");
}

/* libcurl has one code for all that may go wrong in a handshake. */
static bool cut_handshake(const struct exchange *x)
{
	return strstr(x->why, "reset by peer") || strstr(x->why, "SSL_ERROR_SYSCALL") ||
	       strstr(x->why, "unexpected eof");
}

static int proxy_refused(struct exchange *x, long status)
{
	x->a->failure = status >= 500 ? HTTP_CONNECT : HTTP_OTHER;
	if (status == 407)
		return err_set(x->e, ERR_DENIED,
		               "%s: the proxy wants a login (HTTP status 407); put it "
		               "into https_proxy as http://USER:PASSWORD@HOST:PORT",
		               x->authority);
	return err_set(x->e, ERR_NETWORK,
	               "%s: the proxy does not lead there (HTTP status %ld); check "
	               "https_proxy and NO_PROXY",
	               x->authority, status);
}

static int translate(struct exchange *x, CURLcode rc)
{
	long tunnel = 0;

	curl_easy_getinfo(x->easy, CURLINFO_HTTP_CONNECTCODE, &tunnel);
	if (tunnel >= 300)
		return proxy_refused(x, tunnel);
	if (!strncmp(x->q->url, "https:", 6) && wants_ours(x))
		return lacks_ours(x);
	switch (rc) {
	case CURLE_COULDNT_RESOLVE_PROXY:
		x->a->failure = HTTP_RESOLVE;
		return err_set(x->e, ERR_NETWORK,
		               "%s: its proxy is not known: %s; check https_proxy",
		               x->authority, x->why);
	case CURLE_COULDNT_RESOLVE_HOST:
		return failed(
			x, HTTP_RESOLVE, ERR_NETWORK,
			"is unreachable: no such host; check its name and the network");
	case CURLE_OPERATION_TIMEDOUT:
		if (x->q->spare)
			return failed(x, HTTP_STALLED, ERR_NETWORK, "does not answer");
		/* fall through */
	case CURLE_COULDNT_CONNECT:
		return failed(x, HTTP_CONNECT, ERR_NETWORK,
		              "is unreachable: check host, port, network and proxy");
	case CURLE_SSL_CONNECT_ERROR:
		return cut_handshake(x) ? failed(x, HTTP_HANDSHAKE, ERR_NETWORK,
		                                 "cut off the TLS handshake")
		                        : failed(x, HTTP_TLS, ERR_NETWORK,
		                                 "does not speak TLS as we do");
	case CURLE_PEER_FAILED_VERIFICATION: return untrusted(x);
	case CURLE_SSL_CACERT_BADFILE:
		return x->stopped
		               ? aborted(x)
		               : failed(x, HTTP_OTHER, ERR_INVALID,
		                        "cannot be trusted by what SSL_CERT_FILE names");
	case CURLE_ABORTED_BY_CALLBACK:
	case CURLE_WRITE_ERROR: return aborted(x);
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_SEND_FAIL_REWIND:
		return failed(x, HTTP_CUT, ERR_NETWORK, "cut the connection");
	default: return failed(x, HTTP_OTHER, ERR_NETWORK, "could not be asked");
	}
}

static bool was_cut(CURLcode rc)
{
	return rc == CURLE_SEND_ERROR || rc == CURLE_RECV_ERROR ||
	       rc == CURLE_PARTIAL_FILE;
}

/* 0 with an answer, else -1 with its kind in the answer. Who refuses need not wait for
 * our body, nor send all of his message. */
static int run(struct exchange *x)
{
	struct curl_slist *headers = header_list(x->q);
	CURLcode rc;

	set_method(x->easy, x);
	set_tls(x->easy, x);
	set_rest(x->easy, x);
	curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, headers);
	atomic_fetch_add(&x->http->requests, 1);
	x->moved_at = clock_ns();
	rc = curl_easy_perform(x->easy);
	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &x->a->status);
	free_headers(headers);
	if ((x->enough && rc == CURLE_WRITE_ERROR) ||
	    (x->a->status >= 300 && was_cut(rc)))
		rc = CURLE_OK;
	return rc == CURLE_OK ? 0 : translate(x, rc);
}

static int open_exchange(struct exchange *x, struct buf *origin)
{
	AUTO_URL u = { 0 };

	if (url_parse(&u, x->q->url, x->e) < 0)
		return -1;
	x->authority = url_authority(&u);
	x->loopback = url_host_loopback(u.host);
	x->tls = tls_for(x->http->tls, x->authority);
	buf_addf(origin, "%s://%s", u.scheme, x->authority);
	x->easy = http_pool_take(x->http->pool, origin->s, &x->http->cancelled, x->e);
	if (x->easy)
		return 0;
	if (x->e->code == ERR_CANCELLED)
		x->a->failure = HTTP_CANCELLED;
	return -1;
}

int http_perform(struct http *h, const struct http_request *q, struct http_answer *a,
                 struct err *e)
{
	struct exchange x = { .http = h, .q = q, .a = a, .e = e };
	AUTO_BUF origin = BUF_INIT;
	int rc;

	http_answer_fini(a);
	a->failure = HTTP_OTHER;
	a->url = mem_strdup(q->url);
	rc = open_exchange(&x, &origin);
	if (rc == 0) {
		rc = run(&x);
		http_pool_give(h->pool, origin.s, x.easy);
	}
	if (rc == 0)
		a->failure = HTTP_ANSWERED;
	free(x.authority);
	return rc;
}

/* Downloads: resumed by Range, verified as they come, kept only when whole. */
#include <ctype.h>
#include <string.h>

#include "registry/blob.h"
#include "registry/mirror.h"
#include "registry/url.h"
#include "store/blob_follow.h"

enum { ATTEMPTS = 5, SAY_EVERY = 1 << 20 };

struct fetch {
	struct http_sink sink;
	struct registry *r;
	const struct descriptor *blob; /* NULL: any bytes, up to `limit` */
	int64_t limit;
	struct blobs *store;
	struct blob_writer w; /* its size is where we are, also when */
	int (*pass)(void *self, const void *data, size_t n, struct err *e);
	void *passed_to; /* the bytes go there instead; NULL */
	int64_t from;
	struct host *by;            /* who gave the last of them */
	struct blob_follow *follow; /* who reads along, or NULL */
	bool started;               /* this answer's first bytes have come */
	bool resumed;               /* the bytes are of several answers */
	int64_t skip;               /* bytes of this answer that we have already */
	const char *what;
};

int64_t download_start(const char *s)
{
	if (!s || strncmp(s, "bytes ", 6) != 0 || !isdigit((unsigned char)s[6]))
		return -1;
	return strtoll(s + 6, NULL, 10);
}

/* A server may heed Range or send all again; both are fine as long as we know which. */
static int start(struct fetch *f, const struct http_answer *a, struct err *e)
{
	f->started = true;
	f->skip = f->w.size;
	if (a->status != 206)
		return 0;
	f->skip = 0;
	if (download_start(http_header(a, "content-range")) != f->w.size)
		return err_set(e, ERR_CORRUPT,
		               "it answers with another range than was asked for");
	return 0;
}

static int keep(struct fetch *f, const char *bytes, size_t n, struct err *e)
{
	if (!f->pass)
		return blob_write(&f->w, bytes, n, e);
	if (f->pass(f->passed_to, bytes, n, e) < 0)
		return -1;
	f->w.size += (int64_t)n;
	return 0;
}

static int take(struct http_sink *self, const struct http_answer *a, const void *data,
                size_t n, struct err *e)
{
	struct fetch *f = (struct fetch *)self;
	const char *bytes = data;
	int64_t before = f->w.size;

	if (!f->started && start(f, a, e) < 0)
		return -1;
	if (f->skip > 0) {
		size_t drop = f->skip < (int64_t)n ? (size_t)f->skip : n;

		f->skip -= (int64_t)drop;
		bytes += drop;
		n -= drop;
	}
	if (f->w.size + (int64_t)n > f->limit)
		return err_set(e, f->blob ? ERR_CORRUPT : ERR_LIMIT,
		               "it is larger than %lld bytes", (long long)f->limit);
	if (n && keep(f, bytes, n, e) < 0)
		return -1;
	blob_follow_grow(f->follow, f->w.size);
	if (f->w.size / SAY_EVERY != before / SAY_EVERY)
		progress_bytes(f->r->progress, NULL, f->what, f->w.size,
		               f->blob ? f->limit : -1);
	return 0;
}

static int begin(struct fetch *f, struct err *e)
{
	if (f->pass) {
		f->w.size = f->from;
		return 0;
	}
	if (blob_begin(&f->w, f->store, e) < 0)
		return -1;
	blob_follow_begin(f->follow, f->w.fd);
	return 0;
}

static int restart(struct fetch *f, struct err *e)
{
	if (f->pass)
		return err_set(e, ERR_CORRUPT, "%s: what follows cannot be had", f->what);
	blob_abort(&f->w);
	f->resumed = false;
	return begin(f, e);
}

/* One request for what is missing. 0: an answer of status 200 or 206 was taken to its
 * end. */
static int ask(struct fetch *f, struct call *c, struct http_answer *a, struct err *e)
{
	AUTO_STRLIST headers = STRLIST_INIT;
	AUTO_BUF range = BUF_INIT;
	int rc;

	f->started = false;
	if (f->w.size > 0) {
		buf_addf(&range, "Range: bytes=%lld-", (long long)f->w.size);
		strlist_add(&headers, range.s);
		f->resumed = true;
	}
	c->headers = &headers;
	c->sink = &f->sink;
	rc = call_run(f->r, c, a, e);
	c->headers = NULL;
	return rc;
}

static bool worth_again(const struct http_answer *a)
{
	return a->failure == HTTP_CUT || a->failure == HTTP_STALLED ||
	       a->failure == HTTP_CONNECT || a->failure == HTTP_HANDSHAKE;
}

/* 1: all is there; 0: ask on; -1. */
static int judge(struct fetch *f, const struct call *c, const struct http_answer *a,
                 struct err *e)
{
	if (a->status == 416 && f->w.size > 0)
		return restart(f, e);
	if (a->status / 100 != 2 && !f->blob)
		return err_set(e, a->status == 404 ? ERR_NOT_FOUND : ERR_NETWORK,
		               "%s answers HTTP status %ld", c->host->name, a->status);
	if (a->status != 200 && a->status != 206)
		return call_refused(f->r, c, "pull", "such blob", a, e);
	if (f->w.size == f->limit || !f->blob)
		return 1;
	/* Ended early without an error: its Content-Length was wrong. */
	err_set(e, ERR_CORRUPT, "%s sent %lld of %lld bytes", c->host->name,
	        (long long)f->w.size, (long long)f->limit);
	return 0;
}

static int receive(struct fetch *f, struct call *c, struct err *e)
{
	int64_t had = 0;

	for (int n = 0; n < ATTEMPTS; n++) {
		AUTO_ANSWER a = HTTP_ANSWER_INIT;
		struct err cancelled;
		int rc = ask(f, c, &a, e);

		if (rc < 0 && (!worth_again(&a) || a.status / 100 != 2))
			return -1;
		if (rc == 0)
			rc = judge(f, c, &a, e);
		else
			rc = f->blob ? 0 : restart(f, e); /* what has no digest is not
			                                     patched up */
		if (rc)
			return rc < 0 ? -1 : 0;
		if (f->w.size > had) { /* never so far: else it would go round and round
			                */
			n = 0;
			had = f->w.size;
		}
		if (n + 1 < ATTEMPTS && retry_pause(f->r, n, &cancelled) < 0) {
			*e = cancelled;
			return -1;
		}
	}
	return -1;
}

static int fetch_once(struct fetch *f, struct call *c, struct digest *got, int64_t *size,
                      struct err *e)
{
	int rc;

	if (begin(f, e) < 0)
		return -1;
	rc = receive(f, c, e);
	if (f->pass) {
		f->from = f->w.size; /* for the next one that is asked */
		return rc;
	}
	if (rc == 0) {
		*size = f->w.size;
		rc = blob_commit(&f->w, f->blob ? &f->blob->digest : NULL, got, e);
	}
	blob_abort(&f->w);
	return rc;
}

static int fetch_from(void *self, const struct reference *ref, struct host *h,
                      struct err *e)
{
	struct fetch *f = self;
	AUTO_STRLIST scopes = STRLIST_INIT;
	AUTO_BUF path = BUF_INIT;
	struct call c = { .method = "GET",
		          .host = h,
		          .repo = ref->repo,
		          .scopes = &scopes,
		          .counted = true };
	int64_t size, before;
	int rc;

	call_scope(&scopes, ref->repo, "pull");
	buf_addf(&path, "/v2/%s/blobs/%s", ref->repo, DIGEST_STR(&f->blob->digest));
	c.path = path.s;
	f->resumed = false;
	before = f->from;
	rc = fetch_once(f, &c, NULL, &size, e);
	if (f->from > before)
		f->by = h;
	/* Pieced together from answers that differed: once more, in one piece. */
	if (rc < 0 && e->code == ERR_CORRUPT && f->resumed && !f->pass)
		rc = fetch_once(f, &c, NULL, &size, e);
	return rc < 0 ? err_wrap(e, "pull %.19s from %s/%s", DIGEST_STR(&f->blob->digest),
	                         h->name, ref->repo)
	              : 0;
}

int download_pass(struct registry *r, const struct reference *ref,
                  const struct descriptor *d, int64_t start,
                  int (*pass)(void *self, const void *data, size_t n, struct err *e),
                  void *self, struct host **by, struct err *e)
{
	struct fetch f = { .sink = { take },
		           .r = r,
		           .blob = d,
		           .limit = d->size,
		           .pass = pass,
		           .passed_to = self,
		           .from = start,
		           .what = DIGEST_STR(&d->digest) };

	int rc;

	f.w.fd = -1;
	rc = mirror_try(r, ref, fetch_from, &f, e);
	*by = f.by;
	return rc;
}

int registry_fetch_blob(struct registry *r, const struct reference *ref,
                        const struct descriptor *d, struct blobs *store, struct err *e)
{
	return registry_fetch_followed(r, ref, d, store, NULL, e);
}

int registry_fetch_followed(struct registry *r, const struct reference *ref,
                            const struct descriptor *d, struct blobs *store,
                            struct blob_follow *follow, struct err *e)
{
	AUTO_BUF what = BUF_INIT;
	struct fetch f = {
		.sink = { take }, .r = r, .blob = d, .limit = d->size, .store = store
	};
	int64_t size;
	int rc;

	f.w.fd = -1;
	f.follow = follow;
	if (blobs_has(store, &d->digest, &size))
		return size == d->size
		               ? 0
		               : err_set(e, ERR_CORRUPT,
		                         "%s has %lld bytes, not the %lld it is said to "
		                         "have",
		                         DIGEST_STR(&d->digest), (long long)size,
		                         (long long)d->size);
	buf_addf(&what, "pull %s/%s %.19s", ref->host, ref->repo, DIGEST_STR(&d->digest));
	f.what = what.s;
	progress_begin(r->progress, NULL, what.s, d->size);
	rc = mirror_try(r, ref, fetch_from, &f, e);
	progress_end(r->progress, NULL, what.s, rc < 0 ? 0 : d->size);
	return rc;
}

int registry_fetch_url(struct registry *r, const char *url, int64_t limit,
                       struct blobs *store, struct digest *got, int64_t *size,
                       struct err *e)
{
	struct fetch f = {
		.sink = { take }, .r = r, .limit = limit, .store = store, .what = url
	};
	AUTO_FREE char *authority = NULL;
	struct call c = { .method = "GET", .repo = "", .url = url };
	AUTO_URL u = { 0 };
	int rc;

	f.w.fd = -1;
	if (url_parse(&u, url, e) < 0)
		return -1;
	authority = url_authority(&u);
	c.host = host_get(r, authority);
	progress_begin(r->progress, NULL, url, -1);
	rc = fetch_once(&f, &c, got, size, e);
	progress_end(r->progress, NULL, url, rc < 0 ? 0 : *size);
	return rc < 0 ? err_wrap(e, "fetch %s", url) : 0;
}

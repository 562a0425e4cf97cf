#include "registry/retry.h"

#include <ctype.h>
#include <curl/curl.h>
#include <string.h>
#include <time.h>

#include "os/clock.h"

#define MS 1000000LL

bool retry_status(long status)
{
	return status == 408 || status == 429 ||
	       (status >= 500 && status < 600 && status != 501);
}

int64_t retry_after(const char *value, int64_t wall_now)
{
	int64_t seconds = 0;
	time_t when;

	if (isdigit((unsigned char)*value)) {
		for (; isdigit((unsigned char)*value) && seconds <= RETRY_AFTER_MAX;
		     value++)
			seconds = seconds * 10 + (*value - '0');
	} else {
		when = curl_getdate(value, NULL);
		if (when == (time_t)-1)
			return -1;
		seconds = (int64_t)when - wall_now;
	}
	if (seconds < 0)
		return 0;
	return seconds > RETRY_AFTER_MAX ? RETRY_AFTER_MAX : seconds;
}

int64_t retry_backoff(int n, unsigned noise)
{
	int64_t whole = 250 * MS << (n < 6 ? n : 6);

	/* Half of it is left to chance, so that many clients do not come back as one. */
	return whole / 2 + whole / 2 * (noise % 1024) / 1023;
}

int retry_pause(struct registry *r, int n, struct err *e)
{
	int64_t now = clock_ns();
	unsigned noise = (unsigned)(now ^ now >> 17) ^ (unsigned)(uintptr_t)&now >> 4;

	atomic_fetch_add(&r->retries, 1);
	return registry_wait(r, retry_backoff(n, noise), e);
}

static bool again(const struct host *h, const struct http_request *q,
                  const struct http_answer *a, int n)
{
	switch (a->failure) {
	case HTTP_ANSWERED: return retry_status(a->status);
	case HTTP_RESOLVE: return n < 1; /* mostly a name mistyped */
	case HTTP_CONNECT: return true;
	case HTTP_TLS:
		return atomic_load(&h->scheme) == SCHEME_HTTPS && !h->plain_allowed &&
		       n < 1;
	case HTTP_HANDSHAKE: return atomic_load(&h->scheme) == SCHEME_HTTPS;
	case HTTP_STALLED:
		if (q->spare)
			return false;
		/* fall through */
	case HTTP_CUT: return !q->sink || a->status / 100 != 2;
	default: return false;
	}
}

/* What one can do without is not waited for. */
static bool asks_too_much(const struct http_request *q, const struct http_answer *a)
{
	const char *after = http_header(a, "retry-after");

	return q->spare && after && retry_status(a->status) &&
	       retry_after(after, clock_wall_s()) > SPARE_AFTER_MAX;
}

int retry_perform(struct registry *r, struct host *h, const struct http_request *q,
                  int tries, struct http_answer *a, struct err *e)
{
	for (int n = 0;; n++) {
		struct err why;
		int rc;

		if (host_wait(r, h, e) < 0)
			return -1;
		rc = http_perform(&r->http, q, a, e);
		if (rc == 0 && asks_too_much(q, a))
			return 0;
		if (rc == 0 && host_note(r, h, a, &why) < 0) {
			*e = why;
			return -1;
		}
		if (n + 1 >= tries || !again(h, q, a, n))
			return rc;
		if (retry_pause(r, n, e) < 0)
			return -1;
		if (q->body && q->body->rewind(q->body) < 0)
			return -1;
	}
}

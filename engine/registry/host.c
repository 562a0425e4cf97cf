#include "registry/host.h"

#include <string.h>
#include <strings.h>

#include "os/clock.h"
#include "registry/retry.h"
#include "registry/token.h"
#include "registry/url.h"

#define SECOND 1000000000LL
enum { BUDGET_S = 300, SAY_EVERY_S = 10, QUOTA_LOW = 10 };

static bool is_loopback(const char *authority)
{
	AUTO_BUF text = BUF_INIT;
	AUTO_URL u = { 0 };
	struct err e;

	buf_addf(&text, "https://%s", authority);
	return url_parse(&u, text.s, &e) == 0 && url_host_loopback(u.host);
}

static struct host *host_new(struct registry *r, const char *name)
{
	struct host *h = mem_alloc(sizeof(*h));

	h->name = mem_strdup(name);
	h->authority =
		mem_strdup(strcmp(name, "docker.io") && strcmp(name, "index.docker.io")
	                           ? name
	                           : "registry-1.docker.io");
	h->loopback = is_loopback(h->authority);
	h->plain_allowed = h->loopback || tls_insecure(r->http.tls, h->authority);
	atomic_init(&h->scheme, h->plain_allowed ? SCHEME_PROBING : SCHEME_HTTPS);
	pthread_mutex_init(&h->lock, NULL);
	pthread_mutex_init(&h->auth_lock, NULL);
	pthread_mutex_init(&h->probe_lock, NULL);
	pthread_mutex_init(&h->referrers_lock, NULL);
	return h;
}

void host_free(struct host *h)
{
	for (size_t i = 0; i < h->tokens.len; i++)
		token_free(h->tokens.at[i].value);
	map_fini(&h->tokens);
	strlist_fini(&h->warnings);
	pthread_mutex_destroy(&h->lock);
	pthread_mutex_destroy(&h->auth_lock);
	pthread_mutex_destroy(&h->probe_lock);
	pthread_mutex_destroy(&h->referrers_lock);
	free(h->realm);
	free(h->service);
	free(h->authority);
	free(h->name);
	free(h);
}

struct host *host_get(struct registry *r, const char *name)
{
	struct host *h;

	pthread_mutex_lock(&r->lock);
	h = map_get(&r->hosts, name);
	if (!h) {
		h = host_new(r, name);
		map_put(&r->hosts, name, h);
	}
	pthread_mutex_unlock(&r->lock);
	return h;
}

void host_add_base(struct buf *out, const struct host *h)
{
	/* While probing, https comes first: no request is ever sent in the clear to a
	 * host that can do better. */
	buf_addf(out, "%s://%s",
	         atomic_load(&h->scheme) == SCHEME_HTTP ? "http" : "https", h->authority);
}

static void count_waiting(struct registry *r, int change)
{
	int64_t now = clock_ns();

	pthread_mutex_lock(&r->lock);
	if (r->waiting)
		r->waited += now - r->waiting_since;
	r->waiting_since = now;
	r->waiting += change;
	pthread_mutex_unlock(&r->lock);
}

int registry_wait(struct registry *r, int64_t ns, struct err *e)
{
	int rc;

	count_waiting(r, 1);
	rc = http_sleep(&r->http, ns, e);
	count_waiting(r, -1);
	return rc;
}

int64_t registry_waited(struct registry *r)
{
	int64_t waited;

	count_waiting(r, 0);
	pthread_mutex_lock(&r->lock);
	waited = r->waited;
	pthread_mutex_unlock(&r->lock);
	return waited;
}

static int64_t left_to_wait(struct host *h)
{
	int64_t left;

	pthread_mutex_lock(&h->lock);
	left = h->not_before - clock_ns();
	pthread_mutex_unlock(&h->lock);
	return left;
}

int host_wait(struct registry *r, struct host *h, struct err *e)
{
	int64_t left;

	while ((left = left_to_wait(h)) > 0) {
		progress_step(r->progress, NULL, "%s asks us to wait: %lld s", h->name,
		              (long long)((left + SECOND - 1) / SECOND));
		if (left > SAY_EVERY_S * SECOND)
			left = SAY_EVERY_S * SECOND;
		if (registry_wait(r, left, e) < 0)
			return -1;
	}
	return atomic_load(&r->http.cancelled) ? http_cancelled(e) : 0;
}

/* Extends the wait of all threads; what they wait together counts once. */
static int extend_wait(struct host *h, int64_t seconds, struct err *e)
{
	int64_t now = clock_ns(), until = now + seconds * SECOND, more;
	bool over;

	pthread_mutex_lock(&h->lock);
	more = until - (h->not_before > now ? h->not_before : now);
	over = more > 0 && h->waited + more > BUDGET_S * SECOND;
	if (more > 0 && !over) {
		h->waited += more;
		h->not_before = until;
	}
	pthread_mutex_unlock(&h->lock);
	if (!over)
		return 0;
	return err_set(
		e, ERR_NETWORK,
		"%s asks us to wait %lld s, more than the %d s we wait for a registry in "
		"all; try again later",
		h->name, (long long)seconds, (int)BUDGET_S);
}

static void say_warnings(struct registry *r, struct host *h, const struct http_answer *a)
{
	for (size_t i = 0; i < a->names.len; i++) {
		const char *text = a->values.at[i];
		AUTO_BUF shown = BUF_INIT;
		bool known;

		if (strcmp(a->names.at[i], "warning") != 0 ||
		    strncmp(text, "299 ", 4) != 0)
			continue;
		buf_add_printable(&shown, text + 4, strlen(text + 4));
		pthread_mutex_lock(&h->lock);
		known = strlist_has(&h->warnings, shown.s);
		if (!known)
			strlist_add(&h->warnings, shown.s);
		pthread_mutex_unlock(&h->lock);
		if (!known)
			progress_warning(r->progress, "%s: %s", h->name, shown.s);
	}
}

static void say_quota(struct registry *r, struct host *h, const struct http_answer *a)
{
	const char *left = http_header(a, "ratelimit-remaining");
	bool known;

	if (!left || *left < '0' || *left > '9' || atoi(left) >= QUOTA_LOW)
		return;
	pthread_mutex_lock(&h->lock);
	known = h->quota_said;
	h->quota_said = true;
	pthread_mutex_unlock(&h->lock);
	if (!known)
		progress_warning(r->progress, "%s allows only %d more requests for now",
		                 h->name, atoi(left));
}

int host_note(struct registry *r, struct host *h, const struct http_answer *a,
              struct err *e)
{
	const char *after = http_header(a, "retry-after");
	int64_t seconds;

	say_warnings(r, h, a);
	say_quota(r, h, a);
	if (!after || !retry_status(a->status))
		return 0;
	seconds = retry_after(after, clock_wall_s());
	return seconds > 0 ? extend_wait(h, seconds, e) : 0;
}

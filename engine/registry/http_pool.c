#include "registry/http_pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/map.h"
#include "base/vec.h"
#include "registry/curl_late.h"
#include "registry/http.h"

enum { IDLE_MAX = 8 }; /* kept for each origin */

struct origin {
	VEC(CURL *) idle; /* the last one is the warmest */
	int active;
};

struct http_pool {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	pthread_mutex_t share_locks[CURL_LOCK_DATA_LAST];
	CURLSH *share; /* NULL: libcurl has not been needed yet */
	struct map origins;
	int per_origin;
};

static void lock_share(CURL *easy, curl_lock_data data, curl_lock_access access,
                       void *self)
{
	struct http_pool *p = self;

	(void)easy;
	(void)access;
	pthread_mutex_lock(&p->share_locks[data]);
}

static void unlock_share(CURL *easy, curl_lock_data data, void *self)
{
	struct http_pool *p = self;

	(void)easy;
	pthread_mutex_unlock(&p->share_locks[data]);
}

struct http_pool *http_pool_new(int per_origin)
{
	struct http_pool *p = mem_alloc(sizeof(*p));

	p->per_origin = per_origin;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->freed, NULL);
	for (size_t i = 0; i < ARRAY_LEN(p->share_locks); i++)
		pthread_mutex_init(&p->share_locks[i], NULL);
	return p;
}

/* With the lock held: most builds ask no registry for anything. */
static int start(struct http_pool *p, struct err *e)
{
	if (p->share)
		return 0;
	if (curl_late_load(e) < 0)
		return -1;
	p->share = curl_share_init();
	if (!p->share)
		return err_set(e, ERR_FAILED, "libcurl could not be started");
	curl_share_setopt(p->share, CURLSHOPT_LOCKFUNC, lock_share);
	curl_share_setopt(p->share, CURLSHOPT_UNLOCKFUNC, unlock_share);
	curl_share_setopt(p->share, CURLSHOPT_USERDATA, p);
	/* Names and TLS sessions are safe to share; connections are not. */
	curl_share_setopt(p->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
	curl_share_setopt(p->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	return 0;
}

void http_pool_free(struct http_pool *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->origins.len; i++) {
		struct origin *o = p->origins.at[i].value;

		for (size_t k = 0; k < o->idle.len; k++)
			curl_easy_cleanup(o->idle.at[k]);
		vec_fini(&o->idle);
		free(o);
	}
	map_fini(&p->origins);
	if (p->share)
		curl_share_cleanup(p->share);
	for (size_t i = 0; i < ARRAY_LEN(p->share_locks); i++)
		pthread_mutex_destroy(&p->share_locks[i]);
	pthread_cond_destroy(&p->freed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* The flag is set by a signal handler, which cannot wake us: look again ten times a
 * second. */
static void wait_a_little(struct http_pool *p)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 100000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&p->freed, &p->lock, &until);
}

static struct origin *origin_of(struct http_pool *p, const char *name)
{
	struct origin *o = map_get(&p->origins, name);

	if (!o) {
		o = mem_alloc(sizeof(*o));
		map_put(&p->origins, name, o);
	}
	return o;
}

/* With the lock held. */
static CURL *take_one(struct http_pool *p, const char *origin,
                      const atomic_bool *cancelled, struct err *e)
{
	struct origin *o;
	CURL *easy;

	if (start(p, e) < 0)
		return NULL;
	o = origin_of(p, origin);
	while (o->active >= p->per_origin && !atomic_load(cancelled))
		wait_a_little(p);
	if (atomic_load(cancelled)) {
		http_cancelled(e);
		return NULL;
	}
	easy = o->idle.len ? o->idle.at[--o->idle.len] : curl_easy_init();
	if (easy)
		o->active++;
	else
		err_set(e, ERR_FAILED, "libcurl could not be started");
	return easy;
}

CURL *http_pool_take(struct http_pool *p, const char *origin,
                     const atomic_bool *cancelled, struct err *e)
{
	CURL *easy;

	pthread_mutex_lock(&p->lock);
	easy = take_one(p, origin, cancelled, e);
	pthread_mutex_unlock(&p->lock);
	if (easy) {
		curl_easy_reset(easy); /* options only; connections stay */
		curl_easy_setopt(easy, CURLOPT_SHARE, p->share);
	}
	return easy;
}

void http_pool_give(struct http_pool *p, const char *origin, CURL *easy)
{
	struct origin *o;

	/* Nothing of the request may stay behind, secrets least of all. */
	curl_easy_reset(easy);
	pthread_mutex_lock(&p->lock);
	o = origin_of(p, origin);
	o->active--;
	if (o->idle.len < IDLE_MAX) {
		vec_push(&o->idle, easy);
		easy = NULL;
	}
	pthread_cond_signal(&p->freed);
	pthread_mutex_unlock(&p->lock);
	if (easy)
		curl_easy_cleanup(easy);
}

#ifndef REGISTRY_HTTP_POOL_H
#define REGISTRY_HTTP_POOL_H

/* Easy handles, each tied to one origin and holding its connection. libcurl cannot share
 * connections between threads, so a thread borrows the handle that was used last, whose
 * connection is warm. */
#include <curl/curl.h>
#include <stdatomic.h>

#include "base/err.h"

struct http_pool;

MUST_CHECK int http_pool_open(struct http_pool **out, int per_origin, struct err *e);
void http_pool_close(struct http_pool *p);
/* Waits while the origin has all it may have. NULL: cancelled, or curl could not make
 * one. */
CURL *http_pool_take(struct http_pool *p, const char *origin,
                     const atomic_bool *cancelled);
void http_pool_give(struct http_pool *p, const char *origin, CURL *easy);

#endif

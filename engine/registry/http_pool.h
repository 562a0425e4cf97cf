#ifndef REGISTRY_HTTP_POOL_H
#define REGISTRY_HTTP_POOL_H

/* Easy handles, each tied to one origin and holding its connection. libcurl cannot share
 * connections between threads, so a thread borrows the handle that was used last, whose
 * connection is warm. */
#include <curl/curl.h>
#include <stdatomic.h>

#include "base/err.h"

struct http_pool;

struct http_pool *http_pool_new(int per_origin);
void http_pool_free(struct http_pool *p); /* NULL is fine */
/* Waits while the origin has all it may have. NULL with *e set: cancelled, or libcurl
 * could not be started, which the first call does. */
CURL *http_pool_take(struct http_pool *p, const char *origin,
                     const atomic_bool *cancelled, struct err *e);
void http_pool_give(struct http_pool *p, const char *origin, CURL *easy);

#endif

#ifndef REGISTRY_HTTP_H
#define REGISTRY_HTTP_H

/* One HTTP request and its answer, through libcurl. No redirect is followed, nothing is
 * repeated and no password is looked up here: call.h does that. Connections are kept and
 * used again. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"
#include "registry/tls.h"

/* What is sent. `read` returns the bytes put into `out` (0: no more), or -1 with its own
 * error kept; `rewind` goes back to the first byte, 0 or -1. */
struct http_source {
	int64_t size;
	ssize_t (*read)(struct http_source *self, void *out, size_t n);
	int (*rewind)(struct http_source *self);
	/* At least once a second while it is being sent, or NULL. */
	void (*tick)(struct http_source *self);
};

struct http_memory { /* a source of bytes in memory */
	struct http_source source;
	const char *data;
	size_t at;
};
struct http_source *http_memory(struct http_memory *m, const void *data, size_t n);

struct http_answer;
/* Takes the body of a 2xx answer as it comes; -1 with *e set ends the request. */
struct http_sink {
	int (*write)(struct http_sink *self, const struct http_answer *a,
	             const void *data, size_t n, struct err *e);
};

struct http_request {
	const char *method, *url;
	const struct strlist *headers; /* "Name: value"; may be NULL */
	const char *authorization;     /* whole value, or NULL */
	struct http_source *body;      /* NULL: none */
	struct http_sink *sink;        /* NULL: the body goes into the answer */
	int64_t limit;                 /* of a 2xx body in the answer; 0: 1 MiB */
	int stall_s;                   /* seconds without a byte; 0: as for all */
	bool counted;                  /* its bodies are blobs or manifests */
	bool spare; /* one can do without it: silence is not waited out again */
	bool once;  /* a body that has been sent in part is not sent again */
};

enum http_failure {
	HTTP_ANSWERED,  /* there is an answer, of any status */
	HTTP_RESOLVE,   /* no such name */
	HTTP_CONNECT,   /* nobody there, or timed out */
	HTTP_TLS,       /* the handshake failed: perhaps plain http */
	HTTP_HANDSHAKE, /* it was cut off: perhaps that, too */
	HTTP_UNTRUSTED, /* a certificate that nobody vouches for */
	HTTP_CUT,       /* the connection broke */
	HTTP_STALLED,
	HTTP_STOPPED, /* source or sink gave up, or the limit was hit; not to be repeated
	               */
	HTTP_CANCELLED,
	HTTP_OTHER,
};

struct http_answer {
	enum http_failure failure;
	long status;
	char *url;            /* that was asked */
	struct strlist names; /* of headers, lower case; the same index in values */
	struct strlist values;
	struct buf body;
};

#define HTTP_ANSWER_INIT                                                                 \
	{                                                                                \
		.body = BUF_INIT                                                         \
	}
void http_answer_fini(struct http_answer *a);
#define AUTO_ANSWER AUTO(http_answer_fini) struct http_answer
/* First header of that (lower-case) name, or NULL. */
const char *http_header(const struct http_answer *a, const char *name);

struct http {
	struct http_pool *pool;
	struct tls *tls;
	char *user_agent;
	atomic_bool cancelled;
	int stall_s; /* seconds without a byte that a request may take */
	atomic_llong requests, sent, received;
};

void http_open(struct http *h, const struct strlist *insecure, const char *user_agent,
               int connections);
void http_close(struct http *h);
/* *a is made empty first. 0 with an answer, or -1 with a->failure telling the kind. */
MUST_CHECK int http_perform(struct http *h, const struct http_request *q,
                            struct http_answer *a, struct err *e);
/* Waits; -1 with ERR_CANCELLED as soon as the registry is cancelled. */
MUST_CHECK int http_sleep(struct http *h, int64_t ns, struct err *e);
int http_cancelled(struct err *e); /* sets the error and returns -1 */

#endif

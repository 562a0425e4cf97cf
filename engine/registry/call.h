#ifndef REGISTRY_CALL_H
#define REGISTRY_CALL_H

/* One request to a registry as it is meant: logged in, redirected, repeated where that is
 * safe. */
#include "registry/host.h"
#include "registry/retry.h"

struct call {
	const char *method;
	struct host *host;
	const char *repo;             /* whose rights are used */
	const char *path;             /* "/v2/…" at the host; or NULL, and */
	const char *url;              /* absolute: a Location that it gave us */
	const struct strlist *scopes; /* NULL: never logged in */
	const struct strlist *headers;
	struct http_source *body;
	struct http_sink *sink;
	int64_t limit;
	int stall_s;
	int tries; /* 0: RETRY_TRIES */
	bool counted;
	bool stay; /* a redirect is an answer */
};

/* 0 with the last answer, of whatever status; -1 if there is none. */
MUST_CHECK int call_run(struct registry *r, const struct call *c, struct http_answer *a,
                        struct err *e);

/* Turns an unwelcome answer into the error that it means. `right` is "pull" or "push";
 * `what` names the thing asked for ("manifest v1"). */
int call_refused(struct registry *r, const struct call *c, const char *right,
                 const char *what, const struct http_answer *a, struct err *e);

/* A 404 or 405 to who wants to push there. */
int call_no_uploads(const struct call *c, const struct http_answer *a, struct err *e);

void call_scope(struct strlist *scopes, const char *repo, const char *actions);

#endif

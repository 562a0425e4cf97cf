#ifndef REGISTRY_AUTH_H
#define REGISTRY_AUTH_H

/* What to put into Authorization, once a registry has challenged us. */
#include "registry/host.h"

/* Remembers the challenge of a 401, if we can answer one. `asked` gets a scope that it
 * names and `scopes` does not cover. */
MUST_CHECK int auth_learn(struct host *h, const struct http_answer *a,
                          const struct strlist *scopes, struct strlist *asked,
                          struct err *e);

struct auth_need {
	struct host *host;
	const char *repo;
	const struct strlist *scopes; /* ours; tokens are kept by them */
	const struct strlist *asked;  /* more that the challenge wanted */
	const char *refused;          /* value that has just been refused, or NULL */
};

/* Appends the header's value; nothing when none is known to help. *fresh: it was made
 * just now. */
MUST_CHECK int auth_value(struct registry *r, const struct auth_need *need,
                          struct buf *out, bool *fresh, struct err *e);

/* `logged in as "ci"` or `not logged in`. */
void auth_add_login(struct registry *r, const struct host *h, const char *repo,
                    struct buf *out);

/* "repository:x:pull,push" covers "repository:x:pull". */
bool auth_scope_covers(const char *scope, const char *wanted);

#endif

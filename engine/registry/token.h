#ifndef REGISTRY_TOKEN_H
#define REGISTRY_TOKEN_H

/* Docker's token authentication (distribution, spec/auth/token and spec/auth/oauth). */
#include "registry/host.h"

struct token {
	char *value;
	int64_t expires; /* clock_ns() */
};

void token_free(struct token *t); /* wipes */

/* Asks host h's token server for a token that covers `scopes` as `who` (secret NULL:
 * anonymous). */
MUST_CHECK int token_fetch(struct registry *r, struct host *h,
                           const struct strlist *scopes, const struct credential *who,
                           struct token **out, struct err *e);
/* A realm that the host may send us to, and our password with us: https, or http if the
 * registry itself is; no inner address unless the registry is there itself. */
MUST_CHECK int token_realm_check(const char *realm, const char *registry_url,
                                 struct err *e);
/* Reads {"token":…} or {"access_token":…}. */
MUST_CHECK int token_read(const char *text, size_t n, int64_t asked_at,
                          struct token **out, struct err *e);

#endif

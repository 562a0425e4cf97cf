#ifndef REGISTRY_CHALLENGE_H
#define REGISTRY_CHALLENGE_H

/* What a 401 asks for (RFC 9110, 11.6.1): any number of headers, each with any number of
 * schemes. */
#include <stdbool.h>

#include "base/vec.h"

enum auth_scheme { AUTH_NONE, AUTH_BASIC, AUTH_BEARER };

struct challenge {
	enum auth_scheme scheme;
	char *realm, *service, *scope, *error; /* "" when not given */
};

#define CHALLENGE_INIT                                                                   \
	{                                                                                \
		AUTH_NONE, NULL, NULL, NULL, NULL                                        \
	}

void challenge_fini(struct challenge *c);
#define AUTO_CHALLENGE AUTO(challenge_fini) struct challenge

/* Picks what we can answer from the values of all WWW-Authenticate headers: Bearer with a
 * realm before Basic; AUTH_NONE when there is neither. *c is over-written. */
void challenge_pick(struct challenge *c, const struct strlist *values);

#endif

#ifndef REGISTRY_CREDENTIALS_H
#define REGISTRY_CREDENTIALS_H

/* Passwords as docker and containers keep them (containers-auth.json(5), docker's
 * config.json). Files are read once, at the first question; what they held is wiped when
 * it is let go. */
#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/vec.h"

struct credential {
	char *user;    /* "" with a token */
	char *secret;  /* password or token */
	bool identity; /* the secret is an OAuth refresh token */
	bool bearer;   /* the secret is a token to be sent as it is */
	char *source;  /* file or helper it is from, for messages */
};

#define CREDENTIAL_INIT                                                                  \
	{                                                                                \
		NULL, NULL, false, false, NULL                                           \
	}
void credential_fini(struct credential *c); /* wipes */
#define AUTO_CREDENTIAL AUTO(credential_fini) struct credential

struct credentials;
struct credentials *credentials_new(struct progress *progress);
void credentials_free(struct credentials *c);

/* Who we are at `host` ("docker.io" for Docker Hub) for repository `repo`. 1: found, 0:
 * nobody, -1. A helper that fails is warned of and passed over. From any thread. */
MUST_CHECK int credentials_find(struct credentials *c, const char *host, const char *repo,
                                struct credential *out, struct err *e);

/* From now on `who` is who we are at `host`, whatever files say. Before any call. */
void credentials_offer(struct credentials *c, const char *host,
                       const struct credential *who);

/* The parts, for login.c and their tests. */

/* The files, in the order in which they are asked. */
void credentials_paths(struct strlist *out);
/* 1: *out is the caller's, to credentials_wipe and json_decref; 0: there is none; -1. */
MUST_CHECK int credentials_read_file(const char *path, json_t **out, struct err *e);
void credentials_wipe(json_t *j);
/* The helper that a file wants asked for the host; *name NULL: none. Borrowed. */
MUST_CHECK int credentials_helper_of(const json_t *root, const char *host,
                                     const char **name, struct err *e);
bool credentials_is_hub(const char *host);
/* What the host is called in files and by helpers. */
const char *credentials_server(const char *host);
/* Length of the match of an auths key with host/repo: 0 none. Keys are "host",
 * "host/path" or docker's "https://host/v1/". */
size_t credentials_key_fits(const char *key, const char *host, const char *repo);
/* docker-credential-NAME VERB, with `input`. What it prints is dropped. */
MUST_CHECK int credentials_tell_helper(const char *name, const char *verb,
                                       const struct buf *input, struct err *e);

/* The entry of an "auths" object that fits host/repo best: the longest repository path
 * wins. */
MUST_CHECK int credentials_from_auths(const json_t *auths, const char *host,
                                      const char *repo, struct credential *out,
                                      struct err *e);
/* Asks docker-credential-NAME. 1, 0: it knows nobody, -1. */
MUST_CHECK int credentials_from_helper(const char *name, const char *server,
                                       struct credential *out, struct err *e);

#endif

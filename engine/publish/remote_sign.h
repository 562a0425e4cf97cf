#ifndef PUBLISH_REMOTE_SIGN_H
#define PUBLISH_REMOTE_SIGN_H

/* Signatures of remote cache entries: so that whoever may write to the repository, but
 * has not the key, cannot put files into our images. */
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct remote_key;

/* `path` is a PEM file: a private key (PKCS#8; Ed25519, EC or RSA) signs and checks, a
 * public one checks. */
MUST_CHECK int remote_key_load(struct remote_key **out, const char *path, struct err *e);
void remote_key_free(struct remote_key *k); /* NULL is fine */
bool remote_key_signs(const struct remote_key *k);

/* Appends the signature of `text`, in base64. */
MUST_CHECK int remote_key_sign(const struct remote_key *k, const struct buf *text,
                               struct buf *out, struct err *e);
bool remote_key_accepts(const struct remote_key *k, const struct buf *text,
                        const char *signature);

#endif

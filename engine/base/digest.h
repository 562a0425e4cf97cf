#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

/* SHA-256, the one digest algorithm that imgmake names things by. Others in foreign
 * documents are refused with a message (OCI image-spec 1.1, descriptor.md). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
	DIGEST_SIZE = 32,
	DIGEST_HEX = 64,
	DIGEST_TEXT = 7 + DIGEST_HEX + 1, /* "sha256:" hex NUL */
};

struct digest {
	uint8_t b[DIGEST_SIZE];
};

/* Accepts exactly "sha256:" and 64 lower-case hex digits. */
MUST_CHECK int digest_parse(struct digest *d, const char *text, struct err *e);
const char *digest_text(const struct digest *d, char out[DIGEST_TEXT]); /* "sha256:…" */
const char *digest_hex(const struct digest *d, char out[DIGEST_HEX + 1]);
bool digest_equal(const struct digest *a, const struct digest *b);
bool digest_is_zero(const struct digest *d); /* all zero stands for "none" */
void digest_of(struct digest *d, const void *data, size_t n);

/* Text in a printf argument: DIGEST_STR(&d). Lives to the end of the block. */
#define DIGEST_STR(d) digest_text((d), (char[DIGEST_TEXT]){ 0 })

/* A running hash. hasher_init, any number of adds, then hasher_end, which also frees;
 * hasher_drop frees without a result. */
struct hasher {
	void *ctx;
	size_t n_small;
	uint8_t small[256]; /* added, and not yet given to OpenSSL: a call a field is dear
	                     */
};

void hasher_init(struct hasher *h);
void hasher_add(struct hasher *h, const void *data, size_t n);
void hasher_end(struct hasher *h, struct digest *out);
/* Makes `chain` depend on `next` as well: of layers, what depends on one and on all those
 * below it. Starts with zeroes. */
void digest_chain(struct digest *chain, const struct digest *next);
void hasher_drop(struct hasher *h);
void hasher_copy(struct hasher *out, const struct hasher *h); /* an independent one */

/* For keys: every field is length-prefixed, so that no two lists of fields collide. */
void hasher_field(struct hasher *h, const void *data, size_t n);
void hasher_str(struct hasher *h, const char *s); /* NULL differs from "" */
void hasher_int(struct hasher *h, int64_t v);
void hasher_digest(struct hasher *h, const struct digest *d);

#endif

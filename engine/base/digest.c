#include "base/digest.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

static const char prefix[] = "sha256:";

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int digest_parse(struct digest *d, const char *text, struct err *e)
{
	const char *hex = text + sizeof(prefix) - 1;

	if (strncmp(text, prefix, sizeof(prefix) - 1) != 0 || strlen(hex) != DIGEST_HEX)
		goto bad;
	for (int i = 0; i < DIGEST_SIZE; i++) {
		int hi = hex_value(hex[2 * i]), lo = hex_value(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			goto bad;
		d->b[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
bad:
	return err_set(e, ERR_INVALID, "'%.80s' is no digest (sha256: and 64 hex digits)",
	               text);
}

const char *digest_hex(const struct digest *d, char out[DIGEST_HEX + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < DIGEST_SIZE; i++) {
		out[2 * i] = digits[d->b[i] >> 4];
		out[2 * i + 1] = digits[d->b[i] & 15];
	}
	out[DIGEST_HEX] = '\0';
	return out;
}

const char *digest_text(const struct digest *d, char out[DIGEST_TEXT])
{
	memcpy(out, prefix, sizeof(prefix) - 1);
	digest_hex(d, out + sizeof(prefix) - 1);
	return out;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return !memcmp(a->b, b->b, DIGEST_SIZE);
}

bool digest_is_zero(const struct digest *d)
{
	static const struct digest zero;

	return digest_equal(d, &zero);
}

void digest_of(struct digest *d, const void *data, size_t n)
{
	struct hasher h;

	hasher_init(&h);
	hasher_add(&h, data, n);
	hasher_end(&h, d);
}

/* EVP_sha256() would be looked up anew for each hash, which takes longer than hashing a
 * name. */
static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void fetch_sha256(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

void hasher_init(struct hasher *h)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	pthread_once(&sha256_once, fetch_sha256);
	/* Only a broken OpenSSL installation or no memory can fail here. */
	if (!ctx || !sha256 || EVP_DigestInit_ex(ctx, sha256, NULL) != 1)
		abort();
	h->ctx = ctx;
	h->n_small = 0;
}

static void update(struct hasher *h, const void *data, size_t n)
{
	if (n && EVP_DigestUpdate(h->ctx, data, n) != 1)
		abort();
}

static void flush(struct hasher *h)
{
	update(h, h->small, h->n_small);
	h->n_small = 0;
}

void hasher_add(struct hasher *h, const void *data, size_t n)
{
	if (n > sizeof(h->small) - h->n_small)
		flush(h);
	if (n > sizeof(h->small)) {
		update(h, data, n);
	} else if (n) {
		memcpy(h->small + h->n_small, data, n);
		h->n_small += n;
	}
}

void hasher_end(struct hasher *h, struct digest *out)
{
	flush(h);
	if (EVP_DigestFinal_ex(h->ctx, out->b, NULL) != 1)
		abort();
	hasher_drop(h);
}

void hasher_drop(struct hasher *h)
{
	EVP_MD_CTX_free(h->ctx);
	h->ctx = NULL;
}

void hasher_copy(struct hasher *out, const struct hasher *h)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (!ctx || EVP_MD_CTX_copy_ex(ctx, h->ctx) != 1)
		abort();
	*out = *h;
	out->ctx = ctx;
}

void hasher_field(struct hasher *h, const void *data, size_t n)
{
	hasher_int(h, (int64_t)n);
	hasher_add(h, data, n);
}

void hasher_str(struct hasher *h, const char *s)
{
	if (s)
		hasher_field(h, s, strlen(s));
	else
		hasher_int(h, -1);
}

void hasher_int(struct hasher *h, int64_t v)
{
	uint8_t b[8];

	for (int i = 0; i < 8; i++)
		b[i] = (uint8_t)((uint64_t)v >> (8 * i));
	hasher_add(h, b, sizeof(b));
}

void hasher_digest(struct hasher *h, const struct digest *d)
{
	hasher_field(h, d->b, DIGEST_SIZE);
}

void digest_chain(struct digest *chain, const struct digest *next)
{
	struct hasher h;

	hasher_init(&h);
	hasher_digest(&h, chain);
	hasher_digest(&h, next);
	hasher_end(&h, chain);
}

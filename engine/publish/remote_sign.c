#include "publish/remote_sign.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "os/file.h"
#include "registry/base64.h"

struct remote_key {
	EVP_PKEY *key;
	bool is_private;
};

enum { PEM_MAX = 64 << 10 };

/* A key that wants a password is refused rather than asked for on the terminal. */
static int no_password(char *buf, int size, int writing, void *self)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)self;
	return -1;
}

static EVP_PKEY *read_pem(const struct buf *text, bool *is_private)
{
	BIO *in = BIO_new_mem_buf(text->s, (int)text->len);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, no_password, NULL);

	*is_private = key != NULL;
	BIO_free(in);
	if (key)
		return key;
	in = BIO_new_mem_buf(text->s, (int)text->len);
	key = PEM_read_bio_PUBKEY(in, NULL, no_password, NULL);
	BIO_free(in);
	return key;
}

int remote_key_load(struct remote_key **out, const char *path, struct err *e)
{
	struct buf text = BUF_INIT;
	struct remote_key k;
	int rc;

	buf_reserve(&text, PEM_MAX); /* growing would leave copies */
	rc = file_read(AT_FDCWD, path, &text, PEM_MAX, e);
	k.key = rc == 0 ? read_pem(&text, &k.is_private) : NULL;
	if (text.len)
		explicit_bzero(text.s, text.len);
	buf_fini(&text);
	if (rc < 0)
		return err_wrap(e, "the key of the remote cache");
	if (!k.key)
		return err_set(e, ERR_INVALID,
		               "%s holds no key in PEM form without a password; make one "
		               "with: openssl genpkey -algorithm ed25519",
		               path);
	*out = mem_alloc(sizeof(**out));
	**out = k;
	return 0;
}

void remote_key_free(struct remote_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->key);
	free(k);
}

bool remote_key_signs(const struct remote_key *k)
{
	return k->is_private;
}

/* Ed25519 hashes by itself and takes no digest. */
static const EVP_MD *digest_for(const EVP_PKEY *key)
{
	int type = EVP_PKEY_get_base_id(key);

	return type == EVP_PKEY_ED25519 || type == EVP_PKEY_ED448 ? NULL : EVP_sha256();
}

int remote_key_sign(const struct remote_key *k, const struct buf *text, struct buf *out,
                    struct err *e)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char *made = NULL;
	size_t n = 0;
	bool ok = ctx &&
	          EVP_DigestSignInit(ctx, NULL, digest_for(k->key), NULL, k->key) == 1 &&
	          EVP_DigestSign(ctx, NULL, &n, (unsigned char *)text->s, text->len) == 1;

	if (ok) {
		made = mem_alloc(n + 1);
		ok = EVP_DigestSign(ctx, made, &n, (unsigned char *)text->s, text->len) ==
		     1;
	}
	if (ok)
		base64_encode(out, made, n);
	free(made);
	EVP_MD_CTX_free(ctx);
	return ok ? 0
	          : err_set(e, ERR_INVALID,
	                    "the key of the remote cache cannot sign; Ed25519, EC and RSA "
	                    "keys can");
}

bool remote_key_accepts(const struct remote_key *k, const struct buf *text,
                        const char *signature)
{
	AUTO_BUF bytes = BUF_INIT;
	EVP_MD_CTX *ctx;
	bool ok;

	if (base64_decode(&bytes, signature) < 0)
		return false;
	ctx = EVP_MD_CTX_new();
	ok = ctx &&
	     EVP_DigestVerifyInit(ctx, NULL, digest_for(k->key), NULL, k->key) == 1 &&
	     EVP_DigestVerify(ctx, (unsigned char *)bytes.s, bytes.len,
	                      (unsigned char *)text->s, text->len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

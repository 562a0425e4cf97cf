#include "image/toc_store.h"

#include <string.h>

#include <zstd.h>

enum { LEVEL = 3 };

static int deflate_table(const struct toc *t, struct buf *out, struct err *e)
{
	AUTO_BUF plain = BUF_INIT;
	size_t most, n;

	toc_encode(t, &plain);
	most = ZSTD_compressBound(plain.len);
	buf_reserve(out, most + 1);
	n = ZSTD_compress(out->s, most, plain.s, plain.len, LEVEL);
	if (ZSTD_isError(n))
		return err_set(e, ERR_INVALID, "compress a table of contents: %s",
		               ZSTD_getErrorName(n));
	out->len = n;
	return 0;
}

typedef int blob_putter(struct blobs *b, const void *data, size_t n, struct digest *got,
                        struct err *e);

static int put(blob_putter *how, struct blobs *store, const struct toc *t,
               struct digest *blob, int64_t *size, struct err *e)
{
	AUTO_BUF out = BUF_INIT;

	if (deflate_table(t, &out, e) < 0 || how(store, out.s, out.len, blob, e) < 0)
		return err_wrap(e, "store a layer's table of contents");
	if (size)
		*size = (int64_t)out.len;
	return 0;
}

int toc_put(struct blobs *store, const struct toc *t, struct digest *blob, int64_t *size,
            struct err *e)
{
	return put(blobs_put, store, t, blob, size, e);
}

int toc_put_first(struct blobs *store, const struct toc *t, struct digest *blob,
                  int64_t *size, struct err *e)
{
	return put(blobs_put_first, store, t, blob, size, e);
}

static int inflate(const struct buf *in, struct buf *out, struct err *e)
{
	unsigned long long n = ZSTD_getFrameContentSize(in->s, in->len);
	size_t got;

	if (n == ZSTD_CONTENTSIZE_ERROR || n == ZSTD_CONTENTSIZE_UNKNOWN || n > TOC_MAX)
		return err_set(e, ERR_CORRUPT, "it is not compressed as we do it");
	buf_reserve(out, (size_t)n + 1);
	got = ZSTD_decompress(out->s, (size_t)n, in->s, in->len);
	if (ZSTD_isError(got) || got != n)
		return err_set(e, ERR_CORRUPT, "its compressed form is damaged");
	out->len = got;
	out->s[got] = '\0';
	return 0;
}

int toc_get(struct blobs *store, const struct digest *blob, struct toc *t, struct err *e)
{
	AUTO_BUF data = BUF_INIT, plain = BUF_INIT;

	if (blobs_read(store, blob, TOC_MAX, &data, e) < 0)
		return -1;
	/* Others may hold them as they are. */
	if (data.len >= 4 && !memcmp(data.s, "\x28\xb5\x2f\xfd", 4)) {
		if (inflate(&data, &plain, e) < 0)
			return err_wrap(e, "table of contents %s", DIGEST_STR(blob));
		return toc_decode(t, plain.s, plain.len, e);
	}
	return toc_decode(t, data.s, data.len, e);
}

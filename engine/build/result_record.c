/* The record of a whole target in STATE_RESULTS. It is looked at for each target of each
 * build, so what that needs comes first and is plain; the configuration is only read by
 * who makes something of it. Integers are little-endian, digests 32 bytes, texts have a
 * u32 length:
 *
 *     u8   RECORD
 *     u8   DOCUMENTS
 *     digest of the configuration as a document; zero: not known
 *     u32  n, then n manifests: seal, digest, u64 size
 *     u32  n, then n layers:    diff ID, blob, u64 size, toc, u64 size, u8 remote,
 *                               media type
 *     text of the configuration (JSON)
 *
 * Records of steps, and of targets before there were these, are JSON, as for other
 * machines (result.c). */
#include <string.h>

#include "build/result.h"

/* DOCUMENTS is raised when configurations or manifests are written in another way: what
 * was noted of them does not hold then. */
enum { RECORD = 2, DOCUMENTS = 1, MANIFESTS_MAX = 16 };

bool result_is_record(const void *data, size_t n)
{
	return n > 0 && *(const char *)data == RECORD;
}

static bool is_plain(const struct result *r)
{
	for (size_t i = 0; i < r->layers.len; i++)
		if (*r->layers.at[i].blob.platform.os)
			return false;
	return true;
}

static void add_digest(struct buf *out, const struct digest *d)
{
	buf_add(out, d->b, DIGEST_SIZE);
}

static void add_config(const struct result *r, struct buf *out)
{
	AUTO_BUF text = BUF_INIT;

	if (r->unread) {
		buf_add_str(out, r->record.s + r->unread, r->record.len - r->unread);
		return;
	}
	json_write(&text, r->config.root);
	buf_add_str(out, text.s, text.len);
}

bool result_encode(const struct result *r, struct buf *out)
{
	size_t first =
		r->manifests.len > MANIFESTS_MAX ? r->manifests.len - MANIFESTS_MAX : 0;

	if (!is_plain(r))
		return false;
	buf_addc(out, RECORD);
	buf_addc(out, DOCUMENTS);
	add_digest(out, &r->document);
	buf_add_u32(out, (uint32_t)(r->manifests.len - first));
	for (size_t i = first; i < r->manifests.len; i++) {
		add_digest(out, &r->manifests.at[i].seal);
		add_digest(out, &r->manifests.at[i].manifest);
		buf_add_u64(out, (uint64_t)r->manifests.at[i].size);
	}
	buf_add_u32(out, (uint32_t)r->layers.len);
	for (size_t i = 0; i < r->layers.len; i++) {
		const struct layer *l = &r->layers.at[i];

		add_digest(out, &l->diff_id);
		add_digest(out, &l->blob.digest);
		buf_add_u64(out, (uint64_t)l->blob.size);
		add_digest(out, &l->toc);
		buf_add_u64(out, (uint64_t)l->toc_size);
		buf_addc(out, l->remote);
		buf_add_str(out, l->blob.media_type, strlen(l->blob.media_type));
	}
	add_config(r, out);
	return true;
}

/* What is left of a record. A short one leaves `bad`, and zeroes. */
struct rest {
	const char *at, *end;
	bool bad;
};

static void take(struct rest *r, void *out, size_t n)
{
	if ((size_t)(r->end - r->at) < n) {
		r->bad = true;
		memset(out, 0, n);
		return;
	}
	memcpy(out, r->at, n);
	r->at += n;
}

static uint64_t take_int(struct rest *r, size_t n)
{
	unsigned char b[8] = { 0 };
	uint64_t v = 0;

	take(r, b, n);
	for (size_t i = n; i--;)
		v = v << 8 | b[i];
	return v;
}

static int64_t take_size(struct rest *r)
{
	uint64_t v = take_int(r, 8);

	r->bad |= v > INT64_MAX;
	return (int64_t)v;
}

/* How many of something that takes `least` bytes each: no more than there is room for. */
static size_t take_count(struct rest *r, size_t least)
{
	uint64_t n = take_int(r, 4);

	if (n > (uint64_t)(r->end - r->at) / least) {
		r->bad = true;
		return 0;
	}
	return (size_t)n;
}

static void take_layer(struct rest *r, struct layer *l)
{
	size_t n;

	take(r, &l->diff_id, DIGEST_SIZE);
	take(r, &l->blob.digest, DIGEST_SIZE);
	l->blob.size = take_size(r);
	take(r, &l->toc, DIGEST_SIZE);
	l->toc_size = take_size(r);
	l->remote = take_int(r, 1) != 0;
	n = take_count(r, 1);
	if (n >= sizeof(l->blob.media_type)) {
		r->bad = true;
		return;
	}
	take(r, l->blob.media_type, n);
	l->blob.media_type[n] = '\0';
}

static void take_all(struct rest *r, struct result *out)
{
	enum { LAYER_LEAST = 3 * DIGEST_SIZE + 2 * 8 + 1 + 4 };
	bool same = take_int(r, 1) == DOCUMENTS;
	size_t n;

	take(r, &out->document, DIGEST_SIZE);
	n = take_count(r, 2 * DIGEST_SIZE + 8);
	for (size_t i = 0; i < n; i++) {
		struct sealed s;

		take(r, &s.seal, DIGEST_SIZE);
		take(r, &s.manifest, DIGEST_SIZE);
		s.size = take_size(r);
		if (same)
			vec_push(&out->manifests, s);
	}
	n = take_count(r, LAYER_LEAST);
	out->layers.at = mem_alloc((n + 1) * sizeof(*out->layers.at));
	out->layers.cap = n + 1;
	for (; out->layers.len < n; out->layers.len++)
		take_layer(r, &out->layers.at[out->layers.len]);
	if (take_count(r, 1) != (size_t)(r->end - r->at))
		r->bad = true;
}

int result_decode(struct result *out, struct buf *record)
{
	struct rest r = { record->s + 1, record->s + record->len, false };

	*out = (struct result){ .record = BUF_INIT };
	if (!result_is_record(record->s, record->len))
		return -1;
	take_all(&r, out);
	if (r.bad) {
		result_fini(out);
		return -1;
	}
	out->unread = (size_t)(r.at - record->s);
	out->record = *record;
	*record = (struct buf)BUF_INIT;
	return 0;
}

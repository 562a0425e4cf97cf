#ifndef TESTS_UNIT_STREAMS_H
#define TESTS_UNIT_STREAMS_H

/* What the tests of both directions of the codec share. Included after cmocka.h. */
#include <stdlib.h>
#include <string.h>

#include "image/codec.h"

/* Bytes that compress about as well as programs do, the same in each run. */
static inline void add_text(struct buf *out, size_t n, uint32_t seed)
{
	size_t end = out->len + n;

	buf_reserve(out, n + 64);
	while (out->len < end) {
		seed = seed * 1664525 + 1013904223;
		if (seed >> 30)
			buf_addf(out, "%u:%s ", seed >> 20,
			         seed & 4096 ? "layer" : "member");
		else
			buf_add(out, &seed, sizeof(seed));
	}
	buf_truncate(out, end);
}

/* Bytes that do not compress at all, the same in each run. */
static inline void add_noise(struct buf *out, size_t n)
{
	uint64_t x = 88172645463325252;

	buf_reserve(out, n);
	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		buf_addc(out, (char)x);
	}
}

static inline int to_buf(void *self, const void *data, size_t n, struct err *e)
{
	(void)e;
	buf_add(self, data, n);
	return 0;
}

/* Adds in pieces that fit no border. */
static inline void add_in_pieces(struct encoder *c, const struct buf *in)
{
	struct err e;
	size_t piece = 1;

	for (size_t at = 0; at < in->len; at += piece) {
		piece = (piece * 7 + 13) % 300007;
		if (piece > in->len - at)
			piece = in->len - at;
		assert_int_equal(encoder_add(c, in->s + at, piece, &e), 0);
	}
}

static inline void encode(enum codec codec, struct pool *pool, const struct buf *in,
                          struct buf *out)
{
	struct encoder *c = encoder_new(codec, pool, to_buf, out);
	struct err e;

	add_in_pieces(c, in);
	assert_int_equal(encoder_end(c, &e), 0);
	encoder_free(c);
}

struct memory_source {
	struct source source;
	const char *at;
	size_t n;
	size_t piece; /* at most this many bytes a read */
};

static inline ssize_t memory_read(struct source *self, void *data, size_t n,
                                  struct err *e)
{
	struct memory_source *s = (struct memory_source *)self;

	(void)e;
	if (n > s->piece)
		n = s->piece;
	if (n > s->n)
		n = s->n;
	memcpy(data, s->at, n);
	s->at += n;
	s->n -= n;
	return (ssize_t)n;
}

/* Decodes all, `in_piece` and `out_piece` bytes at a time. */
static inline int decode_pieces(enum codec codec, const char *s, size_t n,
                                size_t in_piece, size_t out_piece,
                                const struct image_limits *l, struct buf *out,
                                struct err *e)
{
	struct memory_source in = { { memory_read }, s, n, in_piece };
	struct decoder *d = decoder_new(codec, &in.source, l);
	struct source *plain = decoder_source(d);
	char *room = malloc(out_piece);
	ssize_t k;

	while ((k = plain->read(plain, room, out_piece, e)) > 0)
		buf_add(out, room, (size_t)k);
	if (k == 0) /* the end stays the end */
		assert_int_equal(plain->read(plain, room, out_piece, e), 0);
	free(room);
	decoder_free(d);
	return k < 0 ? -1 : 0;
}

static inline int decode(enum codec codec, const struct buf *in, struct buf *out,
                         struct err *e)
{
	return decode_pieces(codec, in->s, in->len, SIZE_MAX, 65536, NULL, out, e);
}

static inline void assert_same(const struct buf *a, const struct buf *b)
{
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->s, b->s, a->len);
}

static inline uint32_t u32_at(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

#endif

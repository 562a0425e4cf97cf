#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

#include "unit/streams.h"

static void assert_corrupt(enum codec codec, const char *s, size_t n)
{
	AUTO_BUF out = BUF_INIT;
	struct err e = { 0 };

	assert_int_equal(decode_pieces(codec, s, n, 4096, 4096, NULL, &out, &e), -1);
	assert_int_equal(e.code, ERR_CORRUPT);
}

static void add_peer_gzip(struct buf *out, const struct buf *in, bool with_names)
{
	gz_header h = { .name = (Bytef *)"layer.tar",
		        .comment = (Bytef *)"a comment",
		        .extra = (Bytef *)"XX\x02\0ab",
		        .extra_len = 6,
		        .hcrc = 1 };
	z_stream z = { 0 };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 9, 0), Z_OK);
	if (with_names)
		deflateSetHeader(&z, &h);
	buf_reserve(out, in->len + 1000);
	z.next_in = (Bytef *)in->s;
	z.avail_in = (uInt)in->len;
	z.next_out = (Bytef *)out->s + out->len;
	z.avail_out = (uInt)(in->len + 1000);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	buf_truncate(out, out->len + z.total_out);
	deflateEnd(&z);
}

/* Members with all optional header fields, cut by reads at every place. */
static void decoding_does_not_depend_on_the_size_of_reads(void **state)
{
	static const size_t pieces[] = { 1, 2, 3, 7, 61, 4096, 70001 };
	AUTO_BUF a = BUF_INIT;
	AUTO_BUF plain = BUF_INIT;
	AUTO_BUF gzip = BUF_INIT;
	AUTO_BUF zstd = BUF_INIT;
	struct err e;

	(void)state;
	add_text(&a, 70000, 8);
	for (int i = 0; i < 4; i++) {
		add_peer_gzip(&gzip, &a, i & 1);
		buf_add(&plain, a.s, a.len);
	}
	encode(CODEC_ZSTD, NULL, &plain, &zstd);
	for (size_t i = 0; i < ARRAY_LEN(pieces) * ARRAY_LEN(pieces); i++) {
		size_t in_piece = pieces[i % ARRAY_LEN(pieces)];
		size_t out_piece = pieces[i / ARRAY_LEN(pieces)];
		AUTO_BUF out = BUF_INIT;

		assert_int_equal(decode_pieces(CODEC_GZIP, gzip.s, gzip.len, in_piece,
		                               out_piece, NULL, &out, &e),
		                 0);
		assert_same(&plain, &out);
		buf_reset(&out);
		assert_int_equal(decode_pieces(CODEC_ZSTD, zstd.s, zstd.len, in_piece,
		                               out_piece, NULL, &out, &e),
		                 0);
		assert_same(&plain, &out);
	}
}

static void a_stream_cut_anywhere_is_an_error(void **state)
{
	(void)state;
	for (enum codec c = CODEC_GZIP; c <= CODEC_ZSTD; c++) {
		AUTO_BUF in = BUF_INIT;
		AUTO_BUF packed = BUF_INIT;

		add_text(&in, 700, 9);
		encode(c, NULL, &in, &packed);
		for (size_t n = 0; n < packed.len; n++)
			assert_corrupt(c, packed.s, n);
	}
}

static void a_stream_cut_after_a_whole_member_is_that_member(void **state)
{
	AUTO_BUF in = BUF_INIT;
	AUTO_BUF packed = BUF_INIT;
	AUTO_BUF out = BUF_INIT;
	struct err e;

	(void)state;
	add_text(&in, CODEC_MEMBER + 10, 9);
	encode(CODEC_GZIP, NULL, &in, &packed);
	buf_truncate(&packed, u32_at(packed.s + 16));
	assert_int_equal(decode(CODEC_GZIP, &packed, &out, &e), 0);
	assert_int_equal(out.len, CODEC_MEMBER);
}

static void garbage_after_the_end_is_an_error(void **state)
{
	static const char *const tails[] = { "x",
		                             "garbage garbage garbage",
		                             "\x1f",
		                             "\x1f\x8b",
		                             "\x1f\x8b\x08",
		                             "PK\003\004",
		                             "\x28\xb5\x2f" };

	(void)state;
	for (enum codec c = CODEC_GZIP; c <= CODEC_ZSTD; c++)
		for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
			AUTO_BUF in = BUF_INIT;
			AUTO_BUF packed = BUF_INIT;

			add_text(&in, 10000, 10);
			encode(c, NULL, &in, &packed);
			buf_adds(&packed, tails[i]);
			assert_corrupt(c, packed.s, packed.len);
			buf_truncate(&packed, packed.len - strlen(tails[i]));
			buf_add(&packed, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
			assert_corrupt(c, packed.s, packed.len);
		}
}

/* gzip's header has a few bytes that nothing checks: time, system, extra field. */
static void a_flipped_bit_is_noticed(void **state)
{
	(void)state;
	for (enum codec c = CODEC_GZIP; c <= CODEC_ZSTD; c++) {
		AUTO_BUF in = BUF_INIT;
		AUTO_BUF packed = BUF_INIT;
		size_t from = c == CODEC_GZIP ? 20 : 0;

		add_text(&in, 3000, 11);
		encode(c, NULL, &in, &packed);
		for (size_t i = from; i < packed.len; i++)
			for (int bit = 0; bit < 8; bit++) {
				AUTO_BUF out = BUF_INIT;
				struct err e;

				packed.s[i] = (char)(packed.s[i] ^ 1 << bit);
				if (decode(c, &packed, &out, &e) == 0)
					assert_same(&in, &out); /* a bit that means
					                           nothing */
				packed.s[i] = (char)(packed.s[i] ^ 1 << bit);
			}
		packed.s[packed.len - 1] = (char)(packed.s[packed.len - 1] ^ 1);
		assert_corrupt(c, packed.s, packed.len);
	}
}

static void wrong_checksum_and_wrong_length_are_errors(void **state)
{
	AUTO_BUF in = BUF_INIT;
	AUTO_BUF packed = BUF_INIT;

	(void)state;
	add_text(&in, 3000, 11);
	encode(CODEC_GZIP, NULL, &in, &packed);
	for (size_t back = 1; back <= 8; back++) {
		packed.s[packed.len - back] ^= 0x10;
		assert_corrupt(CODEC_GZIP, packed.s, packed.len);
		packed.s[packed.len - back] ^= 0x10;
	}
}

static void the_declared_codec_is_the_only_one_tried(void **state)
{
	AUTO_BUF in = BUF_INIT;
	AUTO_BUF gzip = BUF_INIT;
	AUTO_BUF zstd = BUF_INIT;
	AUTO_BUF twice = BUF_INIT;
	AUTO_BUF out = BUF_INIT;
	struct err e;

	(void)state;
	add_text(&in, 5000, 12);
	encode(CODEC_GZIP, NULL, &in, &gzip);
	encode(CODEC_ZSTD, NULL, &in, &zstd);
	assert_corrupt(CODEC_ZSTD, gzip.s, gzip.len);
	assert_corrupt(CODEC_GZIP, zstd.s, zstd.len);
	assert_corrupt(CODEC_GZIP, in.s, in.len);
	encode(CODEC_GZIP, NULL, &gzip, &twice);
	assert_int_equal(decode(CODEC_GZIP, &twice, &out, &e), 0);
	assert_same(&gzip, &out);
}

static void skippable_zstd_frames_are_skipped(void **state)
{
	static const char skip[] = "\x50\x2a\x4d\x18\x04\0\0\0abcd";
	AUTO_BUF in = BUF_INIT;
	AUTO_BUF packed = BUF_INIT;
	AUTO_BUF out = BUF_INIT;
	struct err e;

	(void)state;
	add_text(&in, CODEC_MEMBER + 50, 13);
	buf_add(&packed, skip, sizeof(skip) - 1);
	encode(CODEC_ZSTD, NULL, &in, &packed);
	buf_add(&packed, skip, sizeof(skip) - 1);
	assert_int_equal(decode(CODEC_ZSTD, &packed, &out, &e), 0);
	assert_same(&in, &out);
	assert_corrupt(CODEC_ZSTD, packed.s, packed.len - 1);
}

static void a_zstd_window_above_the_limit_is_refused(void **state)
{
	struct image_limits l = *image_limits();
	AUTO_BUF in = BUF_INIT;
	AUTO_BUF out = BUF_INIT;
	struct err e;
	/* Frame header: no content size, window descriptor 2^(10+18) = 256 MiB. */
	static const char big[] = "\x28\xb5\x2f\xfd\x00\x90\x01\x00\x00";

	(void)state;
	assert_int_equal(decode_pieces(CODEC_ZSTD, big, 9, 9, 100, NULL, &out, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	encode(CODEC_ZSTD, NULL, &in, &out);
	add_text(&in, CODEC_MEMBER, 14);
	buf_reset(&out);
	encode(CODEC_ZSTD, NULL, &in, &out);
	l.zstd_window = 64 << 10;
	assert_int_equal(decode_pieces(CODEC_ZSTD, out.s, out.len, 99, 100, &l, &in, &e),
	                 -1);
	assert_int_equal(e.code, ERR_LIMIT);
}

static void a_bomb_is_stopped_at_the_limit(void **state)
{
	struct image_limits l = *image_limits();
	AUTO_BUF in = BUF_INIT;

	(void)state;
	add_text(&in, 100000, 15);
	for (enum codec c = CODEC_NONE; c <= CODEC_ZSTD; c++) {
		AUTO_BUF packed = BUF_INIT;
		AUTO_BUF out = BUF_INIT;
		struct err e;

		encode(c, NULL, &in, &packed);
		l.unpacked = 100000;
		assert_int_equal(
			decode_pieces(c, packed.s, packed.len, 999, 999, &l, &out, &e),
			0);
		l.unpacked = 99999;
		assert_int_equal(
			decode_pieces(c, packed.s, packed.len, 999, 999, &l, &out, &e),
			-1);
		assert_int_equal(e.code, ERR_LIMIT);
	}
}

static ssize_t broken_read(struct source *self, void *data, size_t n, struct err *e)
{
	(void)self, (void)data, (void)n;
	return err_set(e, ERR_NETWORK, "connection reset");
}

static void an_error_of_the_source_comes_through(void **state)
{
	struct source in = { broken_read };

	(void)state;
	for (enum codec c = CODEC_NONE; c <= CODEC_ZSTD; c++) {
		struct decoder *d = decoder_new(c, &in, NULL);
		struct source *s = decoder_source(d);
		struct err e;
		char room[10];

		assert_int_equal(s->read(s, room, sizeof(room), &e), -1);
		assert_int_equal(e.code, ERR_NETWORK);
		decoder_free(d);
	}
}

static void a_file_is_a_source(void **state)
{
	FILE *f = tmpfile();
	struct fd_source s;
	struct err e;
	char room[10] = "";

	(void)state;
	assert_int_equal(write(fileno(f), "0123456789", 10), 10);
	assert_int_equal(lseek(fileno(f), 4, SEEK_SET), 4);
	fd_source_init(&s, fileno(f), "a file");
	assert_int_equal(s.source.read(&s.source, room, sizeof(room), &e), 6);
	assert_string_equal(room, "456789");
	assert_int_equal(s.source.read(&s.source, room, sizeof(room), &e), 0);
	fclose(f);
	fd_source_init(&s, -1, "a file");
	assert_int_equal(s.source.read(&s.source, room, sizeof(room), &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decoding_does_not_depend_on_the_size_of_reads),
		cmocka_unit_test(a_stream_cut_anywhere_is_an_error),
		cmocka_unit_test(a_stream_cut_after_a_whole_member_is_that_member),
		cmocka_unit_test(garbage_after_the_end_is_an_error),
		cmocka_unit_test(a_flipped_bit_is_noticed),
		cmocka_unit_test(wrong_checksum_and_wrong_length_are_errors),
		cmocka_unit_test(the_declared_codec_is_the_only_one_tried),
		cmocka_unit_test(skippable_zstd_frames_are_skipped),
		cmocka_unit_test(a_zstd_window_above_the_limit_is_refused),
		cmocka_unit_test(a_bomb_is_stopped_at_the_limit),
		cmocka_unit_test(an_error_of_the_source_comes_through),
		cmocka_unit_test(a_file_is_a_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#include <zstd.h>

#include "image/member.h"
#include "unit/streams.h"

/* Runs `command` with the bytes as its input; what it prints must be `want`, if that is
 * given. */
static void assert_peer_reads(const char *command, const struct buf *in,
                              const struct buf *want)
{
	char in_name[] = "/tmp/codec_test.XXXXXX";
	char out_name[] = "/tmp/codec_test.XXXXXX";
	int in_fd = mkstemp(in_name), out_fd = mkstemp(out_name);
	AUTO_BUF got = BUF_INIT;
	char line[300];

	assert_int_equal(write(in_fd, in->s, in->len), in->len);
	snprintf(line, sizeof(line), "%s <%s >%s", command, in_name, out_name);
	assert_int_equal(system(line), 0);
	if (want) {
		buf_reserve(&got, want->len + 1);
		got.len = (size_t)read(out_fd, got.s, want->len + 1);
		assert_same(&got, want);
	}
	close(in_fd);
	close(out_fd);
	unlink(in_name);
	unlink(out_name);
}

static const size_t sizes[] = {
	0, 1, 511, CODEC_MEMBER - 1, CODEC_MEMBER, CODEC_MEMBER + 1, 5 * CODEC_MEMBER + 77
};

static void what_is_encoded_is_decoded_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		for (enum codec c = CODEC_NONE; c <= CODEC_ZSTD; c++) {
			AUTO_BUF in = BUF_INIT;
			AUTO_BUF packed = BUF_INIT;
			AUTO_BUF out = BUF_INIT;
			struct err e;

			add_text(&in, sizes[i], 1);
			encode(c, NULL, &in, &packed);
			assert_int_equal(decode(c, &packed, &out, &e), 0);
			assert_same(&in, &out);
		}
}

static void noise_does_not_overflow_a_member(void **state)
{
	(void)state;
	for (enum codec c = CODEC_GZIP; c <= CODEC_ZSTD; c++) {
		AUTO_BUF in = BUF_INIT;
		AUTO_BUF packed = BUF_INIT;
		AUTO_BUF out = BUF_INIT;
		struct err e;

		add_noise(&in, 2 * CODEC_MEMBER + 9);
		encode(c, NULL, &in, &packed);
		assert_true(packed.len > in.len && packed.len < in.len + 4096);
		assert_int_equal(decode(c, &packed, &out, &e), 0);
		assert_same(&in, &out);
	}
}

static void bytes_do_not_depend_on_the_number_of_threads(void **state)
{
	AUTO_BUF in = BUF_INIT;

	(void)state;
	add_text(&in, 23 * CODEC_MEMBER + 4711, 2);
	add_noise(&in, 2 * CODEC_MEMBER);
	add_text(&in, 99, 3);
	for (enum codec c = CODEC_GZIP; c <= CODEC_ZSTD; c++) {
		AUTO_BUF alone = BUF_INIT;

		encode(c, NULL, &in, &alone);
		for (int threads = 1; threads <= 16; threads *= 4) {
			struct pool *pool = pool_new(threads);
			AUTO_BUF together = BUF_INIT;

			encode(c, pool, &in, &together);
			assert_same(&alone, &together);
			pool_free(pool);
		}
	}
}

static void gzip_members_are_found_by_hopping(void **state)
{
	static const char start[16] = "\x1f\x8b\x08\x04\0\0\0\0\0\xff\x08\0IM\x04";
	AUTO_BUF in = BUF_INIT;
	AUTO_BUF packed = BUF_INIT;
	size_t members = 0, at = 0, left;

	(void)state;
	add_text(&in, 3 * CODEC_MEMBER + 5, 3);
	encode(CODEC_GZIP, NULL, &in, &packed);
	for (left = in.len; at < packed.len; members++) {
		size_t plain = left < CODEC_MEMBER ? left : CODEC_MEMBER;
		size_t length = u32_at(packed.s + at + 16);

		assert_memory_equal(packed.s + at, start, sizeof(start));
		assert_true(length <= packed.len - at);
		assert_int_equal(u32_at(packed.s + at + length - 4), plain);
		left -= plain;
		at += length;
	}
	assert_int_equal(at, packed.len);
	assert_int_equal(members, 4);
	assert_int_equal(left, 0);
}

static void what_deflate_does_not_shrink_is_stored_in_members_of_its_own(void **state)
{
	enum { TEXT = 3 * DENSE_PIECE, NOISE = 5 * DENSE_PIECE };
	/* The piece that has the text's end goes with the text. */
	static const size_t plain[] = { TEXT + DENSE_PIECE, NOISE - DENSE_PIECE,
		                        CODEC_MEMBER - TEXT - NOISE };
	AUTO_BUF in = BUF_INIT;
	AUTO_BUF packed = BUF_INIT;
	size_t at = 0;

	(void)state;
	add_text(&in, TEXT + 512, 3);
	add_noise(&in, NOISE);
	add_text(&in, CODEC_MEMBER - in.len, 4);
	encode(CODEC_GZIP, NULL, &in, &packed);
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		size_t length = u32_at(packed.s + at + 16);
		size_t n = u32_at(packed.s + at + length - 4);

		assert_int_equal(n, plain[i]);
		assert_true(i == 1 ? length > n : length < n / 5 * 4);
		at += length;
	}
	assert_int_equal(at, packed.len);
}

static void zstd_frames_know_their_size_and_have_a_checksum(void **state)
{
	AUTO_BUF in = BUF_INIT;
	AUTO_BUF packed = BUF_INIT;
	size_t frames = 0;

	(void)state;
	add_text(&in, 2 * CODEC_MEMBER + 5, 3);
	encode(CODEC_ZSTD, NULL, &in, &packed);
	for (size_t at = 0; at < packed.len; frames++) {
		unsigned long long n =
			ZSTD_getFrameContentSize(packed.s + at, packed.len - at);

		assert_int_equal(n, frames < 2 ? CODEC_MEMBER : 5);
		assert_true(packed.s[at + 4] & 4); /* Content_Checksum_flag */
		at += ZSTD_findFrameCompressedSize(packed.s + at, packed.len - at);
	}
	assert_int_equal(frames, 3);
}

static void an_empty_stream_is_one_member(void **state)
{
	AUTO_BUF none = BUF_INIT;
	AUTO_BUF gzip = BUF_INIT;
	AUTO_BUF zstd = BUF_INIT;
	AUTO_BUF plain = BUF_INIT;

	(void)state;
	encode(CODEC_NONE, NULL, &none, &plain);
	encode(CODEC_GZIP, NULL, &none, &gzip);
	encode(CODEC_ZSTD, NULL, &none, &zstd);
	assert_int_equal(plain.len, 0);
	assert_true(gzip.len > 0 && zstd.len > 0);
	assert_peer_reads("gzip -dc", &gzip, &none);
	assert_peer_reads("zstd -qdc", &zstd, &none);
}

static void peers_read_what_we_write(void **state)
{
	AUTO_BUF in = BUF_INIT;
	AUTO_BUF gzip = BUF_INIT;
	AUTO_BUF zstd = BUF_INIT;

	(void)state;
	add_text(&in, 2 * CODEC_MEMBER + 99, 4);
	add_noise(&in, CODEC_MEMBER);
	add_text(&in, CODEC_MEMBER, 5);
	encode(CODEC_GZIP, NULL, &in, &gzip);
	encode(CODEC_ZSTD, NULL, &in, &zstd);
	assert_peer_reads("gzip -t", &gzip, NULL);
	assert_peer_reads("gzip -dc", &gzip, &in);
	assert_peer_reads(
		"python3 -c 'import sys,gzip; "
		"sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))'",
		&gzip, &in);
	assert_peer_reads("zstd -qt", &zstd, NULL);
	assert_peer_reads("zstd -qdc", &zstd, &in);
}

static int refuse(void *self, const void *data, size_t n, struct err *e)
{
	int *left = self;

	(void)data, (void)n;
	return (*left)-- ? 0 : err_set(e, ERR_FAILED, "disk full");
}

static void an_error_of_the_sink_comes_back(void **state)
{
	struct pool *pool = pool_new(2);
	AUTO_BUF in = BUF_INIT;

	(void)state;
	add_text(&in, 16 * CODEC_MEMBER, 5);
	for (enum codec c = CODEC_NONE; c <= CODEC_ZSTD; c++) {
		int left = 2;
		struct encoder *enc = encoder_new(c, pool, refuse, &left);
		struct err e = { 0 };

		assert_int_equal(encoder_add(enc, in.s, in.len, &e), -1);
		assert_string_equal(e.msg, "disk full");
		encoder_free(enc); /* with members begun, and others not */
	}
	pool_free(pool);
}

/* --- a pool with no thread to spare --- */

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int waiting, open;
};

static void hold_thread(void *arg)
{
	struct gate *g = arg;

	pthread_mutex_lock(&g->lock);
	g->waiting++;
	pthread_cond_broadcast(&g->changed);
	while (!g->open)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static void a_busy_pool_stops_no_encoder(void **state)
{
	struct gate g = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0 };
	struct pool *pool = pool_new(2);
	AUTO_BUF in = BUF_INIT;
	AUTO_BUF alone = BUF_INIT;
	AUTO_BUF busy = BUF_INIT;

	(void)state;
	pool_submit(pool, hold_thread, &g);
	pool_submit(pool, hold_thread, &g);
	pthread_mutex_lock(&g.lock);
	while (g.waiting < 2)
		pthread_cond_wait(&g.changed, &g.lock);
	pthread_mutex_unlock(&g.lock);

	add_text(&in, 9 * CODEC_MEMBER, 6);
	encode(CODEC_GZIP, NULL, &in, &alone);
	encode(CODEC_GZIP, pool, &in, &busy); /* freed before the pool comes to its
	                                         tickets */
	assert_same(&alone, &busy);

	pthread_mutex_lock(&g.lock);
	g.open = 1;
	pthread_cond_broadcast(&g.changed);
	pthread_mutex_unlock(&g.lock);
	pool_free(pool);
}

struct nested {
	struct pool *pool;
	const struct buf *in;
	struct buf out;
};

static void encode_on_a_pool_thread(void *arg)
{
	struct nested *n = arg;

	encode(CODEC_GZIP, n->pool, n->in, &n->out);
}

static void encoders_may_run_on_all_threads_of_their_own_pool(void **state)
{
	struct pool *pool = pool_new(2);
	struct nested jobs[6];
	AUTO_BUF in = BUF_INIT;
	AUTO_BUF alone = BUF_INIT;

	(void)state;
	add_text(&in, 7 * CODEC_MEMBER + 3, 7);
	encode(CODEC_GZIP, NULL, &in, &alone);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		jobs[i] = (struct nested){ pool, &in, BUF_INIT };
		pool_submit(pool, encode_on_a_pool_thread, &jobs[i]);
	}
	pool_free(pool);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		assert_same(&alone, &jobs[i].out);
		buf_fini(&jobs[i].out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_encoded_is_decoded_again),
		cmocka_unit_test(noise_does_not_overflow_a_member),
		cmocka_unit_test(bytes_do_not_depend_on_the_number_of_threads),
		cmocka_unit_test(gzip_members_are_found_by_hopping),
		cmocka_unit_test(
			what_deflate_does_not_shrink_is_stored_in_members_of_its_own),
		cmocka_unit_test(zstd_frames_know_their_size_and_have_a_checksum),
		cmocka_unit_test(an_empty_stream_is_one_member),
		cmocka_unit_test(peers_read_what_we_write),
		cmocka_unit_test(an_error_of_the_sink_comes_back),
		cmocka_unit_test(a_busy_pool_stops_no_encoder),
		cmocka_unit_test(encoders_may_run_on_all_threads_of_their_own_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

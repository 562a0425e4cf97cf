#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "image/member.h"
#include "unit/streams.h"

static void noise_is_dense(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	add_noise(&b, 20 * DENSE_PIECE);
	for (size_t i = 0; i < 20; i++)
		assert_true(is_dense(b.s + i * DENSE_PIECE));
}

static void what_was_compressed_before_is_dense(void **state)
{
	AUTO_BUF text = BUF_INIT;
	AUTO_BUF b = BUF_INIT;

	(void)state;
	add_text(&text, 2 * CODEC_MEMBER, 1);
	encode(CODEC_ZSTD, NULL, &text, &b);
	assert_true(b.len > 8 * DENSE_PIECE);
	for (size_t i = 0; i < 8; i++)
		assert_true(is_dense(b.s + i * DENSE_PIECE));
}

static void text_is_not_dense_nor_are_zeros(void **state)
{
	static const char zeros[DENSE_PIECE];
	AUTO_BUF b = BUF_INIT;

	(void)state;
	add_text(&b, DENSE_PIECE, 1);
	assert_false(is_dense(b.s));
	assert_false(is_dense(zeros));
}

static void noise_that_comes_again_is_not_dense_wherever_it_does(void **state)
{
	(void)state;
	for (size_t back = 200; back <= 32000; back = back * 3 + 1) {
		AUTO_BUF b = BUF_INIT;
		AUTO_BUF again = BUF_INIT;

		add_noise(&b, DENSE_PIECE - 400);
		buf_add(&again, b.s + b.len - back, back < 400 ? back : 400);
		buf_add(&b, again.s, again.len);
		add_text(&b, DENSE_PIECE - b.len, 1);
		assert_false(is_dense(b.s));
	}
}

/* Noise of 7 bits: as few as an eighth of it can be saved, but that is worth it. */
static void some_bytes_more_frequent_than_others_are_not_dense(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	add_noise(&b, DENSE_PIECE);
	for (size_t i = 0; i < b.len; i++)
		b.s[i] &= 127;
	assert_false(is_dense(b.s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(noise_is_dense),
		cmocka_unit_test(what_was_compressed_before_is_dense),
		cmocka_unit_test(text_is_not_dense_nor_are_zeros),
		cmocka_unit_test(noise_that_comes_again_is_not_dense_wherever_it_does),
		cmocka_unit_test(some_bytes_more_frequent_than_others_are_not_dense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

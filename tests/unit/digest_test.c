#include "base/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char of_abc[] =
	"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

static void known_text_has_its_known_digest(void **state)
{
	struct digest d, again;
	struct err e;
	char hex[DIGEST_HEX + 1];

	(void)state;
	digest_of(&d, "abc", 3);
	assert_string_equal(DIGEST_STR(&d), of_abc);
	assert_string_equal(digest_hex(&d, hex), of_abc + 7);
	assert_int_equal(digest_parse(&again, of_abc, &e), 0);
	assert_true(digest_equal(&d, &again));
	assert_false(digest_is_zero(&d));
}

static void only_the_exact_form_is_read(void **state)
{
	static const char *const bad[] = {
		"",
		"sha256:",
		"sha512:00",
		"sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
		"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a",
		"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015add",
		"sha256:ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		" sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	};
	struct digest d;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(digest_parse(&d, bad[i], &e), -1);
		assert_int_equal(e.code, ERR_INVALID);
	}
}

static void pieces_hash_as_the_whole(void **state)
{
	struct digest whole, pieces;
	struct hasher h;

	(void)state;
	digest_of(&whole, "abcdef", 6);
	hasher_init(&h);
	hasher_add(&h, "abc", 3);
	hasher_add(&h, "", 0);
	hasher_add(&h, "def", 3);
	hasher_end(&h, &pieces);
	assert_true(digest_equal(&whole, &pieces));
	hasher_init(&h);
	hasher_drop(&h);
}

static void key(struct digest *out, const char *a, const char *b)
{
	struct hasher h;

	hasher_init(&h);
	hasher_str(&h, a);
	hasher_str(&h, b);
	hasher_end(&h, out);
}

static void no_two_lists_of_fields_collide(void **state)
{
	static const char *const pairs[][2] = {
		{ "ab", "c" },   { "a", "bc" },   { "abc", "" }, { "", "abc" },
		{ "abc", NULL }, { NULL, "abc" }, { "", "" },    { NULL, NULL },
		{ NULL, "" },    { "", NULL },
	};
	struct digest d[ARRAY_LEN(pairs)];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		key(&d[i], pairs[i][0], pairs[i][1]);
		for (size_t k = 0; k < i; k++)
			assert_false(digest_equal(&d[i], &d[k]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_text_has_its_known_digest),
		cmocka_unit_test(only_the_exact_form_is_read),
		cmocka_unit_test(pieces_hash_as_the_whole),
		cmocka_unit_test(no_two_lists_of_fields_collide),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "build/key.h"

static void value_of(struct digest *out, const char *const *fields, size_t n)
{
	AUTO(arena_fini) struct arena a = ARENA_INIT;
	struct key k;

	key_init(&k, &a);
	for (size_t i = 0; i + 1 < n; i += 2)
		key_str(&k, fields[i], fields[i + 1]);
	key_value(&k, out);
	key_fini(&k);
}

static void fields_never_run_into_each_other(void **state)
{
	struct digest a, b, c, d;

	(void)state;
	value_of(&a, (const char *[]){ "x", "ab", "y", "c" }, 4);
	value_of(&b, (const char *[]){ "x", "a", "y", "bc" }, 4);
	value_of(&c, (const char *[]){ "x", "abyc" }, 2);
	value_of(&d, (const char *[]){ "x", "ab", "y", "c" }, 4);
	assert_false(digest_equal(&a, &b));
	assert_false(digest_equal(&a, &c));
	assert_true(digest_equal(&a, &d));
}

static void absent_is_not_empty(void **state)
{
	struct digest a, b;

	(void)state;
	value_of(&a, (const char *[]){ "x", NULL }, 2);
	value_of(&b, (const char *[]){ "x", "" }, 2);
	assert_false(digest_equal(&a, &b));
}

static void scopes_are_for_people_only(void **state)
{
	AUTO(arena_fini) struct arena a = ARENA_INIT;
	struct digest x, y;
	struct key k, l;
	size_t n;

	(void)state;
	key_init(&k, &a);
	key_init(&l, &a);
	key_scope(&k, "step 1: ");
	key_str(&k, "to", "/");
	key_str(&l, "to", "/");
	key_value(&k, &x);
	key_value(&l, &y);
	assert_true(digest_equal(&x, &y));
	assert_string_equal(key_components(&k, &n)[0].name, "step 1: to");
	key_fini(&k);
	key_fini(&l);
}

static void components_survive_their_file_format(void **state)
{
	AUTO(arena_fini) struct arena a = ARENA_INIT;
	AUTO_BUF data = BUF_INIT;
	struct component *back;
	struct key k;
	size_t n;

	(void)state;
	key_init(&k, &a);
	key_str(&k, "one", "text");
	key_str(&k, "none", NULL);
	key_int(&k, "number", -5);
	components_encode(k.parts.at, k.parts.len, &data);
	assert_true(components_decode(&a, data.s, data.len, &back, &n));
	assert_int_equal(n, 3);
	assert_string_equal(back[0].text, "text");
	assert_null(back[1].text);
	assert_string_equal(back[2].text, "-5");
	assert_true(digest_equal(&back[2].digest, &k.parts.at[2].digest));
	for (size_t cut = 0; cut < data.len; cut++)
		assert_false(components_decode(&a, data.s, cut, &back, &n));
	key_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_never_run_into_each_other),
		cmocka_unit_test(absent_is_not_empty),
		cmocka_unit_test(scopes_are_for_people_only),
		cmocka_unit_test(components_survive_their_file_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

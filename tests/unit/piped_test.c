/* What is read ahead is hashed whole, whoever reads it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "image/piped.h"

/* Gives `size` bytes in pieces of odd sizes, and then its end, or an error. */
struct giver {
	struct source source;
	struct hasher hash;
	size_t size, at;
	bool fails;
};

static ssize_t give(struct source *self, void *data, size_t n, struct err *e)
{
	struct giver *g = (struct giver *)self;
	size_t left = g->size - g->at, k = 1 + g->at % 40961;

	if (!left && g->fails)
		return err_set(e, ERR_CORRUPT, "it breaks here");
	n = n < k ? n : k;
	n = n < left ? n : left;
	memset(data, (int)(g->at % 251), n);
	hasher_add(&g->hash, data, n);
	g->at += n;
	return (ssize_t)n;
}

static void begin(struct giver *g, size_t size, bool fails)
{
	*g = (struct giver){ .source = { give }, .size = size, .fails = fails };
	hasher_init(&g->hash);
}

static void all_of_it_is_hashed(void **state)
{
	static const size_t sizes[] = { 0, 1, 262143, 262144, 262145, 5000000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct digest want, got;
		struct piped *p;
		struct giver g;
		struct err e;

		begin(&g, sizes[i], false);
		p = piped_new(&g.source);
		assert_int_equal(piped_drain(p, &e), sizes[i]);
		piped_end(p, &got);
		hasher_end(&g.hash, &want);
		assert_true(digest_equal(&got, &want));
	}
}

static void what_breaks_has_no_hash(void **state)
{
	static const size_t sizes[] = { 0, 1, 3000000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct piped *p;
		struct digest got;
		struct giver g;
		struct err e;

		begin(&g, sizes[i], true);
		p = piped_new(&g.source);
		assert_int_equal(piped_drain(p, &e), -1);
		assert_string_equal(e.msg, "it breaks here");
		piped_end(p, &got);
		assert_true(digest_is_zero(&got));
		hasher_end(&g.hash, &got);
	}
}

static void who_leaves_early_stops_the_thread(void **state)
{
	struct giver g;
	struct piped *p;
	struct digest got;

	(void)state;
	begin(&g, (size_t)1 << 40, false);
	p = piped_new(&g.source);
	piped_end(p, &got);
	assert_true(digest_is_zero(&got));
	hasher_end(&g.hash, &got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_it_is_hashed),
		cmocka_unit_test(what_breaks_has_no_hash),
		cmocka_unit_test(who_leaves_early_stops_the_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

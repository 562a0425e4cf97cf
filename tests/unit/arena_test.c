#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void pieces_do_not_overlap_and_are_aligned(void **state)
{
	struct arena a = ARENA_INIT;
	unsigned char *p[400];

	(void)state;
	for (size_t i = 0; i < 400; i++) {
		arena_strndup(&a, "odd", i % 4); /* puts the next one out of step */
		p[i] = arena_alloc(&a, 1 + i * 7);
		assert_int_equal((uintptr_t)p[i] % _Alignof(max_align_t), 0);
		for (size_t k = 0; k < 1 + i * 7; k++)
			assert_int_equal(p[i][k], 0);
		memset(p[i], (int)i, 1 + i * 7);
	}
	for (size_t i = 0; i < 400; i++)
		for (size_t k = 0; k < 1 + i * 7; k++)
			assert_int_equal(p[i][k], i & 255);
	arena_fini(&a);
}

static void a_large_piece_leaves_the_open_block_in_use(void **state)
{
	struct arena a = ARENA_INIT;
	char *first = arena_strdup(&a, "x"), *second;

	(void)state;
	memset(arena_alloc(&a, 1 << 20), 1, 1 << 20);
	second = arena_strdup(&a, "y");
	assert_ptr_equal(second, first + 2);
	arena_fini(&a);
	arena_fini(&a);
}

static void text_is_copied(void **state)
{
	struct arena a = ARENA_INIT;
	char text[] = "text";
	char *s = arena_strdup(&a, text), *cut = arena_strndup(&a, text, 2);
	char *made = arena_printf(&a, "%s-%d", text, 7);
	char *raw = arena_memdup(&a, text, sizeof(text));

	(void)state;
	text[0] = 0;
	assert_string_equal(s, "text");
	assert_string_equal(cut, "te");
	assert_string_equal(made, "text-7");
	assert_string_equal(raw, "text");
	assert_non_null(arena_memdup(&a, NULL, 0));
	arena_fini(&a);
}

static void two_texts_become_one(void **state)
{
	struct arena a = ARENA_INIT;

	(void)state;
	assert_string_equal(arena_concat(&a, "usr/", "bin"), "usr/bin");
	assert_string_equal(arena_concat(&a, "", ""), "");
	arena_fini(&a);
}

static void it_begins_in_memory_that_is_given(void **state)
{
	_Alignas(max_align_t) char given[256] = { 0 };
	struct arena a;
	char *first, *later;

	(void)state;
	arena_begin(&a, given, sizeof(given));
	first = arena_alloc(&a, 200);
	later = arena_alloc(&a, 200);
	assert_ptr_equal(first, given);
	assert_true(later < given || later >= given + sizeof(given));
	memset(later, 1, 200);
	arena_fini(&a);
}

/* Blocks of the kernel's among them. */
static void millions_of_bytes_are_zeroed_and_aligned(void **state)
{
	enum { SIZE = 1000, MANY = 12000 };
	static const char zero[SIZE];
	struct arena a = ARENA_INIT;

	(void)state;
	arena_expect(&a, 64 << 10);
	for (size_t i = 0; i < MANY; i++) {
		char *p = arena_alloc(&a, SIZE);

		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		assert_memory_equal(p, zero, SIZE);
		memset(p, 1, SIZE);
	}
	arena_fini(&a);
}

static void pages_are_aligned_and_zeroed(void **state)
{
	char *p = mem_pages(2 * MEM_LARGE_PAGE);

	(void)state;
	assert_non_null(p);
	assert_int_equal((uintptr_t)p % MEM_LARGE_PAGE, 0);
	assert_int_equal(p[0], 0);
	assert_int_equal(p[2 * MEM_LARGE_PAGE - 1], 0);
	p[0] = p[2 * MEM_LARGE_PAGE - 1] = 1;
	mem_pages_free(p, 2 * MEM_LARGE_PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_do_not_overlap_and_are_aligned),
		cmocka_unit_test(a_large_piece_leaves_the_open_block_in_use),
		cmocka_unit_test(two_texts_become_one),
		cmocka_unit_test(text_is_copied),
		cmocka_unit_test(it_begins_in_memory_that_is_given),
		cmocka_unit_test(millions_of_bytes_are_zeroed_and_aligned),
		cmocka_unit_test(pages_are_aligned_and_zeroed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

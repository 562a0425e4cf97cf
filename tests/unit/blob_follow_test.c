#include "store/blob_follow.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

enum { PIECE = 1000, PIECES = 300 };

struct writing {
	struct blob_follow *follow;
	int pieces;
	bool again; /* begins a second time after them */
};

static void *write_all(void *arg)
{
	struct writing *w = arg;
	int fd = memfd_create("blob", MFD_CLOEXEC);
	char piece[PIECE];

	blob_follow_begin(w->follow, fd);
	for (int i = 0; i < w->pieces; i++) {
		memset(piece, i, sizeof(piece));
		assert_int_equal(write(fd, piece, sizeof(piece)), PIECE);
		blob_follow_grow(w->follow, (int64_t)(i + 1) * PIECE);
	}
	close(fd);
	if (w->again)
		blob_follow_begin(w->follow, 0);
	else
		blob_follow_end(w->follow);
	return NULL;
}

/* Bytes that are as they should be, up to what the last read gives. */
static int64_t read_all(struct blob_follow *f, ssize_t *last, struct err *e)
{
	unsigned char data[777];
	int64_t at = 0;

	while ((*last = blob_follow_read(f, data, sizeof(data), e)) > 0)
		for (ssize_t i = 0; i < *last; i++, at++)
			assert_int_equal(data[i], at / PIECE % 256);
	return at;
}

static void a_reader_gets_all_that_is_written(void **state)
{
	struct writing w = { blob_follow_new(), PIECES, false };
	pthread_t thread;
	ssize_t last;
	struct err e;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, write_all, &w), 0);
	assert_int_equal(read_all(w.follow, &last, &e), PIECE * PIECES);
	assert_int_equal(last, 0);
	assert_false(blob_follow_again(w.follow));
	pthread_join(thread, NULL);
	blob_follow_free(w.follow);
}

static void one_that_begins_again_is_not_read_on(void **state)
{
	struct writing w = { blob_follow_new(), 3, true };
	pthread_t thread;
	ssize_t last;
	struct err e;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, write_all, &w), 0);
	assert_true(read_all(w.follow, &last, &e) <= 3 * PIECE);
	assert_int_equal(last, -1);
	assert_int_equal(e.code, ERR_CANCELLED);
	assert_true(blob_follow_again(w.follow));
	pthread_join(thread, NULL);
	blob_follow_free(w.follow);
}

/* Somebody else has brought it: it is to be read where it is. */
static void one_that_never_begins_is_read_elsewhere(void **state)
{
	struct blob_follow *f = blob_follow_new();
	ssize_t last;
	struct err e;

	(void)state;
	blob_follow_end(f);
	assert_int_equal(read_all(f, &last, &e), 0);
	assert_int_equal(last, -1);
	assert_true(blob_follow_again(f));
	blob_follow_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_gets_all_that_is_written),
		cmocka_unit_test(one_that_begins_again_is_not_read_on),
		cmocka_unit_test(one_that_never_begins_is_read_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

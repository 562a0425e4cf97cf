#include "store/store.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/clock.h"
#include "os/file.h"
#include "os/lock.h"
#include "store/blobs.h"
#include "store/state.h"

enum { HOUR = 3600, DAY = 24 * HOUR };

struct place {
	char path[40];
	struct store store;
};

static int setup(void **state)
{
	struct place *p = mem_alloc(sizeof(*p));
	struct err e;

	strcpy(p->path, "/tmp/store_test.XXXXXX");
	if (!mkdtemp(p->path))
		return -1;
	*state = p;
	return store_open(&p->store, p->path, false, &e);
}

static int teardown(void **state)
{
	struct place *p = *state;
	struct err e;
	int rc;

	store_close(&p->store);
	rc = file_remove_tree(AT_FDCWD, p->path, &e);
	free(p);
	return rc;
}

static void put(struct place *p, const char *text, struct digest *d)
{
	struct err e;

	assert_int_equal(blobs_put(p->store.blobs, text, strlen(text), d, &e), 0);
}

static void blob_path(const struct digest *d, char path[80])
{
	char hex[DIGEST_HEX + 1];

	snprintf(path, 80, "blobs/sha256/%s", digest_hex(d, hex));
}

static int64_t age_of(struct place *p, const struct digest *d)
{
	char path[80];
	struct stat st;

	blob_path(d, path);
	assert_int_equal(fstatat(p->store.dir, path, &st, 0), 0);
	return clock_wall_s() - st.st_mtime;
}

static void make_old(struct place *p, const struct digest *d, int64_t age)
{
	struct timespec then = { .tv_sec = clock_wall_s() - age };
	char path[80];

	blob_path(d, path);
	assert_int_equal(
		utimensat(p->store.dir, path, (struct timespec[]){ then, then }, 0), 0);
}

static void asking_for_an_old_blob_makes_it_young(void **state)
{
	struct place *p = *state;
	struct digest d;

	put(p, "x", &d);
	make_old(p, &d, 3 * DAY);
	assert_true(blobs_has(p->store.blobs, &d, NULL));
	assert_in_range(age_of(p, &d), 0, HOUR);
	make_old(p, &d, -3 * DAY); /* a clock that was wrong */
	assert_true(blobs_has(p->store.blobs, &d, NULL));
	assert_in_range(age_of(p, &d), 0, HOUR);
}

static void asking_again_soon_writes_nothing(void **state)
{
	struct place *p = *state;
	struct digest d;

	put(p, "x", &d);
	make_old(p, &d, BLOB_USE_GRAIN / 2);
	assert_true(blobs_has(p->store.blobs, &d, NULL));
	assert_in_range(age_of(p, &d), BLOB_USE_GRAIN / 2, BLOB_USE_GRAIN);
}

static void looking_without_writing_leaves_the_age(void **state)
{
	struct place *p = *state;
	struct blobs *look;
	struct digest d;
	struct err e;

	put(p, "x", &d);
	make_old(p, &d, DAY);
	assert_int_equal(blobs_open(&look, p->store.dir, true, &e), 0);
	assert_true(blobs_has(look, &d, NULL));
	blobs_close(look);
	assert_in_range(age_of(p, &d), DAY, 2 * DAY);
}

static void only_what_is_old_is_evicted(void **state)
{
	struct place *p = *state;
	struct digest d[3];
	bool gone[3];
	struct err e;

	put(p, "old", &d[0]);
	put(p, "young", &d[1]);
	digest_of(&d[2], "never there", 11);
	make_old(p, &d[0], 2 * DAY);
	assert_int_equal(
		blobs_evict(p->store.blobs, d, 3, clock_wall_s() - DAY, gone, &e), 0);
	assert_true(gone[0] && !gone[1] && gone[2]);
	assert_false(blobs_has(p->store.blobs, &d[0], NULL));
	assert_true(blobs_has(p->store.blobs, &d[1], NULL));
	assert_int_equal(blobs_evict(p->store.blobs, d, 3, INT64_MAX, gone, &e), 0);
	assert_true(gone[1]);
}

static int find_use(void *self, const struct state_record *r)
{
	if (r->key_len == 1 && !memcmp(r->key, "k", 1))
		*(int64_t *)self = r->used;
	return 0;
}

static int64_t used(struct place *p)
{
	int64_t when = -1;
	struct err e;

	assert_int_equal(state_each(p->store.state, STATE_RESULTS, find_use, &when, &e),
	                 0);
	return when;
}

static void set_used(struct place *p, int64_t when)
{
	const char key[] = { STATE_RESULTS, 'k' };
	struct err e;

	assert_int_equal(state_put(p->store.state, STATE_USED, key, sizeof(key), &when,
	                           sizeof(when), &e),
	                 0);
}

static void read_and_reopen(struct place *p, bool read_only)
{
	AUTO_BUF out = BUF_INIT;
	struct err e;

	store_close(&p->store);
	assert_int_equal(store_open(&p->store, p->path, read_only, &e), 0);
	assert_int_equal(state_get(p->store.state, STATE_RESULTS, "k", 1, &out, &e), 1);
	store_close(&p->store);
	assert_int_equal(store_open(&p->store, p->path, false, &e), 0);
}

static void reading_an_old_record_makes_it_young_once_a_day(void **state)
{
	struct place *p = *state;
	int64_t now = clock_wall_s(), recent = now - STATE_USE_GRAIN / 2;
	struct err e;

	assert_int_equal(state_put(p->store.state, STATE_RESULTS, "k", 1, "v", 1, &e), 0);
	assert_in_range(used(p), now, now + HOUR);
	set_used(p, recent);
	read_and_reopen(p, false);
	assert_int_equal(used(p), recent);
	set_used(p, now - 3 * DAY);
	read_and_reopen(p, true);
	assert_int_equal(used(p), now - 3 * DAY);
	read_and_reopen(p, false);
	assert_in_range(used(p), now, now + HOUR);
}

static void several_records_change_at_once(void **state)
{
	struct place *p = *state;
	const struct state_change changes[] = {
		{ STATE_RESULTS, "k", 1, NULL, 0 },
		{ STATE_GONE, "k", 1, "1", 1 },
	};
	AUTO_BUF out = BUF_INIT;
	struct err e;

	assert_int_equal(state_put(p->store.state, STATE_RESULTS, "k", 1, "v", 1, &e), 0);
	assert_int_equal(state_change(p->store.state, changes, 2, &e), 0);
	assert_int_equal(state_get(p->store.state, STATE_RESULTS, "k", 1, &out, &e), 0);
	assert_int_equal(state_get(p->store.state, STATE_GONE, "k", 1, &out, &e), 1);
	assert_int_equal(used(p), -1);
}

static void a_state_that_is_mostly_free_is_written_anew(void **state)
{
	enum { RECORDS = 300, SIZE = 32 << 10 };
	struct place *p = *state;
	AUTO_FREE char *data = mem_alloc(SIZE);
	struct state_change all[RECORDS];
	AUTO_BUF out = BUF_INIT;
	int keys[RECORDS];
	int64_t full;
	struct err e;

	for (int i = 0; i < RECORDS; i++) {
		keys[i] = i;
		all[i] = (struct state_change){ STATE_FACTS, &keys[i], sizeof(int), data,
			                        SIZE };
	}
	assert_int_equal(state_change(p->store.state, all, RECORDS, &e), 0);
	full = state_size(p->store.state);
	assert_int_equal(state_compact(&p->store.state, p->store.dir, &e), 0);
	assert_int_equal(state_size(p->store.state), full);
	for (int i = 1; i < RECORDS; i++)
		all[i].data = NULL;
	assert_int_equal(state_change(p->store.state, all, RECORDS, &e), 0);
	assert_int_equal(state_compact(&p->store.state, p->store.dir, &e), 0);
	assert_in_range(state_size(p->store.state), SIZE, full / 20);
	assert_int_equal(
		state_get(p->store.state, STATE_FACTS, &keys[0], sizeof(int), &out, &e),
		1);
	assert_int_equal(out.len, SIZE);
	assert_int_equal(
		state_put(p->store.state, STATE_FACTS, &keys[1], sizeof(int), "x", 1, &e),
		0);
	store_close(&p->store);
	assert_int_equal(store_open(&p->store, p->path, false, &e), 0);
	assert_int_equal(
		state_get(p->store.state, STATE_FACTS, &keys[1], sizeof(int), &out, &e),
		1);
}

/* As in two containers, where both may be process 1. */
static void processes_with_one_number_write_blobs_at_once(void **state)
{
	static const char *const texts[] = { "one", "two" };
	struct place *p = *state;
	struct blobs *blobs[2];
	struct blob_writer w[2];
	struct digest d;
	struct err e;
	bool whole;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(blobs_open(&blobs[i], p->store.dir, false, &e), 0);
		assert_int_equal(blob_begin(&w[i], blobs[i], &e), 0);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(blob_write(&w[i], texts[i], 3, &e), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(blob_commit(&w[i], NULL, &d, &e), 0);
		assert_int_equal(blobs_check(blobs[i], &d, &whole, &e), 0);
		assert_true(whole);
	}
	for (int i = 0; i < 2; i++)
		blobs_close(blobs[i]);
}

static void a_lease_tells_since_when_it_is_held(void **state)
{
	struct place *p = *state;
	struct store other, reader;
	struct err e;

	assert_int_equal(lock_lowest_shown(p->store.lease), -1);
	assert_int_equal(store_open(&other, p->path, false, &e), 0);
	assert_int_equal(store_open(&reader, p->path, true, &e), 0);
	assert_int_equal(lock_lowest_shown(p->store.lease), other.opened);
	assert_int_equal(lock_raise(p->store.lease, &e), 0);
	store_close(&other);
	assert_int_equal(lock_raise(p->store.lease, &e), 0); /* a dry run counts too */
	store_close(&reader);
	assert_int_equal(lock_raise(p->store.lease, &e), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(asking_for_an_old_blob_makes_it_young),
		TEST(asking_again_soon_writes_nothing),
		TEST(looking_without_writing_leaves_the_age),
		TEST(only_what_is_old_is_evicted),
		TEST(reading_an_old_record_makes_it_young_once_a_day),
		TEST(several_records_change_at_once),
		TEST(a_state_that_is_mostly_free_is_written_anew),
		TEST(a_lease_tells_since_when_it_is_held),
		TEST(processes_with_one_number_write_blobs_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "store/gc.h"

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
#include "store/blobs.h"

enum { HOUR = 3600, DAY = 24 * HOUR, PAGE = 4096 };

/* Records here are lists of digests, 32 bytes each. */
struct place {
	char path[40];
	struct store store;
	struct gc_rooms rooms;
	struct gc_report report;
	int64_t cache_age; /* of one cache, if not 0 */
	bool cache_removed;
};

static void names(void *self, enum state_table t, const struct state_record *r,
                  struct gc_names *out)
{
	(void)self;
	for (size_t i = 0; i + DIGEST_SIZE <= r->n; i += DIGEST_SIZE) {
		struct digest d;

		memcpy(d.b, (const char *)r->data + i, DIGEST_SIZE);
		vec_push(&out->needed, d);
		if (t == STATE_IMAGES)
			vec_push(&out->kept, d);
	}
	out->told = t == STATE_RESULTS;
}

static int list(void *self, struct gc_list *l, struct err *e)
{
	struct place *p = self;

	(void)e;
	if (p->cache_age)
		gc_list_add(l, GC_CACHES, "c", 100, clock_wall_s() - p->cache_age);
	return 0;
}

static int remove_some(void *self, enum gc_kind kind, const struct strlist *only,
                       int64_t before, bool *gone, struct err *e)
{
	struct place *p = self;

	(void)before;
	(void)e;
	assert_int_equal(kind, GC_CACHES);
	assert_int_equal(only->len, 1);
	gone[0] = p->cache_removed = true;
	return 0;
}

static void tidy(void *self)
{
	(void)self;
}

static int setup(void **state)
{
	struct place *p = mem_alloc(sizeof(*p));
	struct err e;

	p->rooms = (struct gc_rooms){ p, names, list, remove_some, tidy };
	strcpy(p->path, "/tmp/gc_test.XXXXXX");
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

/* A blob of one page that was used so long ago. */
static struct digest blob(struct place *p, const char *text, int64_t age)
{
	struct timespec then = { .tv_sec = clock_wall_s() - age };
	char path[80], hex[DIGEST_HEX + 1];
	struct digest d;
	struct err e;

	assert_int_equal(blobs_put(p->store.blobs, text, strlen(text), &d, &e), 0);
	snprintf(path, sizeof(path), "blobs/sha256/%s", digest_hex(&d, hex));
	assert_int_equal(
		utimensat(p->store.dir, path, (struct timespec[]){ then, then }, 0), 0);
	return d;
}

static bool there(struct place *p, const struct digest *d)
{
	char path[80], hex[DIGEST_HEX + 1];

	snprintf(path, sizeof(path), "blobs/sha256/%s", digest_hex(d, hex));
	return file_exists(p->store.dir, path);
}

static void put(struct place *p, enum state_table t, const char *key, size_t key_len,
                const struct digest *d, size_t n)
{
	struct err e;

	assert_int_equal(
		state_put(p->store.state, t, key, key_len, d, n * sizeof(*d), &e), 0);
}

static void set_used(struct place *p, enum state_table t, const char *key, size_t n,
                     int64_t age)
{
	AUTO_BUF used = BUF_INIT;
	int64_t when = clock_wall_s() - age;
	struct err e;

	buf_addc(&used, (char)t);
	buf_add(&used, key, n);
	assert_int_equal(state_put(p->store.state, STATE_USED, used.s, used.len, &when,
	                           sizeof(when), &e),
	                 0);
}

static bool known(struct place *p, enum state_table t, const char *key, size_t n)
{
	AUTO_BUF out = BUF_INIT;
	struct err e;
	int found = state_get(p->store.state, t, key, n, &out, &e);

	assert_true(found >= 0);
	return found;
}

static void run(struct place *p, struct gc_options o)
{
	struct err e;

	o.rooms = &p->rooms;
	if (gc_run(&p->store, &o, &p->report, &e) < 0)
		fail_msg("%s", e.msg);
}

/* Room for `pages` beside the records. */
static int64_t room(struct place *p, int pages)
{
	return state_size(p->store.state) + pages * PAGE;
}

static void the_least_recently_used_goes_first(void **state)
{
	struct place *p = *state;
	struct digest a = blob(p, "a", 3 * DAY), b = blob(p, "b", 5 * DAY),
		      c = blob(p, "c", DAY);

	run(p, (struct gc_options){ .max_size = room(p, 3), .max_age = -1 });
	assert_true(there(p, &a) && there(p, &b) && there(p, &c));
	run(p, (struct gc_options){ .max_size = room(p, 2), .max_age = -1 });
	assert_true(there(p, &a) && !there(p, &b) && there(p, &c));
	assert_int_equal(p->report.removed[GC_BLOBS].n, 1);
	assert_int_equal(p->report.removed[GC_BLOBS].bytes, PAGE);
	run(p, (struct gc_options){ .max_size = room(p, 1), .max_age = -1 });
	assert_true(!there(p, &a) && there(p, &c));
}

static void what_is_too_old_goes(void **state)
{
	struct place *p = *state;
	struct digest a = blob(p, "a", 3 * DAY), b = blob(p, "b", DAY);

	p->cache_age = 4 * DAY;
	run(p, (struct gc_options){ .max_size = -1, .max_age = 2 * DAY });
	assert_true(!there(p, &a) && there(p, &b));
	assert_true(p->cache_removed);
}

static void what_a_name_refers_to_goes_last(void **state)
{
	struct place *p = *state;
	struct digest a = blob(p, "a", 3 * DAY), b = blob(p, "b", 5 * DAY);

	put(p, STATE_IMAGES, "b", 1, &b, 1);
	run(p, (struct gc_options){ .max_size = -1, .max_age = 2 * DAY });
	assert_true(!there(p, &a) && there(p, &b));
	assert_true(known(p, STATE_IMAGES, "b", 1));
	a = blob(p, "a", HOUR);
	run(p, (struct gc_options){ .max_size = room(p, 1), .max_age = -1 });
	assert_true(!there(p, &a) && there(p, &b));
	/* The name itself, unused for so long, is forgotten. */
	set_used(p, STATE_IMAGES, "b", 1, 4 * DAY);
	run(p, (struct gc_options){ .max_size = -1, .max_age = 2 * DAY });
	assert_false(there(p, &b));
	assert_false(known(p, STATE_IMAGES, "b", 1));
}

static void a_layers_table_stays_with_a_layer_that_has_a_name(void **state)
{
	struct place *p = *state;
	struct digest pair[2] = { blob(p, "layer", 5 * DAY), blob(p, "table", 5 * DAY) },
		      other = blob(p, "other", DAY);
	char key[DIGEST_SIZE] = "k";

	put(p, STATE_IMAGES, "b", 1, pair, 1);
	put(p, STATE_RESULTS, key, sizeof(key), pair, 2);
	run(p, (struct gc_options){ .max_size = room(p, 2), .max_age = -1 });
	assert_true(there(p, &pair[0]) && there(p, &pair[1]) && !there(p, &other));
}

static void records_go_with_their_blobs_and_it_is_noted(void **state)
{
	struct place *p = *state;
	struct digest a = blob(p, "a", 3 * DAY), b = blob(p, "b", DAY),
		      both[2] = { a, b }, never;
	char with_a[DIGEST_SIZE] = "a", with_b[DIGEST_SIZE] = "b",
	     dangling[DIGEST_SIZE] = "d";
	struct digest key;
	int64_t when;
	struct err e;

	digest_of(&never, "never", 5);
	put(p, STATE_RESULTS, with_a, DIGEST_SIZE, both, 2);
	put(p, STATE_RESULTS, with_b, DIGEST_SIZE, &b, 1);
	put(p, STATE_RESULTS, dangling, DIGEST_SIZE, &never, 1);
	put(p, STATE_LAYERS, "a", 1, &a, 1);
	run(p, (struct gc_options){ .max_size = -1, .max_age = 2 * DAY });
	assert_false(known(p, STATE_RESULTS, with_a, DIGEST_SIZE));
	assert_true(known(p, STATE_RESULTS, with_b, DIGEST_SIZE));
	assert_false(known(p, STATE_RESULTS, dangling, DIGEST_SIZE));
	assert_false(known(p, STATE_LAYERS, "a", 1));
	assert_int_equal(p->report.records, 3);
	memcpy(key.b, with_a, DIGEST_SIZE);
	assert_int_equal(gc_when(&p->store, &key, &when, &e), 1);
	assert_in_range(when, clock_wall_s() - HOUR, clock_wall_s());
	memcpy(key.b, with_b, DIGEST_SIZE);
	assert_int_equal(gc_when(&p->store, &key, &when, &e), 0);
	memcpy(key.b, dangling, DIGEST_SIZE); /* that was not gc */
	assert_int_equal(gc_when(&p->store, &key, &when, &e), 0);
}

static void records_without_blobs_go_by_their_own_age(void **state)
{
	struct place *p = *state;

	put(p, STATE_CHECKS, "old", 3, NULL, 0);
	put(p, STATE_CHECKS, "old", 3, (const struct digest *)"", 0);
	put(p, STATE_CHECKS, "new", 3, (const struct digest *)"", 0);
	put(p, STATE_FACTS, "fact", 4, (const struct digest *)"", 0);
	set_used(p, STATE_CHECKS, "old", 3, 4 * DAY);
	run(p, (struct gc_options){ .max_size = -1, .max_age = 2 * DAY });
	assert_false(known(p, STATE_CHECKS, "old", 3));
	assert_true(known(p, STATE_CHECKS, "new", 3));
	assert_true(known(p, STATE_FACTS, "fact", 4));
}

static void projects_that_are_gone_are_forgotten_in_a_week(void **state)
{
	struct place *p = *state;
	char here[64], gone[64];
	size_t n = strlen(p->path) + 3;

	snprintf(here, sizeof(here), "%s%ct", p->path, 0);
	snprintf(gone, sizeof(gone), "%s%ct", "/tmp/gc_test.gone...", 0);
	put(p, STATE_TARGETS, here, n - 1, (const struct digest *)"", 0);
	put(p, STATE_TARGETS, gone, n - 1, (const struct digest *)"", 0);
	set_used(p, STATE_TARGETS, here, n - 1, 8 * DAY);
	set_used(p, STATE_TARGETS, gone, n - 1, 6 * DAY);
	run(p, (struct gc_options){ .max_size = -1, .max_age = -1 });
	assert_int_equal(p->report.records, 0);
	set_used(p, STATE_TARGETS, gone, n - 1, 8 * DAY);
	run(p, (struct gc_options){ .max_size = -1, .max_age = -1 });
	assert_int_equal(p->report.records, 1);
	assert_true(known(p, STATE_TARGETS, here, n - 1));
}

static void what_others_may_be_using_stays(void **state)
{
	struct place *p = *state;
	struct digest old = blob(p, "old", 3 * DAY), hour = blob(p, "hour", HOUR / 2);
	struct store other;
	struct err e;

	assert_int_equal(store_open(&other, p->path, false, &e), 0);
	run(p, (struct gc_options){ .max_size = -1, .max_age = -1, .all = true });
	assert_true(!there(p, &old) && there(p, &hour));
	assert_true(p->report.others);
	assert_int_equal(p->report.in_use[GC_BLOBS].n, 1);
	store_close(&other);
	run(p, (struct gc_options){ .max_size = -1, .max_age = -1, .all = true });
	assert_false(there(p, &hour));
	assert_false(p->report.others);
}

/* A build that began hours ago has what it used at its beginning. */
static void what_was_used_since_the_oldest_of_them_began_stays(void **state)
{
	struct place *p = *state;
	struct digest since = blob(p, "since", 4 * HOUR),
		      before = blob(p, "before", 6 * HOUR);
	struct store other;
	struct err e;
	int fd;

	assert_int_equal(store_open(&other, p->path, true, &e), 0);
	fd = openat(p->store.dir, "lease", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	struct flock l = { .l_type = F_RDLCK,
		           .l_whence = SEEK_SET,
		           .l_start = clock_wall_s() - 5 * HOUR,
		           .l_len = 1 };
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &l), 0);
	run(p, (struct gc_options){ .max_size = -1, .max_age = -1, .all = true });
	assert_true(there(p, &since) && !there(p, &before));
	close(fd);
	store_close(&other);
}

static void at_an_exit_what_the_build_used_stays(void **state)
{
	struct place *p = *state;
	struct digest old = blob(p, "old", DAY), own = blob(p, "own", 0);

	run(p, (struct gc_options){ .max_size = 1, .max_age = -1, .on_exit = true });
	assert_true(!there(p, &old) && there(p, &own));
}

static void a_dry_run_tells_and_leaves_all(void **state)
{
	struct place *p = *state;
	struct digest a = blob(p, "a", 3 * DAY);

	put(p, STATE_LAYERS, "a", 1, &a, 1);
	run(p, (struct gc_options){ .max_size = -1, .all = true, .dry_run = true });
	assert_int_equal(p->report.removed[GC_BLOBS].n, 1);
	assert_int_equal(p->report.records, 1);
	assert_true(there(p, &a));
	assert_true(known(p, STATE_LAYERS, "a", 1));
}

static void time_that_is_up_ends_it_between_two_batches(void **state)
{
	struct place *p = *state;
	struct digest a = blob(p, "a", 3 * DAY);

	run(p, (struct gc_options){ .max_size = -1, .all = true, .deadline = 1 });
	assert_true(p->report.stopped && there(p, &a));
}

static void it_is_due_when_the_store_has_grown_beyond_its_bound(void **state)
{
	struct place *p = *state;
	char text[64 * PAGE];

	memset(text, 'x', sizeof(text));
	assert_false(gc_due(&p->store, 0)); /* nothing came */
	blob(p, "a", 0);
	assert_true(gc_due(&p->store, -1)); /* no gc has ever looked */
	run(p, (struct gc_options){ .max_size = -1, .max_age = -1 });
	assert_false(gc_due(&p->store, room(p, 2)));
	text[sizeof(text) - 1] = '\0';
	blob(p, text, 0);
	assert_true(gc_due(&p->store, room(p, 2)));
	assert_false(gc_due(&p->store, -1));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_least_recently_used_goes_first),
		TEST(what_is_too_old_goes),
		TEST(what_a_name_refers_to_goes_last),
		TEST(a_layers_table_stays_with_a_layer_that_has_a_name),
		TEST(records_go_with_their_blobs_and_it_is_noted),
		TEST(records_without_blobs_go_by_their_own_age),
		TEST(projects_that_are_gone_are_forgotten_in_a_week),
		TEST(what_others_may_be_using_stays),
		TEST(what_was_used_since_the_oldest_of_them_began_stays),
		TEST(at_an_exit_what_the_build_used_stays),
		TEST(a_dry_run_tells_and_leaves_all),
		TEST(time_that_is_up_ends_it_between_two_batches),
		TEST(it_is_due_when_the_store_has_grown_beyond_its_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

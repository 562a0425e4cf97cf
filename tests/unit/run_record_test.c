/* The record of times beside a cache directory that came from another machine. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "build/run_times.h"
#include "os/file.h"

struct ground {
	char path[40];
	struct store store;
	struct used_cache cache;
};

static int set_up(void **state)
{
	struct ground *p = mem_alloc(sizeof(*p));

	strcpy(p->path, "/tmp/run_record_test.XXXXXX");
	assert_non_null(mkdtemp(p->path));
	p->store.dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(p->store.dir, "c", 0755), 0);
	p->cache.dir = "c";
	p->cache.alone = true;
	p->cache.fd = openat(p->store.dir, "c", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(p->store.dir, "c/made", 0755), 0);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct ground *p = *state;
	struct err e;

	close(p->cache.fd);
	close(p->store.dir);
	assert_int_equal(file_remove_tree(AT_FDCWD, p->path, &e), 0);
	free(p);
	return 0;
}

/* At what time the cache is shown a file of that content. */
static int64_t shown(struct ground *p, const char *content)
{
	struct timed_file f = { .path = "src/a", .own = 1000, .shown = INT64_MIN };
	struct run_record r;
	struct err e;

	digest_of(&f.identity, content, strlen(content));
	assert_int_equal(run_record_load(&r, &p->store, &p->cache, &e), 0);
	assert_int_equal(run_record_update(&r, &f, 1, &e), 0);
	run_record_fini(&r);
	return f.shown;
}

/* That machine's clock is an hour ahead: so are its objects' times. */
static void what_changed_is_newer_than_all_that_came(void **state)
{
	struct ground *p = *state;
	int64_t then = ((int64_t)time(NULL) + 3600) * 1000000000 + 5, at;
	AUTO_BUF text = BUF_INIT;
	struct err e;

	assert_true(shown(p, "one") < then);
	assert_int_equal(run_record_export(&p->store, "c", then, &text, &e), 0);
	assert_int_equal(unlinkat(p->store.dir, "c.times", 0), 0);
	assert_int_equal(run_record_import(&p->store, "c", &text, &e), 0);
	at = shown(p, "one");
	assert_true(at < then);
	/* Looked at without a change, it is remembered still. */
	assert_int_equal(shown(p, "one"), at);
	assert_true(shown(p, "two") > then);
}

static void it_goes_on_to_further_machines(void **state)
{
	struct ground *p = *state;
	int64_t then = ((int64_t)time(NULL) + 3600) * 1000000000;
	AUTO_BUF first = BUF_INIT, second = BUF_INIT;
	struct err e;

	shown(p, "one");
	assert_int_equal(run_record_export(&p->store, "c", then, &first, &e), 0);
	assert_int_equal(run_record_import(&p->store, "c", &first, &e), 0);
	shown(p, "one");
	assert_int_equal(run_record_export(&p->store, "c", 1, &second, &e), 0);
	assert_int_equal(second.len, first.len);
	assert_memory_equal(second.s, first.s, first.len);
	assert_int_equal(run_record_import(&p->store, "c", &second, &e), 0);
	assert_true(shown(p, "two") > then);
}

static void a_damaged_record_is_refused(void **state)
{
	struct ground *p = *state;
	AUTO_BUF text = BUF_INIT;
	struct err e;

	shown(p, "one");
	assert_int_equal(run_record_export(&p->store, "c", 1, &text, &e), 0);
	text.s[text.len / 2] ^= 1;
	assert_int_equal(run_record_import(&p->store, "c", &text, &e), -1);
	assert_int_equal(e.code, ERR_CORRUPT);
	buf_reset(&text);
	assert_int_equal(run_record_import(&p->store, "c", &text, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_changed_is_newer_than_all_that_came,
		                                set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_goes_on_to_further_machines, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(a_damaged_record_is_refused, set_up,
		                                tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "os/stamp.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/fd.h"

static const struct stamp then = { 1, 2, 3, 1000, 2000 };

static void stamp_sees_each_field(void **state)
{
	struct stamp s[5] = { then, then, then, then, then };

	s[0].dev++;
	s[1].ino++;
	s[2].size++;
	s[3].mtime--; /* an older file put back: not newer, but other */
	s[4].ctime--;
	assert_true(stamp_same(&then, &then));
	for (int i = 0; i < 5; i++)
		assert_false(stamp_same(&then, &s[i]));
}

static void stamp_settles_when_both_times_have_passed(void **state)
{
	assert_false(stamp_settled(&then, 2000, 10));
	assert_false(stamp_settled(&then, 2010, 10)); /* the same tick, at the worst */
	assert_true(stamp_settled(&then, 2011, 10));
	assert_false(stamp_settled(&(struct stamp){ 1, 2, 3, 9000, 2000 }, 5000, 10));
	assert_false(stamp_settled(&(struct stamp){ 1, 2, 3, 2000, 9000 }, 5000, 10));
}

static void stamp_of_the_year_2600_never_settles(void **state)
{
	struct stat st = { .st_mtim = { 20000000000, 5 }, .st_ctim = { 1, 5 } };
	struct stamp s;

	stamp_of(&s, &st);
	assert_true(s.mtime == INT64_MAX && s.ctime == 1000000005);
	assert_false(stamp_settled(&s, stamp_now(), STAMP_GRAIN));
}

static int new_file(char *path)
{
	int fd;

	strcpy(path, "/tmp/stamp_test.XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	assert_true(fd >= 0 && write(fd, "1234", 4) == 4);
	return fd;
}

static void stamp_knows_who_could_write_without_stamping(void **state)
{
	char path[64];
	AUTO_CLOSE int writer = new_file(path);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *m = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, writer, 0);

	unlink(path);
	assert_true(m != MAP_FAILED);
	assert_false(stamp_unwritten(fd));
	fd_close(&writer);
	assert_false(stamp_unwritten(fd)); /* the mapping is left */
	munmap(m, 4);
	assert_true(stamp_unwritten(fd));
	assert_true(stamp_unwritten(fd)); /* no lease stays */
}

static void stamps_of_proc_are_not_trusted(void **state)
{
	AUTO_CLOSE int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_false(stamp_trusted(fd));
	assert_false(stamp_trusted(-1));
}

/* What a file is stamped with is not before what was asked a moment earlier. */
static void stamp_now_is_the_file_systems_clock(void **state)
{
	char path[64];

	for (int i = 0; i < 200; i++) {
		int64_t before = stamp_now();
		AUTO_CLOSE int fd = new_file(path);
		struct stamp s;
		struct stat st;

		unlink(path);
		assert_int_equal(fstat(fd, &st), 0);
		stamp_of(&s, &st);
		/* Truncated to a second where a file system knows no less. */
		assert_true(s.ctime >= before - before % 1000000000);
		assert_true(!stamp_trusted(fd) || st.st_ctim.tv_nsec == 0 ||
		            s.ctime >= before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stamp_sees_each_field),
		cmocka_unit_test(stamp_settles_when_both_times_have_passed),
		cmocka_unit_test(stamp_of_the_year_2600_never_settles),
		cmocka_unit_test(stamp_knows_who_could_write_without_stamping),
		cmocka_unit_test(stamps_of_proc_are_not_trusted),
		cmocka_unit_test(stamp_now_is_the_file_systems_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

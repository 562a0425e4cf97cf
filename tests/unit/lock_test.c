#include "os/lock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/fd.h"

struct place {
	char path[32];
	int dir;
};

static int setup(void **state)
{
	struct place *p = mem_alloc(sizeof(*p));

	strcpy(p->path, "/tmp/lock_test.XXXXXX");
	if (!mkdtemp(p->path))
		return -1;
	p->dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = p;
	return p->dir < 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	int rc = 0;

	unlinkat(p->dir, "l", 0);
	unlinkat(p->dir, "target", 0);
	rc = rmdir(p->path);
	fd_close(&p->dir);
	free(p);
	return rc;
}

static bool is_free(struct place *p, bool exclusive)
{
	struct err e;
	AUTO_CLOSE int fd = lock_try(p->dir, "l", exclusive, &e);

	if (fd < 0)
		assert_int_equal(e.code, ERR_EXISTS);
	return fd >= 0;
}

static void an_exclusive_lock_keeps_all_out_until_closed(void **state)
{
	struct place *p = *state;
	struct err e;
	int fd = lock_take(p->dir, "l", true, &e);

	assert_true(fd >= 0);
	assert_false(is_free(p, true));
	assert_false(is_free(p, false));
	fd_close(&fd);
	assert_true(is_free(p, true));
}

static void shared_locks_share(void **state)
{
	struct place *p = *state;
	struct err e;
	AUTO_CLOSE int fd = lock_take(p->dir, "l", false, &e);

	assert_true(fd >= 0);
	assert_true(is_free(p, false));
	assert_false(is_free(p, true));
}

static void the_death_of_its_holder_releases_it(void **state)
{
	struct place *p = *state;
	struct err e;
	int ends[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (lock_take(p->dir, "l", true, &e) < 0 || write(ends[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ends[0], &c, 1), 1);
	assert_false(is_free(p, true));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(is_free(p, true));
	close(ends[0]);
	close(ends[1]);
}

static void a_symlink_in_its_place_is_not_followed(void **state)
{
	struct place *p = *state;
	struct err e;

	assert_int_equal(symlinkat("target", p->dir, "l"), 0);
	assert_int_equal(lock_take(p->dir, "l", true, &e), -1);
	assert_int_equal(e.code, ERR_SYS);
}

static void it_is_raised_only_where_nobody_else_has_it(void **state)
{
	struct place *p = *state;
	struct err e;
	AUTO_CLOSE int mine = lock_take(p->dir, "l", false, &e);
	int other = lock_take(p->dir, "l", false, &e);

	assert_int_equal(lock_raise(mine, &e), 0);
	assert_true(is_free(p, false)); /* shared as before */
	fd_close(&other);
	assert_int_equal(lock_raise(mine, &e), 1);
	assert_false(is_free(p, false));
}

static void one_that_exists_is_shared_and_none_is_made(void **state)
{
	struct place *p = *state;
	AUTO_CLOSE int none = lock_existing(p->dir, "l");
	struct err e;
	int made = lock_take(p->dir, "l", false, &e);
	AUTO_CLOSE int fd = lock_existing(p->dir, "l");

	assert_int_equal(none, -1);
	assert_true(made >= 0 && fd >= 0);
	fd_close(&made);
	assert_false(is_free(p, true));
}

static void others_see_the_lowest_number_that_is_shown(void **state)
{
	static const int64_t numbers[] = { 1800000000, 1700000000, 1900000000 };
	struct place *p = *state;
	AUTO_CLOSE int me = -1;
	struct err e;
	int fds[3];

	me = lock_take(p->dir, "l", false, &e);
	assert_int_equal(lock_show(me, 5, &e), 0);
	assert_int_equal(lock_lowest_shown(me), -1);
	for (size_t i = 0; i < 3; i++) {
		fds[i] = lock_take(p->dir, "l", false, &e);
		assert_int_equal(lock_show(fds[i], numbers[i], &e), 0);
	}
	assert_int_equal(lock_lowest_shown(me), 1700000000);
	fd_close(&fds[1]);
	assert_int_equal(lock_lowest_shown(me), 1800000000);
	assert_int_equal(lock_lowest_shown(fds[0]), 5);
	fd_close(&fds[0]);
	fd_close(&fds[2]);
	assert_int_equal(lock_lowest_shown(me), -1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_exclusive_lock_keeps_all_out_until_closed),
		TEST(shared_locks_share),
		TEST(the_death_of_its_holder_releases_it),
		TEST(a_symlink_in_its_place_is_not_followed),
		TEST(it_is_raised_only_where_nobody_else_has_it),
		TEST(one_that_exists_is_shared_and_none_is_made),
		TEST(others_see_the_lowest_number_that_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

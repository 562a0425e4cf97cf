#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
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

	strcpy(p->path, "/tmp/file_test.XXXXXX");
	if (!mkdtemp(p->path))
		return -1;
	p->dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = p;
	return p->dir < 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	struct err e;
	int rc = file_remove_tree(AT_FDCWD, p->path, &e);

	fd_close(&p->dir);
	free(p);
	return rc;
}

static void put(int dir, const char *path, const char *text)
{
	struct err e;

	if (file_replace(dir, path, text, strlen(text), 0644, &e) < 0)
		fail_msg("%s", e.msg);
}

static void expect(int dir, const char *path, const char *text)
{
	AUTO_BUF b = BUF_INIT;
	struct err e;

	if (file_read(dir, path, &b, 1000, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(b.s, text);
}

static void replacing_is_whole_and_leaves_nothing_behind(void **state)
{
	struct place *p = *state;
	AUTO_CLOSE int old = -1;
	char c[4];
	struct err e;

	put(p->dir, "f", "old");
	old = openat(p->dir, "f", O_RDONLY | O_CLOEXEC);
	put(p->dir, "f", "a new one");
	expect(p->dir, "f", "a new one");
	assert_int_equal(fd_read(old, c, 4, "f", &e), 3); /* a reader keeps what it opened
	                                                   */
	assert_int_equal(unlinkat(p->dir, "f", 0), 0);
	assert_int_equal(unlinkat(AT_FDCWD, p->path, AT_REMOVEDIR), 0); /* it is empty */
	assert_int_equal(mkdirat(AT_FDCWD, p->path, 0755), 0);
}

static void a_replacement_that_fails_keeps_the_old(void **state)
{
	struct place *p = *state;
	struct err e;

	put(p->dir, "f", "old");
	assert_int_equal(file_replace(p->dir, "absent/f", "x", 1, 0644, &e), -1);
	assert_int_equal(e.sys, ENOENT);
	assert_int_equal(mkdirat(p->dir, "d", 0755), 0);
	assert_int_equal(file_replace(p->dir, "d", "x", 1, 0644, &e), -1);
	expect(p->dir, "f", "old");
}

static void absent_and_oversized_are_told_apart(void **state)
{
	struct place *p = *state;
	AUTO_BUF b = BUF_INIT;
	struct err e;

	assert_int_equal(file_read(p->dir, "absent", &b, 10, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	put(p->dir, "f", "0123456789x");
	assert_int_equal(file_read(p->dir, "f", &b, 10, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	buf_reset(&b);
	assert_int_equal(file_read(p->dir, "f", &b, 11, &e), 0);
}

static void what_is_no_regular_file_is_refused_unread(void **state)
{
	struct place *p = *state;
	struct err e;

	assert_int_equal(mkfifoat(p->dir, "pipe", 0600), 0);
	assert_int_equal(file_open_regular(p->dir, "pipe", NULL, &e), -1); /* and no
	                                                                      waiting */
	assert_int_equal(e.code, ERR_INVALID);
	assert_int_equal(mkdirat(p->dir, "d", 0755), 0);
	assert_int_equal(file_open_regular(p->dir, "d", NULL, &e), -1);
	assert_int_equal(file_open_regular(AT_FDCWD, "/dev/null", NULL, &e), -1);
}

static int beneath(struct place *p, const char *path)
{
	AUTO_CLOSE int fd = file_open_beneath(p->dir, path, O_RDONLY, 0);

	return fd < 0 ? errno : 0;
}

static void nothing_leads_out_of_the_directory(void **state)
{
	struct place *p = *state;

	put(p->dir, "f", "");
	assert_int_equal(mkdirat(p->dir, "d", 0755), 0);
	assert_int_equal(symlinkat("../f", p->dir, "d/in"), 0);
	assert_int_equal(symlinkat("../../etc/passwd", p->dir, "d/out"), 0);
	assert_int_equal(symlinkat("/etc", p->dir, "abs"), 0);
	assert_int_equal(beneath(p, "f"), 0);
	assert_int_equal(beneath(p, ""), 0);
	assert_int_equal(beneath(p, "d/in"), 0);
	assert_int_equal(beneath(p, "d/../f"), 0);
	assert_int_equal(beneath(p, "d/out"), EXDEV);
	assert_int_equal(beneath(p, "abs/passwd"), EXDEV);
	assert_int_equal(beneath(p, "../x"), EXDEV);
	assert_int_equal(beneath(p, "/etc/passwd"), EXDEV);
}

static void directories_are_made_on_the_way(void **state)
{
	struct place *p = *state;
	struct err e;

	assert_int_equal(file_mkdirs(p->dir, "a/b/c", 0755, &e), 0);
	assert_int_equal(file_mkdirs(p->dir, "a/b/c/", 0755, &e), 0);
	assert_true(file_exists(p->dir, "a/b/c"));
	put(p->dir, "f", "");
	assert_int_equal(file_mkdirs(p->dir, "f/x", 0755, &e), -1);
	assert_non_null(strstr(e.msg, "f/x"));
}

static void removing_follows_no_symlink_and_minds_no_modes(void **state)
{
	struct place *p = *state;
	struct err e;

	assert_int_equal(file_mkdirs(p->dir, "kept", 0755, &e), 0);
	put(p->dir, "kept/f", "");
	assert_int_equal(file_mkdirs(p->dir, "t/a/b", 0755, &e), 0);
	put(p->dir, "t/a/f", "");
	assert_int_equal(symlinkat("../../kept", p->dir, "t/a/link"), 0);
	assert_int_equal(fchmodat(p->dir, "t/a/b", 0, 0), 0);
	assert_int_equal(file_remove_tree(p->dir, "t", &e), 0);
	assert_false(file_exists(p->dir, "t"));
	assert_true(file_exists(p->dir, "kept/f"));
	assert_int_equal(file_remove_tree(p->dir, "t", &e), 0); /* gone already */
}

static void a_dangling_symlink_exists(void **state)
{
	struct place *p = *state;

	assert_int_equal(symlinkat("nowhere", p->dir, "l"), 0);
	assert_true(file_exists(p->dir, "l"));
	assert_false(file_exists(p->dir, "m"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(replacing_is_whole_and_leaves_nothing_behind),
		TEST(a_replacement_that_fails_keeps_the_old),
		TEST(absent_and_oversized_are_told_apart),
		TEST(what_is_no_regular_file_is_refused_unread),
		TEST(nothing_leads_out_of_the_directory),
		TEST(directories_are_made_on_the_way),
		TEST(removing_follows_no_symlink_and_minds_no_modes),
		TEST(a_dangling_symlink_exists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

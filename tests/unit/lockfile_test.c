#include "recipe/lockfile.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/fd.h"
#include "os/file.h"

static char dir[64];
static int dir_fd = -1;

static int make_directory(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/imgmake-lock.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd < 0;
}

static int remove_directory(void **state)
{
	struct err e;

	(void)state;
	close(dir_fd);
	return file_remove_tree(AT_FDCWD, dir, &e);
}

static struct lockfile load(void)
{
	struct lockfile l;
	struct err e;

	if (lockfile_load(&l, dir_fd, &e) < 0)
		fail_msg("%s", e.msg);
	return l;
}

static void put(const char *text)
{
	struct err e;

	assert_int_equal(
		file_replace(dir_fd, "Imagefile.lock", text, strlen(text), 0644, &e), 0);
}

static void refused(const char *text, const char *expected)
{
	struct lockfile l;
	struct err e;

	put(text);
	assert_int_equal(lockfile_load(&l, dir_fd, &e), -1);
	assert_string_equal(e.msg, expected);
}

static void a_missing_lock_is_empty_and_saving_it_unchanged_writes_nothing(void **state)
{
	struct lockfile l = load();
	struct digest d;
	struct err e;

	(void)state;
	assert_false(l.exists);
	assert_int_equal(lockfile_get(&l, LOCK_BASES, "debian:12", &d, &e), 0);
	assert_int_equal(lockfile_save(&l, &e), 0);
	assert_false(file_exists(dir_fd, "Imagefile.lock"));
	lockfile_fini(&l);
}

static void what_is_set_is_found_again_and_written_sorted(void **state)
{
	struct lockfile l = load();
	struct digest one, two, got;
	AUTO_BUF text = BUF_INIT;
	struct err e;

	(void)state;
	digest_of(&one, "1", 1);
	digest_of(&two, "2", 1);
	lockfile_set(&l, LOCK_DOWNLOADS, "https://x.example/f", &two);
	lockfile_set(&l, LOCK_BASES, "ubuntu", &two);
	lockfile_set(&l, LOCK_BASES, "debian:12", &one);
	assert_int_equal(lockfile_save(&l, &e), 0);
	lockfile_fini(&l);
	assert_int_equal(file_read(dir_fd, "Imagefile.lock", &text, 1 << 20, &e), 0);
	assert_true(strstr(text.s, "debian:12") < strstr(text.s, "ubuntu"));
	assert_int_equal(text.s[text.len - 1], '\n');

	l = load();
	assert_true(l.exists);
	assert_int_equal(lockfile_get(&l, LOCK_BASES, "debian:12", &got, &e), 1);
	assert_true(digest_equal(&got, &one));
	assert_int_equal(
		lockfile_get(&l, LOCK_DOWNLOADS, "https://x.example/f", &got, &e), 1);
	assert_true(digest_equal(&got, &two));
	lockfile_set(&l, LOCK_BASES, "debian:12", &one);
	assert_false(l.changed);
	lockfile_fini(&l);
}

static void members_of_others_survive(void **state)
{
	struct lockfile l;
	struct digest d;
	AUTO_BUF text = BUF_INIT;
	struct err e;

	(void)state;
	put("{\"imgmake\":1,\"future\":[1],\"bases\":{\"a\":{\"digest\":\"x\",\"note\":\"keep\"}}}");
	l = load();
	digest_of(&d, "1", 1);
	lockfile_set(&l, LOCK_BASES, "a", &d);
	assert_int_equal(lockfile_save(&l, &e), 0);
	lockfile_fini(&l);
	assert_int_equal(file_read(dir_fd, "Imagefile.lock", &text, 1 << 20, &e), 0);
	assert_non_null(strstr(text.s, "\"future\""));
	assert_non_null(strstr(text.s, "\"keep\""));
}

static void entries_of_text_have_members_that_come_and_go(void **state)
{
	const char *commit = "", *tag = "none";
	struct lockfile l = load();
	struct err e;

	(void)state;
	assert_int_equal(lockfile_get_text(&l, LOCK_GIT, "r#v1", "commit", &commit, &e),
	                 0);
	lockfile_set_text(&l, LOCK_GIT, "r#v1", "tag", NULL);
	assert_false(l.changed);
	lockfile_set_text(&l, LOCK_GIT, "r#v1", "commit", "abc");
	lockfile_set_text(&l, LOCK_GIT, "r#v1", "tag", "def");
	assert_true(l.changed);
	assert_int_equal(lockfile_save(&l, &e), 0);
	lockfile_set_text(&l, LOCK_GIT, "r#v1", "commit", "abc");
	assert_false(l.changed);
	assert_int_equal(lockfile_get_text(&l, LOCK_GIT, "r#v1", "commit", &commit, &e),
	                 1);
	assert_string_equal(commit, "abc");
	lockfile_set_text(&l, LOCK_GIT, "r#v1", "tag", NULL);
	assert_true(l.changed);
	assert_int_equal(lockfile_get_text(&l, LOCK_GIT, "r#v1", "tag", &tag, &e), 1);
	assert_string_equal(tag, "none");
	lockfile_fini(&l);
}

static void damage_is_said_with_the_name_of_the_file(void **state)
{
	struct lockfile l;
	struct digest d;
	struct err e;

	(void)state;
	refused("[]", "Imagefile.lock: not an object");
	refused("{\"imgmake\":2}",
	        "Imagefile.lock: written by a newer imgmake (format 2)");
	put("<<<<<<< HEAD");
	assert_int_equal(lockfile_load(&l, dir_fd, &e), -1);
	assert_non_null(strstr(e.msg, "Imagefile.lock: not valid JSON: line 1"));
	put("{\"imgmake\":1,\"bases\":{\"a\":{\"digest\":\"sha256:12\"},\"b\":1}}");
	l = load();
	assert_int_equal(lockfile_get(&l, LOCK_BASES, "a", &d, &e), -1);
	assert_int_equal(strncmp(e.msg, "Imagefile.lock: 'a': ", 21), 0);
	assert_int_equal(lockfile_get(&l, LOCK_BASES, "b", &d, &e), -1);
	lockfile_fini(&l);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(a_missing_lock_is_empty_and_saving_it_unchanged_writes_nothing),
		EACH(what_is_set_is_found_again_and_written_sorted),
		EACH(members_of_others_survive),
		EACH(entries_of_text_have_members_that_come_and_go),
		EACH(damage_is_said_with_the_name_of_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "os/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "os/fd.h"
#include "os/file.h"

struct tree {
	char path[32];
	int fd;
};

static int setup(void **state)
{
	struct tree *t = mem_alloc(sizeof(*t));

	strcpy(t->path, "/tmp/walk_test.XXXXXX");
	if (!mkdtemp(t->path))
		return -1;
	t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = t;
	return t->fd < 0;
}

static int teardown(void **state)
{
	struct tree *t = *state;
	struct err e;
	int rc = file_remove_tree(AT_FDCWD, t->path, &e);

	fd_close(&t->fd);
	free(t);
	return rc;
}

static void put(struct tree *t, const char *path, const char *text)
{
	AUTO_CLOSE int fd = openat(t->fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	struct err e;

	assert_true(fd >= 0);
	assert_int_equal(fd_write(fd, text, strlen(text), path, &e), 0);
}

struct seen {
	struct buf paths;
	const char *skip, *stop, *unlink;
	size_t count, longest;
	int open_most;
};

static int open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static enum walk_next note(void *self, const struct walk_entry *entry, struct err *e)
{
	struct seen *s = self;
	struct stat st;
	int n;

	assert_int_equal(fstatat(entry->dir, entry->name, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_ino, entry->st.st_ino);
	s->count++;
	if (strlen(entry->path) > s->longest)
		s->longest = strlen(entry->path);
	if (s->count % 64 == 0 && (n = open_descriptors()) > s->open_most)
		s->open_most = n;
	if (s->paths.len < 4096)
		buf_addf(&s->paths, "%s%s ", entry->path,
		         S_ISDIR(entry->st.st_mode) ? "/" : "");
	if (s->unlink)
		unlinkat(entry->dir, s->unlink, 0);
	if (s->stop && !strcmp(entry->path, s->stop))
		return err_set(e, ERR_FAILED, "enough");
	return s->skip && !strcmp(entry->path, s->skip) ? WALK_SKIP : WALK_ON;
}

static void expect(struct tree *t, struct seen *s, const char *paths)
{
	struct walk_options o = { .visit = note, .self = s };
	struct err e;

	if (walk(t->fd, ".", &o, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(s->paths.s, paths);
	buf_fini(&s->paths);
}

static void entries_come_sorted_as_bytes(void **state)
{
	struct tree *t = *state;
	struct seen s = { .paths = BUF_INIT };

	mkdirat(t->fd, "b", 0755);
	mkdirat(t->fd, "b/inner", 0755);
	put(t, "b/z", "");
	put(t, "b.txt", "");
	put(t, "B", "");
	put(t, "\xc3\xa4", "");
	put(t, ".hidden", "");
	expect(t, &s, ".hidden B b/ b/inner/ b/z b.txt \xc3\xa4 ");
}

static void symlinks_are_reported_and_not_followed(void **state)
{
	struct tree *t = *state;
	struct seen s = { .paths = BUF_INIT };

	mkdirat(t->fd, "d", 0755);
	put(t, "d/file", "");
	assert_int_equal(symlinkat("d", t->fd, "link"), 0);
	assert_int_equal(symlinkat(".", t->fd, "loop"), 0);
	expect(t, &s, "d/ d/file link loop ");
}

static void a_skipped_directory_is_not_entered(void **state)
{
	struct tree *t = *state;
	struct seen s = { .paths = BUF_INIT, .skip = "a" };

	mkdirat(t->fd, "a", 0755);
	put(t, "a/x", "");
	put(t, "c", "");
	expect(t, &s, "a/ c ");
}

static void what_vanishes_meanwhile_is_left_out(void **state)
{
	struct tree *t = *state;
	struct seen s = { .paths = BUF_INIT, .unlink = "gone" };

	put(t, "first", "");
	put(t, "gone", "");
	put(t, "last", "");
	expect(t, &s, "first last ");
}

static bool not_b(void *self, const char *path, bool is_dir)
{
	(void)self;
	return path[0] != 'b' || !is_dir;
}

static void unwanted_entries_are_not_looked_at(void **state)
{
	struct tree *t = *state;
	struct seen s = { .paths = BUF_INIT };
	struct walk_options o = { .visit = note, .want = not_b, .self = &s };
	struct err e;

	mkdirat(t->fd, "b", 0);
	put(t, "bb", "");
	put(t, "c", "");
	assert_int_equal(walk(t->fd, ".", &o, &e), 0);
	assert_string_equal(s.paths.s, "bb c ");
	buf_fini(&s.paths);
}

static void errors_name_the_place(void **state)
{
	struct tree *t = *state;
	struct seen s = { .paths = BUF_INIT, .stop = "d/x" };
	struct walk_options o = { .visit = note, .self = &s };
	struct err e;

	assert_int_equal(walk(t->fd, "absent", &o, &e), -1);
	assert_string_equal(e.msg, "open absent: No such file or directory");
	put(t, "file", "");
	assert_int_equal(walk(t->fd, "file", &o, &e), -1);
	assert_int_equal(e.sys, ENOTDIR);
	mkdirat(t->fd, "d", 0755);
	put(t, "d/x", "");
	assert_int_equal(walk(t->fd, ".", &o, &e), -1);
	assert_string_equal(e.msg, "enough");
	buf_fini(&s.paths);
	if (geteuid() == 0)
		return; /* root may read anything */
	assert_int_equal(fchmodat(t->fd, "d", 0, 0), 0);
	assert_int_equal(walk(t->fd, ".", &o, &e), -1);
	assert_string_equal(e.msg, "open ./d: Permission denied");
	buf_fini(&s.paths);
}

static void deep_trees_need_few_descriptors(void **state)
{
	struct tree *t = *state;
	struct seen s = { .paths = BUF_INIT };
	struct walk_options o = { .visit = note, .self = &s };
	AUTO_CLOSE int fd = dup(t->fd);
	int before = open_descriptors();
	struct err e;

	for (int i = 0; i < 1990; i++) { /* "d/d/d…" of nearly 4,000 bytes */
		int next;

		assert_int_equal(mkdirat(fd, "d", 0755), 0);
		assert_int_equal(mkdirat(fd, "e", 0755), 0);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	assert_int_equal(walk(t->fd, ".", &o, &e), 0);
	assert_int_equal(s.count, 2 * 1990);
	assert_int_equal(s.longest, 2 * 1990 - 1);
	assert_true(s.open_most - before < 40);
	assert_int_equal(open_descriptors(), before);
	buf_fini(&s.paths);
	for (int i = 0; i < 1990; i++) {
		int up = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		assert_true(up >= 0);
		close(fd);
		fd = up;
		assert_int_equal(unlinkat(fd, "d", AT_REMOVEDIR), 0);
		assert_int_equal(unlinkat(fd, "e", AT_REMOVEDIR), 0);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(entries_come_sorted_as_bytes),
		TEST(symlinks_are_reported_and_not_followed),
		TEST(a_skipped_directory_is_not_entered),
		TEST(what_vanishes_meanwhile_is_left_out),
		TEST(unwanted_entries_are_not_looked_at),
		TEST(errors_name_the_place),
		TEST(deep_trees_need_few_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

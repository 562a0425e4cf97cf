#include "os/scan.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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

	strcpy(t->path, "/tmp/scan_test.XXXXXX");
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

static void put(struct tree *t, const char *path)
{
	AUTO_CLOSE int fd = openat(t->fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0 && write(fd, path, strlen(path)) > 0);
}

static void make_dir(struct tree *t, const char *path)
{
	struct err e;

	assert_int_equal(file_mkdirs(t->fd, path, 0755, &e), 0);
}

static void told(const struct scan_dir *d, struct buf *out)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct scan_entry *x = &d->at[i];

		assert_string_equal(x->path + strlen(x->path) - strlen(x->name), x->name);
		buf_addf(out, "%s%s ", x->path, x->taken ? "" : "?");
		if (x->below)
			told(x->below, out);
	}
}

static unsigned take_everything(const void *self, const char *path, bool is_dir)
{
	return SCAN_TAKE | SCAN_ENTER;
}

static void expect(struct tree *t, const char *path, const struct scan_options *o,
                   const char *want)
{
	AUTO_BUF out = BUF_INIT;
	struct scan_dir *d;
	struct err e;

	assert_int_equal(scan(&d, t->fd, path, o, &e), 0);
	told(d, &out);
	scan_free(d);
	assert_string_equal(out.s, want);
}

static void scan_sorts_and_names_from_the_given_directory(void **state)
{
	struct tree *t = *state;
	struct scan_options o = { .choose = take_everything };

	make_dir(t, "top/b/c");
	put(t, "top/b/c/z");
	put(t, "top/b.x");
	put(t, "top/a");
	assert_int_equal(symlinkat("/", t->fd, "top/link"), 0);
	expect(t, ".", &o, "top top/a top/b top/b/c top/b/c/z top/b.x top/link ");
	expect(t, "top/b", &o, "top/b/c top/b/c/z ");
}

static unsigned leave_some(const void *self, const char *path, bool is_dir)
{
	if (!strcmp(path, "out"))
		return 0;
	if (!strcmp(path, "through"))
		return SCAN_ENTER;
	return SCAN_TAKE | (strcmp(path, "shut") ? SCAN_ENTER : 0);
}

static void scan_enters_only_what_was_chosen(void **state)
{
	struct tree *t = *state;
	struct scan_options o = { .choose = leave_some };

	make_dir(t, "out");
	make_dir(t, "through");
	make_dir(t, "shut");
	put(t, "out/1");
	put(t, "through/2");
	put(t, "shut/3");
	/* A directory that is not entered need not be readable. */
	assert_int_equal(fchmodat(t->fd, "shut", 0, 0), 0);
	assert_int_equal(fchmodat(t->fd, "out", 0, 0), 0);
	expect(t, ".", &o, "shut through? through/2 ");
}

static void scan_stays_beneath(void **state)
{
	struct tree *t = *state;
	struct scan_options o = { .choose = take_everything };
	struct scan_dir *d;
	struct err e;

	assert_int_equal(symlinkat("/usr", t->fd, "away"), 0);
	assert_int_equal(scan(&d, t->fd, "away", &o, &e), -1);
	assert_int_equal(scan(&d, t->fd, "..", &o, &e), -1);
}

static void note_open(void *self, int fd, struct scan_dir *dir)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_true(dir->dev == st.st_dev && dir->ino == st.st_ino);
	dir->note = dir->path;
}

static void note_entry(void *self, const struct scan_dir *dir, struct scan_entry *x)
{
	assert_true(dir->note == dir->path);
	x->note = dir->path;
}

/* Many threads give what one gives. */
static void scan_is_the_same_with_threads(void **state)
{
	struct tree *t = *state;
	struct pool *pool = pool_new(4);
	struct scan_options o = { .choose = take_everything,
		                  .open = note_open,
		                  .look = note_entry };
	AUTO_BUF one = BUF_INIT, many = BUF_INIT;
	struct scan_dir *d;
	struct err e;
	char path[64];

	for (int i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "d%d/e%d/f", i % 7, i);
		make_dir(t, path);
		for (int k = 0; k < 5; k++) {
			snprintf(path, sizeof(path), "d%d/e%d/f/%d", i % 7, i, k);
			put(t, path);
		}
	}
	assert_int_equal(scan(&d, t->fd, ".", &o, &e), 0);
	told(d, &one);
	scan_free(d);
	o.pool = pool;
	for (int i = 0; i < 50; i++) {
		buf_reset(&many);
		assert_int_equal(scan(&d, t->fd, ".", &o, &e), 0);
		told(d, &many);
		scan_free(d);
		assert_string_equal(many.s, one.s);
	}
	pool_free(pool);
}

static void scan_goes_deep(void **state)
{
	struct tree *t = *state;
	struct scan_options o = { .choose = take_everything };
	AUTO_BUF path = BUF_INIT;
	struct scan_dir *d;
	struct err e;
	int depth = 0;

	for (int i = 0; i < 1000; i++)
		buf_adds(&path, i ? "/d" : "d");
	make_dir(t, path.s);
	assert_int_equal(scan(&d, t->fd, ".", &o, &e), 0);
	for (const struct scan_dir *x = d; x->n; x = x->at[0].below)
		depth++;
	assert_int_equal(depth, 1000);
	scan_free(d);
}

#define IN_A_TREE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_TREE(scan_sorts_and_names_from_the_given_directory),
		IN_A_TREE(scan_enters_only_what_was_chosen),
		IN_A_TREE(scan_stays_beneath),
		IN_A_TREE(scan_is_the_same_with_threads),
		IN_A_TREE(scan_goes_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

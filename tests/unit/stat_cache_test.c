#include "store/stat_cache.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/fd.h"
#include "os/file.h"
#include "store/state.h"

/* A directory, which stands for a project, with a store beside it. */
struct place {
	char path[40];
	int fd; /* of the directory */
	int store;
	struct state *state;
	struct stat_place at;
};

static int open_place(struct place *p)
{
	struct stat st;
	struct err e;

	strcpy(p->path, "/tmp/stat_cache_test.XXXXXX");
	if (!mkdtemp(p->path) || file_mkdirs(AT_FDCWD, p->path, 0755, &e) < 0)
		return -1;
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file_mkdirs(p->fd, "store", 0700, &e) < 0)
		return -1;
	p->store = openat(p->fd, "store", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fstat(p->fd, &st) < 0 || state_open(&p->state, p->store, false, &e) < 0)
		return -1;
	p->at = (struct stat_place){ st.st_dev, st.st_ino, p->path };
	return 0;
}

static int setup(void **state)
{
	*state = mem_alloc(sizeof(struct place));
	return open_place(*state);
}

static int teardown(void **state)
{
	struct place *p = *state;
	struct err e;
	int rc;

	state_close(p->state);
	fd_close(&p->store);
	fd_close(&p->fd);
	rc = file_remove_tree(AT_FDCWD, p->path, &e);
	free(p);
	return rc;
}

static struct stat_news news(const struct place *p, const char *name, const char *content)
{
	struct stat_news n = { .name = name };
	AUTO_CLOSE int fd = openat(p->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	struct stat st;

	assert_true(fd >= 0 && write(fd, content, strlen(content)) >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	stamp_of(&n.stamp, &st);
	digest_of(&n.digest, content, strlen(content));
	return n;
}

static void learn(const struct place *p, const struct stat_news *n, size_t count)
{
	struct stat_cache *c = stat_cache_open(p->state);

	assert_null(stat_cache_dir(c, -1, &(struct stat_place){ 1, 1, "" }));
	(void)stat_cache_dir(c, p->fd, &p->at);
	for (size_t i = 0; i < count; i++)
		stat_cache_learn(c, &p->at, &n[i]);
	stat_cache_write(c);
	assert_false(stat_cache_has_news(c));
	stat_cache_close(c);
}

static bool knows(const struct place *p, const struct stat_news *n)
{
	struct stat_cache *c = stat_cache_open(p->state);
	const struct stat_dir *d = stat_cache_dir(c, p->fd, &p->at);
	const struct stat_file *f = stat_dir_find(d, n->name, &n->stamp);
	struct digest got = f ? stat_file_digest(f) : (struct digest){ { 0 } };
	bool known = f != NULL;

	if (known) {
		assert_true(digest_equal(&got, &n->digest));
		assert_true(!n->link == !stat_file_link(d, f));
		assert_true(!n->link || !strcmp(n->link, stat_file_link(d, f)));
	}
	stat_cache_close(c);
	return known;
}

#define NEEDS_STAMPS(p)                                                                  \
	do {                                                                             \
		if (!stamp_trusted((p)->fd))                                             \
			skip();                                                          \
	} while (0)

static void stat_cache_knows_what_it_learned(void **state)
{
	struct place *p = *state;
	struct stat_news n[3] = { news(p, "b", "1"), news(p, "a", "2"),
		                  news(p, "c", "") };

	NEEDS_STAMPS(p);
	n[2].link = "text";
	assert_false(knows(p, &n[0]));
	learn(p, n, 3);
	for (int i = 0; i < 3; i++)
		assert_true(knows(p, &n[i]));
}

static void stat_cache_asks_for_every_field_and_the_name(void **state)
{
	struct place *p = *state;
	struct stat_news n = news(p, "b", "1"), x;

	NEEDS_STAMPS(p);
	learn(p, &n, 1);
	assert_true(knows(p, &n));
	x = n, x.name = "a";
	assert_false(knows(p, &x));
	x = n, x.stamp.ino++;
	assert_false(knows(p, &x));
	x = n, x.stamp.dev++;
	assert_false(knows(p, &x));
	x = n, x.stamp.size++;
	assert_false(knows(p, &x));
	x = n, x.stamp.mtime--;
	assert_false(knows(p, &x));
	x = n, x.stamp.ctime--;
	assert_false(knows(p, &x));
}

static void stat_cache_keeps_what_others_learned_if_it_is_there(void **state)
{
	struct place *p = *state;
	struct stat_news n[4] = { news(p, "b", "1"), news(p, "a", "2"), news(p, "c", "3"),
		                  news(p, "d", "4") };

	NEEDS_STAMPS(p);
	learn(p, n, 3);
	assert_int_equal(unlinkat(p->fd, "a", 0), 0);
	learn(p, &n[3], 1);
	assert_true(knows(p, &n[0]) && knows(p, &n[2]) && knows(p, &n[3]));
	assert_false(knows(p, &n[1]));
}

static void stat_cache_wants_only_what_has_settled(void **state)
{
	struct place *p = *state;
	struct stat_cache *c = stat_cache_open(p->state);
	struct stamp s = news(p, "a", "1").stamp;

	assert_false(stat_cache_wants(c, &p->at, &s));
	s.mtime -= 10 * STAMP_GRAIN;
	assert_false(stat_cache_wants(c, &p->at, &s));
	s.ctime -= 10 * STAMP_GRAIN;
	assert_true(stat_cache_wants(c, &p->at, &s));
	s.dev++; /* a file mounted over it */
	assert_false(stat_cache_wants(c, &p->at, &s));
	stat_cache_close(c);
}

static void stat_cache_distrusts_when_told(void **state)
{
	struct place *p = *state;
	struct stat_news n = news(p, "b", "1");
	struct stat_cache *c;

	NEEDS_STAMPS(p);
	learn(p, &n, 1);
	c = stat_cache_open(p->state);
	assert_non_null(stat_cache_dir(c, p->fd, &p->at));
	stat_cache_distrust(c);
	assert_null(stat_cache_dir(c, p->fd, &p->at));
	stat_cache_close(c);
}

/* One place in the record of the directory is changed: `at`, by `by`. */
struct forgery {
	size_t at;
	int by;
	const struct place *p;
	struct buf record;
};

static int copy_record(void *self, const struct state_record *r)
{
	struct forgery *f = self;

	buf_add(&f->record, r->data, r->n);
	return 1;
}

static void forge(struct forgery *f)
{
	uint64_t key[2] = { f->p->at.dev, f->p->at.ino };
	struct err e;

	f->record = (struct buf)BUF_INIT;
	assert_int_equal(state_each(f->p->state, STATE_FILES, copy_record, f, &e), 1);
	f->record.s[f->at] = (char)(f->record.s[f->at] + f->by);
	assert_int_equal(state_put(f->p->state, STATE_FILES, key, sizeof(key),
	                           f->record.s, f->record.len, &e),
	                 0);
	buf_fini(&f->record);
}

/* Offsets of the record's head, see stat_cache.c. */
enum {
	AT_VERSION = 0,
	AT_COUNT = 7,
	AT_BOOT = 8,
	AT_INSTANCE = 16,
	AT_NOW = 40 + 6,
	AT_PATH = 51
};

static void stat_cache_ignores_records_that_cannot_count(void **state)
{
	static const size_t at[] = { AT_VERSION,  AT_COUNT, AT_BOOT,
		                     AT_INSTANCE, AT_NOW,   AT_PATH };
	struct place *p = *state;
	struct stat_news n = news(p, "b", "1");

	NEEDS_STAMPS(p);
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		struct forgery f = { at[i], 1, p, BUF_INIT };

		learn(p, &n, 1);
		assert_true(knows(p, &n));
		forge(&f); /* AT_NOW: the clock was set back since it was written */
		assert_false(knows(p, &n));
	}
}

static int count(void *self, const struct state_record *r)
{
	++*(int *)self;
	return 0;
}

static int records(const struct place *p)
{
	struct err e;
	int n = 0;

	assert_int_equal(state_each(p->state, STATE_FILES, count, &n, &e), 0);
	return n;
}

static void stat_cache_sweeps_what_is_gone(void **state)
{
	struct place *p = *state;
	struct stat_news n = news(p, "b", "1");
	struct forgery f = { AT_BOOT, 1, p, BUF_INIT };
	struct stat_place at = p->at;
	struct err e;

	NEEDS_STAMPS(p);
	learn(p, &n, 1);
	assert_int_equal(stat_cache_sweep(p->state, &e), 0);
	assert_int_equal(records(p), 1);
	assert_true(knows(p, &n));
	forge(&f);
	assert_int_equal(stat_cache_sweep(p->state, &e), 0);
	assert_int_equal(records(p), 0);
	learn(p, &n, 1);
	p->at.path = "/nowhere";
	learn(p, &n, 1);
	p->at = at;
	assert_int_equal(records(p), 1);
	assert_int_equal(stat_cache_sweep(p->state, &e), 0);
	assert_int_equal(records(p), 0);
}

#define IN_A_PLACE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_PLACE(stat_cache_knows_what_it_learned),
		IN_A_PLACE(stat_cache_asks_for_every_field_and_the_name),
		IN_A_PLACE(stat_cache_keeps_what_others_learned_if_it_is_there),
		IN_A_PLACE(stat_cache_wants_only_what_has_settled),
		IN_A_PLACE(stat_cache_distrusts_when_told),
		IN_A_PLACE(stat_cache_ignores_records_that_cannot_count),
		IN_A_PLACE(stat_cache_sweeps_what_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

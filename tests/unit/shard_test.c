#include "build/shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A project as a copy sees it: files that an edit may write, add, remove or rename, and
 * directories that are there for themselves. */
struct file {
	char path[64];
	int64_t size;
	unsigned content; /* number of a content */
	unsigned inode;   /* files with the same one, but 0, are names of one file */
};

struct project {
	struct file at[512];
	size_t n;
	char dirs[64][32];
	size_t n_dirs;
	unsigned seed, contents;
	struct shard_rule rule;
};

/* The same numbers everywhere. */
static unsigned draw(struct project *p, unsigned below)
{
	p->seed = p->seed * 1664525 + 1013904223;
	return (p->seed >> 8) % below;
}

static void put(struct tree *t, struct toc_entry *x, const void *inode)
{
	struct err e;

	if (tree_put(t, x, NULL, 0755, &e) < 0)
		fail_msg("%s", e.msg);
	tree_own(t, x->path)->inode = inode;
}

static void fill(struct tree *t, const struct project *p)
{
	for (size_t i = 0; i < p->n_dirs; i++) {
		struct toc_entry x = { .path = p->dirs[i],
			               .type = TOC_DIR,
			               .mode = 0755 };

		put(t, &x, NULL);
	}
	for (size_t i = 0; i < p->n; i++) {
		const struct file *f = &p->at[i];
		struct toc_entry x = {
			.path = f->path, .type = TOC_FILE, .mode = 0644, .size = f->size
		};

		digest_of(&x.digest, &f->content, sizeof(f->content));
		put(t, &x, f->inode ? (const char *)p + f->inode : NULL);
	}
}

struct layers {
	struct digest keys[SHARDS_MAX];
	size_t n;
};

/* Every file in one shard, with all directories above it; names of one file together. */
static void check_shards(const struct tree *t, const struct shards *s)
{
	size_t files = 0, expected = 0;

	for (size_t i = 0; i < s->n; i++) {
		uint64_t bit = (uint64_t)1 << s->at[i].number;

		assert_true(s->at[i].n > 0);
		for (size_t k = 0; k < s->at[i].n; k++) {
			const struct tree_entry *x = s->at[i].at[k];
			const char *slash = strrchr(x->toc.path, '/');
			AUTO_FREE char *above = NULL;

			files += x->toc.type != TOC_DIR;
			if (k)
				assert_true(strcmp(s->at[i].at[k - 1]->toc.path,
				                   x->toc.path) < 0);
			if (x->toc.type == TOC_HARDLINK)
				assert_true(tree_own(t, x->toc.link)->shards == bit);
			if (!slash)
				continue;
			above = mem_strndup(x->toc.path, (size_t)(slash - x->toc.path));
			assert_true(tree_own(t, above)->shards & bit);
		}
	}
	for (size_t i = 0; i < t->by_path.len; i++) {
		const struct tree_entry *x = t->by_path.at[i].value;

		expected += x->toc.type != TOC_DIR;
		assert_true(x->shards != 0);
	}
	assert_int_equal(files, expected);
}

static void layers_of(const struct project *p, struct layers *out)
{
	struct arena arena = ARENA_INIT;
	struct shards s;
	struct tree t;

	tree_init(&t, &arena, NULL, 0, 5);
	fill(&t, p);
	tree_cut(&t, &p->rule, &s);
	check_shards(&t, &s);
	out->n = s.n;
	for (size_t i = 0; i < s.n; i++)
		shard_key(&s.at[i], CODEC_GZIP, &out->keys[i]);
	shards_fini(&s);
	tree_fini(&t);
	arena_fini(&arena);
}

static size_t count_new(const struct layers *before, const struct layers *after)
{
	size_t n = 0;

	for (size_t i = 0; i < after->n; i++) {
		bool old = false;

		for (size_t k = 0; k < before->n && !old; k++)
			old = digest_equal(&before->keys[k], &after->keys[i]);
		n += !old;
	}
	return n;
}

static bool has_path(const struct project *p, const char *path)
{
	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->at[i].path, path))
			return true;
	return false;
}

/* Few names in few directories, so that directories come and go. */
static void draw_path(struct project *p, char out[64])
{
	char path[64];

	do
		snprintf(path, sizeof(path), "app/d%u/e%u/f%u", draw(p, 40), draw(p, 4),
		         draw(p, 30));
	while (has_path(p, path));
	strcpy(out, path);
}

static int64_t draw_size(struct project *p)
{
	if (draw(p, 40) == 0)
		return SHARD_LARGE - 500 + draw(p, 1000); /* about the border */
	return draw(p, 300000);
}

static void add(struct project *p)
{
	struct file *f = &p->at[p->n];

	draw_path(p, f->path);
	f->size = draw_size(p);
	f->content = ++p->contents;
	f->inode = 0;
	p->n++;
}

static void take_out(struct project *p, size_t i)
{
	p->at[i] = p->at[--p->n];
}

/* All names of a file show what is written into one. */
static void write_to(struct project *p, size_t i)
{
	unsigned inode = p->at[i].inode;
	int64_t size = draw(p, 2) ? p->at[i].size : draw_size(p);

	p->contents++;
	for (size_t k = 0; k < p->n; k++) {
		if (k != i && (!inode || p->at[k].inode != inode))
			continue;
		p->at[k].content = p->contents;
		p->at[k].size = size;
	}
}

static void add_name(struct project *p, size_t i)
{
	if (!p->at[i].inode)
		p->at[i].inode = ++p->contents;
	p->at[p->n] = p->at[i];
	draw_path(p, p->at[p->n].path);
	p->n++;
}

static void edit(struct project *p)
{
	size_t i = draw(p, (unsigned)p->n);

	switch (draw(p, 5)) {
	case 0: write_to(p, i); break;
	case 1:
		if (p->n < 400)
			add(p);
		break;
	case 2:
		if (p->n > 250)
			take_out(p, i);
		break;
	case 3:
		if (p->n < 400)
			add_name(p, i);
		break;
	default: draw_path(p, p->at[i].path);
	}
}

static void start(struct project *p, unsigned seed, unsigned layers)
{
	memset(p, 0, sizeof(*p));
	p->seed = seed;
	p->rule = (struct shard_rule){ layers, 16 << 20 };
	while (p->n < 300)
		add(p);
}

static void one_edit_makes_at_most_two_layers_anew(void **state)
{
	static struct project p;
	static struct layers before, after;
	unsigned changes = 0, twos = 0;

	(void)state;
	start(&p, 1, 18);
	layers_of(&p, &before);
	assert_true(before.n > 12);
	for (int i = 0; i < 4000; i++) {
		size_t fresh;

		edit(&p);
		layers_of(&p, &after);
		fresh = count_new(&before, &after);
		if (fresh > 2)
			fail_msg("edit %d made %zu layers", i, fresh);
		changes += fresh > 0;
		twos += fresh == 2;
		before = after;
	}
	assert_true(changes > 2000 && twos > 500);
}

/* One more, where an edit leaves an empty directory behind or fills one. */
static void empty_directories_are_in_one_shard(void **state)
{
	static struct project p;
	static struct layers before, after;
	size_t most = 0;

	(void)state;
	start(&p, 2, 18);
	for (p.n_dirs = 0; p.n_dirs < 40; p.n_dirs++)
		snprintf(p.dirs[p.n_dirs], sizeof(p.dirs[0]), "app/d%zu", p.n_dirs);
	for (unsigned i = 0; i < 24; i++)
		snprintf(p.dirs[p.n_dirs++], sizeof(p.dirs[0]), "app/d%u/e%u", i, i % 4);
	layers_of(&p, &before);
	for (int i = 0; i < 2000; i++) {
		size_t fresh;

		if (draw(&p, 10) == 0 && p.n_dirs < ARRAY_LEN(p.dirs))
			snprintf(p.dirs[p.n_dirs++], sizeof(p.dirs[0]), "app/d%u/e%u/x%d",
			         draw(&p, 40), draw(&p, 4), i);
		else if (draw(&p, 10) == 0)
			p.n_dirs--;
		else
			edit(&p);
		layers_of(&p, &after);
		fresh = count_new(&before, &after);
		if (fresh > 3)
			fail_msg("edit %d made %zu layers", i, fresh);
		most = fresh > most ? fresh : most;
		before = after;
	}
	assert_int_equal(most, 3);
}

static void shards_of_many_files_are_of_about_one_size(void **state)
{
	struct shard_rule rule = { 18, 16 << 20 };
	struct arena arena = ARENA_INIT;
	struct shards s;
	struct tree t;

	(void)state;
	tree_init(&t, &arena, NULL, 0, 5);
	for (unsigned i = 0; i < 20000; i++) {
		struct toc_entry x = { .type = TOC_FILE, .size = 4096 };

		x.path = arena_printf(&arena, "app/pkg%02u/mod%02u/f%05u.py", i % 40,
		                      i / 40 % 25, i);
		put(&t, &x, NULL);
	}
	tree_cut(&t, &rule, &s);
	assert_int_equal(s.n, 12);
	for (size_t i = 0; i < s.n; i++)
		assert_in_range(s.at[i].size, 7400000, 9000000);
	shards_fini(&s);
	tree_fini(&t);
	arena_fini(&arena);
}

static size_t n_layers(unsigned layers, int64_t least, const int64_t *sizes, size_t n)
{
	static struct project p;
	static struct layers l;

	memset(&p, 0, sizeof(p));
	p.rule = (struct shard_rule){ layers, least };
	for (p.n = 0; p.n < n; p.n++) {
		snprintf(p.at[p.n].path, sizeof(p.at[0].path), "f%zu", p.n);
		p.at[p.n].size = sizes[p.n];
	}
	layers_of(&p, &l);
	return l.n;
}

static void what_is_small_is_whole(void **state)
{
	enum { MIB = 1 << 20 };
	static const int64_t small[] = { 7 * MIB, 1 * MIB, 7 * MIB },
			     large[] = { 300 * MIB, 1 * MIB, 5 * MIB, 2 * MIB },
			     many[] = { 5 * MIB, 6 * MIB, 7 * MIB, 6 * MIB };

	(void)state;
	assert_int_equal(n_layers(18, 16 * MIB, NULL, 0), 0);
	assert_int_equal(n_layers(18, 16 * MIB, small, ARRAY_LEN(small)), 1);
	/* The large one by itself, so that nothing else changes its layer. */
	assert_int_equal(n_layers(18, 16 * MIB, large, ARRAY_LEN(large)), 2);
	assert_int_equal(n_layers(18, 16 * MIB, large, 1), 1);
	assert_true(n_layers(18, 16 * MIB, many, ARRAY_LEN(many)) > 2);
	assert_int_equal(n_layers(1, 0, many, ARRAY_LEN(many)), 1);
	assert_int_equal(n_layers(0, 0, many, ARRAY_LEN(many)), 1);
	/* Two have no place for large ones alone. */
	assert_in_range(n_layers(2, 0, large, ARRAY_LEN(large)), 1, 2);
	assert_in_range(n_layers(SHARDS_MAX, 0, large, ARRAY_LEN(large)), 2, 4);
}

/* Paths' places are a promise between machines and versions: another hash would have all
 * large copies made anew. */
static void a_path_has_its_place_for_ever(void **state)
{
	static const char *const paths[] = { "app/main.py", "a", "usr/share/x/y.txt" };
	static const unsigned expected[] = { 16, 17, 16 };
	struct shard_rule rule = { 18, 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct arena arena = ARENA_INIT;
		struct toc_entry x = { .path = paths[i], .type = TOC_FILE };
		struct shards s;
		struct tree t;

		tree_init(&t, &arena, NULL, 0, 5);
		put(&t, &x, NULL);
		tree_cut(&t, &rule, &s);
		assert_int_equal(s.n, 1);
		assert_int_equal(s.at[0].number, expected[i]);
		shards_fini(&s);
		tree_fini(&t);
		arena_fini(&arena);
	}
}

static void what_hides_files_is_whole(void **state)
{
	static const struct toc_entry there[] = { { .path = "d", .type = TOC_DIR },
		                                  { .path = "d/old", .type = TOC_FILE } };
	struct toc below = TOC_INIT;
	const struct toc *parents[] = { &below };
	struct shard_rule rule = { 18, 0 };
	struct arena arena = ARENA_INIT;
	struct shards s;
	struct tree t;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(there); i++)
		toc_add(&below, &there[i]);
	toc_sort(&below);
	tree_init(&t, &arena, parents, 1, 5);
	assert_int_equal(tree_remove(&t, "d", &e), 0);
	for (unsigned i = 0; i < 100; i++) {
		struct toc_entry x = { .type = TOC_FILE, .size = 100000 };

		x.path = arena_printf(&arena, "d/%u", i);
		put(&t, &x, NULL);
	}
	tree_cut(&t, &rule, &s);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.at[0].n, 101);
	assert_true(s.at[0].at[0]->opaque);
	shards_fini(&s);
	tree_fini(&t);
	toc_fini(&below);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_edit_makes_at_most_two_layers_anew),
		cmocka_unit_test(empty_directories_are_in_one_shard),
		cmocka_unit_test(shards_of_many_files_are_of_about_one_size),
		cmocka_unit_test(what_is_small_is_whole),
		cmocka_unit_test(a_path_has_its_place_for_ever),
		cmocka_unit_test(what_hides_files_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

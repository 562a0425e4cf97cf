#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "image/toc.h"

static struct toc_entry *add(struct toc *t, enum toc_type type, const char *path)
{
	struct toc_entry e = { .path = path, .type = type, .mode = 0644 };

	if (type == TOC_SYMLINK || type == TOC_HARDLINK)
		e.link = "target";
	return toc_add(t, &e);
}

static const char *shape(const struct toc *t, struct buf *out)
{
	buf_reset(out);
	for (size_t i = 0; i < t->n; i++)
		buf_addf(out, "%s%c:%s", i ? " " : "", t->at[i].type, t->at[i].path);
	return out->s;
}

static void entries_are_sorted_bytewise_and_the_last_of_a_path_wins(void **state)
{
	AUTO_BUF text = BUF_INIT;
	struct toc t = TOC_INIT;

	(void)state;
	add(&t, TOC_FILE, "b");
	add(&t, TOC_DIR, "a");
	add(&t, TOC_FILE, "a/x");
	add(&t, TOC_FILE, "a-b");
	add(&t, TOC_FILE, "\xff");
	add(&t, TOC_SYMLINK, "b");
	toc_sort(&t);
	assert_string_equal(shape(&t, &text), "d:a f:a-b f:a/x l:b f:\xff");
	toc_fini(&t);
}

static void marks_fold_into_what_they_stand_beside(void **state)
{
	AUTO_BUF text = BUF_INIT;
	struct toc t = TOC_INIT;

	(void)state;
	add(&t, TOC_OPAQUE, "dir");
	add(&t, TOC_WHITEOUT, "dir");
	add(&t, TOC_DIR, "dir");
	add(&t, TOC_FILE, "file");
	add(&t, TOC_WHITEOUT, "file");
	add(&t, TOC_DIR, "made");
	add(&t, TOC_WHITEOUT, "made");
	add(&t, TOC_WHITEOUT, "gone");
	add(&t, TOC_OPAQUE, "");
	toc_sort(&t);
	assert_string_equal(shape(&t, &text),
	                    "o: d:dir o:dir f:file w:gone d:made o:made");
	toc_fini(&t);
}

static void find_sees_entries_and_no_marks(void **state)
{
	struct toc t = TOC_INIT;

	(void)state;
	add(&t, TOC_DIR, "d");
	add(&t, TOC_OPAQUE, "d");
	add(&t, TOC_WHITEOUT, "w");
	add(&t, TOC_FILE, "d/f");
	toc_sort(&t);
	assert_int_equal(toc_find(&t, "d")->type, TOC_DIR);
	assert_int_equal(toc_find(&t, "d/f")->type, TOC_FILE);
	assert_null(toc_find(&t, "w"));
	assert_null(toc_find(&t, ""));
	assert_null(toc_find(&t, "d/"));
	assert_null(toc_find(&t, "zz"));
	toc_fini(&t);
}

static void paths_that_could_climb_or_hide_are_not_valid(void **state)
{
	static const char *const bad[] = {
		"/a",   "a/",  "a//b",  ".",         "..",
		"a/..", "./a", ".wh.a", "a/.wh.b/c", "a/.wh."
	};
	char name[257];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(toc_path_valid(bad[i], strlen(bad[i])));
	assert_false(toc_path_valid("a\0b", 3));
	memset(name, 'n', sizeof(name));
	assert_false(toc_path_valid(name, 256));
	assert_true(toc_path_valid(name, 255));
	assert_true(toc_path_valid("", 0));
	assert_true(toc_path_valid("a/...", 5));
	assert_true(toc_path_valid(".wh", 3));
}

static void fill(struct toc *t)
{
	static const struct toc_xattr attrs[] = { { "security.capability", "\1\0\2", 3 },
		                                  { "user.x", "", 0 } };
	struct toc_entry e = { .path = "bin/ping",
		               .type = TOC_FILE,
		               .mode = 04755,
		               .uid = 7,
		               .gid = UINT32_MAX - 1,
		               .size = 5,
		               .mtime = -3,
		               .offset = 512,
		               .xattrs = attrs,
		               .n_xattrs = 2 };

	memset(e.digest.b, 0xab, DIGEST_SIZE);
	toc_add(t, &e);
	add(t, TOC_DIR, "");
	add(t, TOC_DIR, "bin");
	add(t, TOC_OPAQUE, "bin");
	add(t, TOC_SYMLINK, "lib");
	add(t, TOC_HARDLINK, "hard");
	add(t, TOC_WHITEOUT, "old");
	add(t, TOC_FIFO, "pipe");
	add(t, TOC_CHAR, "tty")->dev_major = 5;
	t->tar_size = 10240;
	toc_sort(t);
}

static void what_is_encoded_decodes_to_the_same(void **state)
{
	AUTO_BUF bytes = BUF_INIT, again = BUF_INIT;
	struct toc t = TOC_INIT, back = TOC_INIT;
	const struct toc_entry *ping;
	struct err e;

	(void)state;
	fill(&t);
	toc_encode(&t, &bytes);
	assert_int_equal(toc_decode(&back, bytes.s, bytes.len, &e), 0);
	toc_encode(&back, &again);
	assert_int_equal(again.len, bytes.len);
	assert_memory_equal(again.s, bytes.s, bytes.len);
	ping = toc_find(&back, "bin/ping");
	assert_int_equal(ping->mode, 04755);
	assert_int_equal(ping->mtime, -3);
	assert_int_equal(ping->gid, UINT32_MAX - 1);
	assert_int_equal(ping->n_xattrs, 2);
	assert_memory_equal(ping->xattrs[0].value, "\1\0\2", 3);
	assert_int_equal(back.tar_size, 10240);
	toc_fini(&t);
	toc_fini(&back);
}

static void every_cut_and_every_added_byte_is_refused(void **state)
{
	AUTO_BUF bytes = BUF_INIT;
	struct toc t = TOC_INIT, back = TOC_INIT;
	struct err e;

	(void)state;
	fill(&t);
	toc_encode(&t, &bytes);
	for (size_t n = 0; n < bytes.len; n++) {
		assert_int_equal(toc_decode(&back, bytes.s, n, &e), -1);
		assert_null(back.at);
	}
	buf_addc(&bytes, '\0');
	assert_int_equal(toc_decode(&back, bytes.s, bytes.len, &e), -1);
	toc_fini(&t);
}

/* Whatever a changed byte makes of it: refused, or a table that keeps the rules. */
static void a_flipped_bit_never_gives_a_table_that_breaks_the_rules(void **state)
{
	AUTO_BUF bytes = BUF_INIT, again = BUF_INIT;
	struct toc t = TOC_INIT, back = TOC_INIT;
	struct err e;

	(void)state;
	fill(&t);
	toc_encode(&t, &bytes);
	for (size_t i = 0; i < 8 * bytes.len; i++) {
		bytes.s[i / 8] ^= (char)(1 << i % 8);
		if (toc_decode(&back, bytes.s, bytes.len, &e) == 0) {
			buf_reset(&again);
			toc_encode(&back, &again);
			assert_int_equal(again.len, bytes.len);
			assert_memory_equal(again.s, bytes.s, bytes.len);
			for (size_t k = 0; k < back.n; k++)
				assert_true(toc_path_valid(back.at[k].path,
				                           strlen(back.at[k].path)));
			toc_fini(&back);
		}
		bytes.s[i / 8] ^= (char)(1 << i % 8);
	}
	toc_fini(&t);
}

static void refused(enum toc_type type, const char *path, const char *link, uint32_t uid)
{
	struct toc_entry entry = { .path = path, .type = type, .uid = uid, .link = link };
	struct toc t = TOC_INIT, back = TOC_INIT;
	AUTO_BUF bytes = BUF_INIT;
	struct err e;

	toc_add(&t, &entry);
	toc_encode(&t, &bytes);
	assert_int_equal(toc_decode(&back, bytes.s, bytes.len, &e), -1);
	assert_int_equal(e.code, ERR_CORRUPT);
	toc_fini(&t);
}

static void hostile_entries_are_refused(void **state)
{
	(void)state;
	refused(TOC_FILE, "../x", NULL, 0);
	refused(TOC_FILE, "", NULL, 0);
	refused(TOC_WHITEOUT, "", NULL, 0);
	refused(TOC_SYMLINK, "l", "", 0);
	refused(TOC_HARDLINK, "l", "../x", 0);
	refused(TOC_HARDLINK, "l", "l", 0);
	refused(TOC_FILE, "f", NULL, UINT32_MAX);
	refused(TOC_CHAR, "c", NULL, 0);
	refused((enum toc_type)'x', "c", NULL, 0);
}

static void unsorted_tables_are_refused(void **state)
{
	AUTO_BUF bytes = BUF_INIT, twice = BUF_INIT;
	struct toc t = TOC_INIT, back = TOC_INIT;
	struct err e;

	(void)state;
	add(&t, TOC_FILE, "b");
	add(&t, TOC_FILE, "a");
	toc_encode(&t, &bytes); /* not sorted first */
	assert_int_equal(toc_decode(&back, bytes.s, bytes.len, &e), -1);
	toc_fini(&t);
	add(&t, TOC_FILE, "a");
	add(&t, TOC_FILE, "a");
	toc_encode(&t, &twice);
	assert_int_equal(toc_decode(&back, twice.s, twice.len, &e), -1);
	toc_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_sorted_bytewise_and_the_last_of_a_path_wins),
		cmocka_unit_test(marks_fold_into_what_they_stand_beside),
		cmocka_unit_test(find_sees_entries_and_no_marks),
		cmocka_unit_test(paths_that_could_climb_or_hide_are_not_valid),
		cmocka_unit_test(what_is_encoded_decodes_to_the_same),
		cmocka_unit_test(every_cut_and_every_added_byte_is_refused),
		cmocka_unit_test(a_flipped_bit_never_gives_a_table_that_breaks_the_rules),
		cmocka_unit_test(hostile_entries_are_refused),
		cmocka_unit_test(unsorted_tables_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

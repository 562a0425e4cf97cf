#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "image/tar_reader.h"
#include "image/toc_store.h"
#include "unit/packing.h"

static int files_in(const struct fixture *f, const char *dir)
{
	char path[100];
	struct dirent *d;
	int n = 0;
	DIR *at;

	snprintf(path, sizeof(path), "%s/%s", f->dir, dir);
	at = opendir(path);
	assert_non_null(at);
	while ((d = readdir(at)))
		n += d->d_name[0] != '.';
	closedir(at);
	return n;
}

static void the_layer_is_a_function_of_its_entries(void **state)
{
	struct fixture *f = *state;
	struct item items[32];
	size_t n = variety(items);
	struct layer one, four, plain;
	struct err e;

	assert_int_equal(pack(f, CODEC_GZIP, NULL, items, n, &one, &e), 0);
	assert_int_equal(pack(f, CODEC_GZIP, f->pool, items, n, &four, &e), 0);
	assert_int_equal(pack(f, CODEC_NONE, NULL, items, n, &plain, &e), 0);
	assert_memory_equal(&one, &four, sizeof(one));
	assert_true(digest_equal(&one.diff_id, &plain.diff_id));
	assert_true(digest_equal(&one.diff_id, &plain.blob.digest));
	assert_true(digest_equal(&one.toc, &plain.toc));
	/* Raise this only with a new version of every operation's key: layers of users
	 * change. */
	assert_string_equal(
		DIGEST_STR(&one.diff_id),
		"sha256:3d21d9948880769c0deaf2f9e90540133f3fe1731159b0814c75fe2d1c3c60dd");
}

static void media_type_and_size_are_those_of_the_blob(void **state)
{
	static const char *const types[] = { MEDIA_OCI_LAYER, MEDIA_OCI_LAYER_GZIP,
		                             MEDIA_OCI_LAYER_ZSTD };
	struct fixture *f = *state;
	struct item items[] = { file("a", "text") };

	for (enum codec c = CODEC_NONE; c <= CODEC_ZSTD; c++) {
		AUTO_BUF blob = BUF_INIT;
		AUTO_BUF tar = BUF_INIT;
		struct layer l;
		struct digest d;
		struct err e;

		assert_int_equal(pack(f, c, f->pool, items, 1, &l, &e), 0);
		assert_string_equal(l.blob.media_type, types[c]);
		assert_int_equal(blobs_read(f->blobs, &l.blob.digest, 1 << 20, &blob, &e),
		                 0);
		assert_int_equal(l.blob.size, blob.len);
		assert_int_equal(decode(c, &blob, &tar, &e), 0);
		digest_of(&d, tar.s, tar.len);
		assert_true(digest_equal(&d, &l.diff_id));
	}
}

static void the_table_lists_what_the_stream_holds(void **state)
{
	struct fixture *f = *state;
	struct item items[32];
	size_t n = variety(items);
	AUTO_BUF tar = BUF_INIT;
	struct toc toc = TOC_INIT;
	struct layer l;
	struct err e;

	assert_int_equal(pack(f, CODEC_NONE, NULL, items, n, &l, &e), 0);
	assert_int_equal(blobs_read(f->blobs, &l.blob.digest, 1 << 20, &tar, &e), 0);
	assert_int_equal(toc_get(f->blobs, &l.toc, &toc, &e), 0);
	assert_int_equal(toc.n, n);
	assert_int_equal(toc.tar_size, tar.len);
	for (size_t i = 0; i < n; i++) {
		const struct toc_entry *t = toc_find(&toc, items[i].entry.path);
		struct digest d;

		if (!items[i].data)
			continue;
		assert_non_null(t);
		digest_of(&d, items[i].data, strlen(items[i].data));
		assert_true(digest_equal(&d, &t->digest));
		assert_int_equal(t->size, strlen(items[i].data));
		assert_memory_equal(tar.s + t->offset, items[i].data, (size_t)t->size);
	}
	toc_fini(&toc);
}

/* A base's table is made by reading, ours by writing: a rule must not see which. */
static void the_table_is_the_one_that_a_reader_makes(void **state)
{
	struct fixture *f = *state;
	struct item items[32];
	size_t n = variety(items);

	for (enum codec c = CODEC_NONE; c <= CODEC_ZSTD; c++) {
		struct toc toc = TOC_INIT;
		struct digest diff_id, table;
		struct fd_source in;
		struct layer l;
		struct err e;
		int fd;

		assert_int_equal(pack(f, c, f->pool, items, n, &l, &e), 0);
		fd = blobs_get(f->blobs, &l.blob.digest, NULL, &e);
		assert_true(fd >= 0);
		fd_source_init(&in, fd, "a layer");
		assert_int_equal(layer_scan(&in.source, c, NULL, &toc, &diff_id, &e), 0);
		assert_int_equal(toc_put(f->blobs, &toc, &table, NULL, &e), 0);
		assert_true(digest_equal(&diff_id, &l.diff_id));
		assert_true(digest_equal(&table, &l.toc));
		toc_fini(&toc);
		close(fd);
	}
}

static void assert_refused(struct fixture *f, const struct item *items, size_t n,
                           enum err_code code, const char *text)
{
	struct layer l;
	struct err e = { 0 };

	assert_int_equal(pack(f, CODEC_GZIP, f->pool, items, n, &l, &e), -1);
	assert_int_equal(e.code, code);
	assert_non_null(strstr(e.msg, text));
	assert_int_equal(files_in(f, "tmp"), 0);
	assert_int_equal(files_in(f, "blobs/sha256"), 0);
}

static void other_bytes_than_promised_are_an_error(void **state)
{
	struct item changed = file("app/main.c", "int main;");
	struct item empty = file("app/none", "");
	struct item shorter = file("short", "12345");
	struct item longer = file("long", "12345");
	struct item both[] = { shorter, file("next", "") };

	digest_of(&changed.entry.digest, "int mine;", 9);
	empty.entry.digest = changed.entry.digest;
	both[0].entry.size = shorter.entry.size = 6;
	longer.entry.size = 4;
	assert_refused(*state, &changed, 1, ERR_CORRUPT, "'app/main.c'");
	assert_refused(*state, &empty, 1, ERR_CORRUPT, "'app/none'");
	assert_refused(*state, &shorter, 1, ERR_CORRUPT,
	               "'short' ends 1 bytes too early");
	assert_refused(*state, both, 2, ERR_CORRUPT, "'short' ends 1 bytes too early");
	assert_refused(*state, &longer, 1, ERR_CORRUPT, "'long' has more bytes");
}

static void the_promised_bytes_are_fine(void **state)
{
	struct item same = file("same", "bytes");
	struct layer l;
	struct err e;

	digest_of(&same.entry.digest, "bytes", 5);
	assert_int_equal(pack(*state, CODEC_ZSTD, NULL, &same, 1, &l, &e), 0);
}

static void entries_that_nobody_should_read_are_refused(void **state)
{
	static const char *const paths[] = { "/abs", "a/../b", "..", ".",
		                             "a//b", "a/",     "./a" };
	struct item owner = file("f", ""), mode = file("f", ""),
		    zero = other(TOC_CHAR, "n", NULL);
	struct toc_xattr equals = { "user.a=b", "", 0 };
	struct item xattr = file("f", "");

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct item bad = file(paths[i], "");

		assert_refused(*state, &bad, 1, ERR_INVALID, paths[i]);
	}
	assert_refused(*state, &(struct item){ other(TOC_DIR, "x/.wh.y", 0).entry, 0 }, 1,
	               ERR_INVALID, ".wh.");
	assert_refused(*state, &(struct item){ file("", "").entry, 0 }, 1, ERR_INVALID,
	               "root");
	assert_refused(*state, &(struct item){ other(TOC_WHITEOUT, "", 0).entry, 0 }, 1,
	               ERR_INVALID, "root");
	assert_refused(*state,
	               &(struct item){ other(TOC_HARDLINK, "a", "../b").entry, 0 }, 1,
	               ERR_INVALID, "'../b'");
	assert_refused(*state, &(struct item){ other(TOC_HARDLINK, "a", "a").entry, 0 },
	               1, ERR_INVALID, "'a'");
	assert_refused(*state, &(struct item){ other(TOC_SYMLINK, "a", "").entry, 0 }, 1,
	               ERR_INVALID, "'a'");
	owner.entry.uid = UINT32_MAX;
	mode.entry.mode = 0100644;
	xattr.entry.xattrs = &equals;
	xattr.entry.n_xattrs = 1;
	assert_refused(*state, &owner, 1, ERR_INVALID, "owner");
	assert_refused(*state, &mode, 1, ERR_INVALID, "mode");
	assert_refused(*state, &zero, 1, ERR_INVALID, "device");
	assert_refused(*state, &xattr, 1, ERR_INVALID, "user.a=b");
}

static void after_an_error_nothing_is_made(void **state)
{
	struct fixture *f = *state;
	struct item good = file("good", ""), bad = file("../bad", "");
	struct packer *p;
	struct layer l;
	struct err e;

	assert_int_equal(packer_open(&p, f->blobs, CODEC_GZIP, f->pool, &e), 0);
	assert_int_equal(packer_entry(p, &good.entry, &e), 0);
	assert_int_equal(packer_data(p, "", 0, &e), 0);
	assert_int_equal(packer_entry(p, &bad.entry, &e), -1);
	assert_int_equal(packer_entry(p, &good.entry, &e), -1);
	assert_int_equal(packer_finish(p, &l, &e), -1);
	packer_close(p);
	assert_int_equal(files_in(f, "tmp"), 0);
	assert_int_equal(files_in(f, "blobs/sha256"), 0);
}

/* The header takes it; the table and the archive are never made, since its bytes never
 * come. */
static void a_file_of_8_gib_that_is_not_there_makes_no_layer(void **state)
{
	struct fixture *f = *state;
	struct item big = file("big", "");
	struct packer *p;
	struct layer l;
	struct err e;

	big.entry.size = (int64_t)8 << 30;
	assert_int_equal(packer_open(&p, f->blobs, CODEC_NONE, NULL, &e), 0);
	assert_int_equal(packer_entry(p, &big.entry, &e), 0);
	assert_int_equal(packer_data(p, "x", 1, &e), 0);
	assert_int_equal(packer_finish(p, &l, &e), -1);
	assert_int_equal(e.code, ERR_CORRUPT);
	packer_close(p);
}

/* A file system that is full, as far as a process without one can have it. */
static void a_full_disk_leaves_nothing_behind(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, small;
	AUTO_BUF noise = BUF_INIT;
	struct item big;
	uint32_t x = 1;

	for (int i = 0; i < 3 << 20; i++)
		buf_addc(&noise, (char)('!' + ((x = x * 1664525 + 1013904223) >> 25)));
	big = file("big", noise.s);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){ 1 << 20, before.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_refused(f, &big, 1, ERR_SYS, "File too large");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_DFL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_layer_is_a_function_of_its_entries),
		TEST(media_type_and_size_are_those_of_the_blob),
		TEST(the_table_lists_what_the_stream_holds),
		TEST(the_table_is_the_one_that_a_reader_makes),
		TEST(other_bytes_than_promised_are_an_error),
		TEST(the_promised_bytes_are_fine),
		TEST(entries_that_nobody_should_read_are_refused),
		TEST(a_file_of_8_gib_that_is_not_there_makes_no_layer),
		TEST(after_an_error_nothing_is_made),
		TEST(a_full_disk_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

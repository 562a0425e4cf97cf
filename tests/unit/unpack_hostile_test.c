/* Images that lie, climb and break: nothing outside is touched, and nothing half-made
 * stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "image/place.h"
#include "unit/unpacking.h"

/* A file outside, next to what is unpacked, that every attack is after. */
static void put_victim(const struct fixture *f)
{
	run(f,
	    "mkdir victim && echo precious > victim/file && chmod 600 victim/file && chmod 711 victim &&"
	    "touch -d @77 victim/file victim");
}

static void victim_is_whole(const struct fixture *f)
{
	run(f,
	    "test \"$(ls -A victim)\" = file && test $(cat victim/file) = precious &&"
	    "test \"$(stat -c '%a %Y %h' victim victim/file | tr '\\n' ,)\" = '711 77 2,600 77 1,' &&"
	    "rm -r victim");
}

static void writes_through_symlinks_stay_inside(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF text = BUF_INIT;
	AUTO_BUF want = BUF_INIT;

	put_victim(f);
	buf_addf(
		&text,
		"l:abs>%s/victim l:rel>../../../../../../../..%s/victim l:up>../victim l:sub/up>../../victim",
		f->dir, f->dir);
	layer(f, text.s);
	layer(f,
	      "f:abs/file=owned f:rel/other=2 f:up/file=3 d:sub/up/dir w:up/gone o:abs");
	/* All four lead to places of those names inside. */
	buf_addf(
		&want,
		"l:abs>%s/victim l:rel>../../../../../../../..%s/victim d:sub l:sub/up>../../victim d:tmp "
		"d:%s d:%s/victim f:%s/victim/file=owned f:%s/victim/other=2 l:up>../victim d:victim "
		"d:victim/dir f:victim/file=3",
		f->dir, f->dir, f->dir + 1, f->dir + 1, f->dir + 1, f->dir + 1);
	merges_to(f, want.s);
	victim_is_whole(f);
}

static void a_directory_that_becomes_a_symlink_leads_inside(void **state)
{
	struct fixture *f = *state;

	put_victim(f);
	layer(f, "d:d f:d/file=1");
	layer(f, "l:d>../victim");
	layer(f, "f:d/file=2 w:d/none");
	merges_to(f, "l:d>../victim d:victim f:victim/file=2");
	victim_is_whole(f);
}

static void a_symlink_and_names_below_it_in_one_layer(void **state)
{
	struct fixture *f = *state;

	put_victim(f);
	layer(f, "l:d>../victim f:d/file=1 l:d2>/etc d:d2/x h:h>d/file");
	merges_to(f,
	          "l:d>../victim l:d2>/etc d:etc d:etc/x f:h=1 d:victim h:victim/file>h");
	victim_is_whole(f);
}

static void symlinks_in_circles_are_refused(void **state)
{
	struct fixture *f = *state;

	layer(f, "l:a>b l:b>a f:a/x=1");
	is_refused(f, ERR_INVALID, "too many symlinks");
}

static void a_symlink_may_not_make_a_whiteout(void **state)
{
	struct fixture *f = *state;

	layer(f, "l:a>.wh.b");
	layer(f, "f:a/x=1");
	is_refused(f, ERR_INVALID, "no path of a layer");
}

static void names_below_a_file_are_refused(void **state)
{
	struct fixture *f = *state;

	layer(f, "f:a=1");
	layer(f, "f:a/b=2");
	is_refused(f, ERR_INVALID, "not a directory");
}

static void marks_below_a_file_hide_nothing(void **state)
{
	struct fixture *f = *state;

	layer(f, "f:a=1 l:x>y l:y>x");
	layer(f, "w:a/b o:a/c w:x/z w:none/at/all");
	merges_to(f, "f:a=1 l:x>y l:y>x");
}

static void hard_links_out_are_refused(void **state)
{
	struct fixture *f = *state;

	layer(f, "l:out>/etc h:passwd>out/passwd");
	is_refused(f, ERR_INVALID, "which is no file");
}

static void hard_links_to_what_is_hidden_are_refused(void **state)
{
	struct fixture *f = *state;

	layer(f, "f:a=1");
	layer(f, "w:a h:b>a");
	is_refused(f, ERR_INVALID, "which is no file");
}

static void hard_links_in_circles_are_refused(void **state)
{
	struct fixture *f = *state;

	layer(f, "h:a>b h:b>a");
	is_refused(f, ERR_INVALID, "which is no file");
}

static void hard_links_to_directories_are_refused(void **state)
{
	struct fixture *f = *state;

	layer(f, "d:a h:b>a");
	is_refused(f, ERR_INVALID, "which is no file");
}

static void names_that_climb_are_refused(void **state)
{
	struct fixture *f = *state;

	put_victim(f);
	run(f, "mv victim /tmp/$(basename $PWD).victim");
	layer(f, "f:good=1");
	layer(f, "f:a/../../x=2");
	is_refused(f, ERR_INVALID, "'..'");
	run(f, "mv /tmp/$(basename $PWD).victim victim");
	victim_is_whole(f);
}

/* 2000 components, 3,999 bytes. */
static void deep_name(struct buf *out, const char *type)
{
	buf_adds(out, type);
	for (int i = 0; i < 1999; i++)
		buf_adds(out, "d/");
	buf_addc(out, 'f');
}

static void deep_paths_are_fine(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF text = BUF_INIT;
	struct rlimit few = { 64, 64 }, before;
	struct err e;

	deep_name(&text, "f:");
	buf_adds(&text, "=deep");
	layer(f, text.s);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	if (unpack_dir(f->blobs, &f->image, f->fd, "fs", NULL, &e) < 0 ||
	    unpack_tar(f->blobs, &f->image, f->fd, "fs.tar", &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	run(f, "test $(find fs | wc -l) = 2001 && test $(tar -tf fs.tar | wc -l) = 2000");
}

static void a_deep_tree_that_fails_is_taken_away(void **state)
{
	struct fixture *f = *state;
	struct rlimit small = { 1 << 20, 0 }, before;
	AUTO_BUF text = BUF_INIT;
	AUTO_BUF tar = BUF_INIT;
	AUTO_BUF big = BUF_INIT;
	struct err e;

	deep_name(&text, "f:");
	layer(f, text.s);
	buf_reserve(&big, 2 << 20);
	for (int i = 0; i < 2 << 20; i++)
		buf_addc(&big, 'x');
	tar_add(&tar, "big", '0', big.s, big.len);
	add_layer(f, &tar);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(unpack_dir(f->blobs, &f->image, f->fd, "fs", NULL, &e), -1);
	assert_int_equal(e.sys, EFBIG);
	assert_int_equal(unpack_tar(f->blobs, &f->image, f->fd, "fs.tar", &e), -1);
	assert_int_equal(e.sys, EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	run(f, "test \"$(ls | grep -v out.log)\" = store");
}

static void times_out_of_any_range_are_survived(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF tar = BUF_INIT;
	struct err e;

	tar_pax(&tar, "mtime", "9223372036854775807");
	tar_add(&tar, "late", '0', "1", 1);
	tar_pax(&tar, "mtime", "-9223372036854775807");
	tar_add(&tar, "early/", '5', NULL, 0);
	add_layer(f, &tar);
	if (unpack_dir(f->blobs, &f->image, f->fd, "fs", NULL, &e) < 0 ||
	    unpack_tar(f->blobs, &f->image, f->fd, "fs.tar", &e) < 0)
		fail_msg("%s", e.msg);
	run(f, "test $(cat fs/late) = 1 && test -d fs/early");
}

static void a_rotten_layer_is_put_aside(void **state)
{
	struct fixture *f = *state;
	char hex[DIGEST_HEX + 1];
	AUTO_BUF script = BUF_INIT;

	layer(f, "f:good=1");
	layer(f, "f:a=1");
	buf_addf(
		&script,
		"cd store/blobs/sha256; chmod u+w *; printf X | dd of=%s bs=1 seek=512 conv=notrunc",
		digest_hex(&f->layers[1].digest, hex));
	run(f, script.s);
	is_refused(f, ERR_CORRUPT, "");
	assert_false(blobs_has(f->blobs, &f->layers[1].digest, NULL));
	assert_true(blobs_has(f->blobs, &f->layers[0].digest, NULL));
}

static void a_cut_layer_is_put_aside(void **state)
{
	struct fixture *f = *state;
	char hex[DIGEST_HEX + 1];
	AUTO_BUF script = BUF_INIT;
	struct err e;

	layer(f, "f:a=1");
	buf_addf(&script, "cd store/blobs/sha256; chmod u+w *; truncate -s 700 %s",
	         digest_hex(&f->layers[0].digest, hex));
	run(f, script.s);
	assert_int_equal(unpack_tar(f->blobs, &f->image, f->fd, "fs.tar", &e), -1);
	assert_int_equal(e.code, ERR_CORRUPT);
	assert_false(blobs_has(f->blobs, &f->layers[0].digest, NULL));
	is_refused(f, ERR_NOT_FOUND, "not in the store");
}

static void a_wrong_diff_id_is_refused(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF tar = BUF_INIT;
	struct digest other;

	tar_add(&tar, "a", '0', "1", 1);
	tar_end(&tar);
	digest_of(&other, "x", 1);
	add_blob(f, tar.s, tar.len, MEDIA_OCI_LAYER, &other);
	is_refused(f, ERR_CORRUPT, "but the image says");
	assert_true(blobs_has(f->blobs, &f->layers[0].digest, NULL)); /* the image lies,
	                                                                 not the disk */
}

static int place_one(struct fixture *f, struct toc_entry t, struct err *e)
{
	struct unpack_report report = { 0 };
	struct place p = { .root = openat(f->fd, "root",
		                          O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		           .report = &report };
	int rc = place_entry(&p, &t, e);

	close(p.root);
	return rc;
}

/* place.c by itself, on names that nothing settled before. */
static void placing_never_leaves_the_root(void **state)
{
	struct fixture *f = *state;
	struct unpack_report report = { 0 };
	struct place p = { .root = -1, .report = &report };
	struct toc_entry file = { .path = "up/file", .type = TOC_FILE, .mode = 0777 };
	struct err e;

	put_victim(f);
	run(f,
	    "mkdir root; ln -s ../victim root/up; ln -s ../victim/file root/soft; ln -s / root/top");
	p.root = openat(f->fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(place_file(&p, &file, &e), -1); /* inside, there is no /victim */
	file.path = "soft";
	assert_int_equal(place_file(&p, &file, &e), -1);
	assert_int_equal(e.sys, EEXIST);
	file.path = "../victim/file";
	assert_int_equal(place_file(&p, &file, &e), -1);
	assert_int_equal(e.code, ERR_INVALID);
	file.path = "soft";
	file.type = TOC_DIR;
	assert_int_equal(place_dir_end(&p, &file, &e), -1);
	assert_int_equal(place_entry(&p, &file, &e), -1);
	assert_int_equal(place_link(&p, "mine", "soft", &e), -1);
	assert_int_equal(place_link(&p, "mine", "up/file", &e), -1);
	assert_int_equal(place_remove(&p, "up/file", &e), 0);
	place_dir_reopen(&p, "up");
	file.path = "top/made/inside";
	assert_int_equal(place_entry(&p, &file, &e), 0);
	close(p.root);
	run(f, "test -d root/made/inside");
	victim_is_whole(f);
}

static void whiteouts_of_overlayfs_are_not_made(void **state)
{
	static const struct toc_xattr marks[] = { { "trusted.overlay.opaque", "y", 1 },
		                                  { "user.overlay.opaque", "y", 1 } };
	struct fixture *f = *state;
	struct err e;

	run(f, "mkdir root");
	assert_int_equal(
		place_one(f, (struct toc_entry){ .path = "c", .type = TOC_CHAR }, &e),
		-1);
	assert_int_equal(e.code, ERR_INVALID);
	assert_int_equal(
		place_one(f, (struct toc_entry){ .path = "w", .type = TOC_WHITEOUT }, &e),
		-1);
	assert_int_equal(place_one(f,
	                           (struct toc_entry){ .path = "p",
	                                               .type = TOC_FIFO,
	                                               .mode = 0644,
	                                               .xattrs = marks,
	                                               .n_xattrs = 2 },
	                           &e),
	                 0);
	run(f, "test \"$(ls root)\" = p && test -z \"$(getfattr -hdm - root/p)\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(writes_through_symlinks_stay_inside),
		TEST(a_directory_that_becomes_a_symlink_leads_inside),
		TEST(a_symlink_and_names_below_it_in_one_layer),
		TEST(symlinks_in_circles_are_refused),
		TEST(a_symlink_may_not_make_a_whiteout),
		TEST(names_below_a_file_are_refused),
		TEST(marks_below_a_file_hide_nothing),
		TEST(hard_links_out_are_refused),
		TEST(hard_links_to_what_is_hidden_are_refused),
		TEST(hard_links_in_circles_are_refused),
		TEST(hard_links_to_directories_are_refused),
		TEST(names_that_climb_are_refused),
		TEST(deep_paths_are_fine),
		TEST(a_deep_tree_that_fails_is_taken_away),
		TEST(times_out_of_any_range_are_survived),
		TEST(a_rotten_layer_is_put_aside),
		TEST(a_cut_layer_is_put_aside),
		TEST(a_wrong_diff_id_is_refused),
		TEST(placing_never_leaves_the_root),
		TEST(whiteouts_of_overlayfs_are_not_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

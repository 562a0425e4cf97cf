/* What root and ordinary users get of owners, modes, devices and capabilities. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "image/pack.h"
#include "unit/unpacking.h"

static void add_item(struct packer *p, struct toc_entry t, const char *data)
{
	struct err e;

	t.size = data ? (int64_t)strlen(data) : 0;
	assert_int_equal(packer_entry(p, &t, &e), 0);
	if (data)
		assert_int_equal(packer_data(p, data, strlen(data), &e), 0);
}

/* Owners, setuid, devices, capabilities and modes that shut out their owner, from our
 * packer. */
static void add_privileged_layer(struct fixture *f)
{
	static const char caps[] = "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0";
	static const struct toc_xattr xattrs[] = { { "security.capability", caps, 20 },
		                                   { "user.note", "n", 1 } };
	static const struct history by_us = { .created_by = "test" };
	struct layer l;
	struct packer *p;
	struct err e;

	assert_int_equal(packer_open(&p, f->blobs, CODEC_GZIP, NULL, &e), 0);
	add_item(p,
	         (struct toc_entry){
			 .path = "", .type = TOC_DIR, .mode = 0755, .mtime = 5 },
	         NULL);
	add_item(p,
	         (struct toc_entry){ .path = "null",
	                             .type = TOC_CHAR,
	                             .mode = 0666,
	                             .dev_major = 1,
	                             .dev_minor = 3,
	                             .mtime = 6 },
	         NULL);
	add_item(p,
	         (struct toc_entry){ .path = "shut",
	                             .type = TOC_DIR,
	                             .mode = 02555,
	                             .uid = 7,
	                             .gid = 8,
	                             .mtime = 9 },
	         NULL);
	add_item(p,
	         (struct toc_entry){ .path = "shut/caps",
	                             .type = TOC_FILE,
	                             .mode = 0444,
	                             .uid = 1,
	                             .gid = 2,
	                             .mtime = 3,
	                             .xattrs = xattrs,
	                             .n_xattrs = 2 },
	         "caps");
	add_item(p,
	         (struct toc_entry){ .path = "shut/link",
	                             .type = TOC_SYMLINK,
	                             .mode = 0777,
	                             .uid = 3,
	                             .gid = 4,
	                             .link = "/etc/passwd",
	                             .mtime = 7 },
	         NULL);
	add_item(p,
	         (struct toc_entry){
			 .path = "shut/su", .type = TOC_FILE, .mode = 04755, .mtime = 3 },
	         "su");
	assert_int_equal(packer_finish(p, &l, &e), 0);
	packer_close(p);
	f->layers[f->image.manifest.n_layers++] = l.blob;
	config_add_layer(&f->image.config, &l.diff_id, &by_us, 0);
}

static void root_sets_everything(void **state)
{
	struct fixture *f = *state;
	struct unpack_report report;
	struct err e;

	if (geteuid() != 0)
		skip();
	add_privileged_layer(f);
	assert_int_equal(unpack_dir(f->blobs, &f->image, f->fd, "fs", &report, &e), 0);
	assert_int_equal(report.owners_skipped + report.devices_skipped +
	                         report.xattrs_skipped,
	                 0);
	run(f,
	    "test \"$(stat -c '%a %u %g %Y' fs fs/shut fs/shut/caps fs/shut/su | tr '\\n' ,)\" = "
	    "'755 0 0 5,2555 7 8 9,444 1 2 3,4755 0 0 3,' && test \"$(stat -c '%u %g %Y' fs/shut/link)\" = "
	    "'3 4 7' && test \"$(stat -c '%a %t:%T' fs/null)\" = '666 1:3' &&"
	    "getfattr -m - -d fs/shut/caps | grep security.capability && "
	    "getfattr -n user.note fs/shut/caps");
}

static void check_as_ordinary_user(struct fixture *f)
{
	struct unpack_report report;
	struct err e;

	if (unpack_dir(f->blobs, &f->image, f->fd, "fs", &report, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(report.owners_skipped, 5);
	assert_int_equal(report.devices_skipped, 1);
	assert_int_equal(report.xattrs_skipped, 1);
	run(f,
	    "test \"$(stat -c '%a %Y' fs fs/shut fs/shut/caps fs/shut/su | tr '\\n' ,)\" = "
	    "'755 5,555 9,444 3,755 3,' && test ! -e fs/null && test -L fs/shut/link &&"
	    "getfattr -n user.note fs/shut/caps");
}

static void an_ordinary_user_gets_what_he_may_have(void **state)
{
	add_privileged_layer(*state);
	as_nobody(*state, check_as_ordinary_user);
}

static void fill_the_disk(struct fixture *f)
{
	struct rlimit small = { 64 << 10, 64 << 10 };
	struct err e;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(unpack_dir(f->blobs, &f->image, f->fd, "fs", NULL, &e), -1);
	assert_null(strstr(e.msg, "could not be removed"));
	run(f, "! test -e fs");
}

static void an_ordinary_user_leaves_nothing_either(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF big = BUF_INIT;
	AUTO_BUF tar = BUF_INIT;
	char block[512];

	tar_block(block, "shut/", '5', 0);
	memcpy(block + FIELD_MODE, "0000000", 8);
	tar_put(&tar, block, NULL, 0);
	tar_add(&tar, "shut/in", '0', "1", 1);
	for (int i = 0; i < 100000; i++)
		buf_addc(&big, 'x');
	tar_add(&tar, "z", '0', big.s, big.len);
	add_layer(f, &tar);
	as_nobody(f, fill_the_disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(root_sets_everything),
		TEST(an_ordinary_user_gets_what_he_may_have),
		TEST(an_ordinary_user_leaves_nothing_either),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

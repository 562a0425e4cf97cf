/* Layers as real tools make them: GNU tar in all its formats, bsdtar, Python's tarfile,
 * gzip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "image/tar_reader.h"
#include "os/fd.h"
#include "os/file.h"
#include "tars.h"

static const char tree[] =
	"umask 022; mkdir -p d/sub; cd d; printf content > f; ln f hard; ln -s ../f sub/soft;"
	"printf x > \"$(printf 'odd\\377\\376')\"; printf '\\303\\244' > \"$(printf '\\303\\244')\";"
	"touch empty; mkfifo pipe; chmod 4750 f;"
	"long=$(printf 'l%.0s' $(seq 1 120)); printf long > $long; ln -s $long/$long sub/longlink";
/* A name that only extended headers can hold, 242 bytes; and a file with two holes. */
static const char more[] =
	"cd d; long=$(printf 'l%.0s' $(seq 1 120)); mkdir $long.d; printf deep > $long.d/$long;"
	"truncate -s 300000 sparse; printf mid | dd of=sparse bs=1 seek=100000 conv=notrunc 2>/dev/null";

struct place {
	char dir[32];
};

static int set_up(void **state)
{
	struct place *p = mem_alloc(sizeof(*p));

	strcpy(p->dir, "/tmp/layer-scan.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	struct err e;

	assert_int_equal(file_remove_tree(AT_FDCWD, p->dir, &e), 0);
	free(p);
	return 0;
}

static void run(const struct place *p, const char *script)
{
	AUTO_BUF line = BUF_INIT;

	buf_addf(&line, "cd %s && { %s; } >/dev/null", p->dir, script);
	assert_int_equal(system(line.s), 0);
}

static bool installed(const char *program)
{
	AUTO_BUF line = BUF_INIT;

	buf_addf(&line, "command -v %s >/dev/null", program);
	return system(line.s) == 0;
}

static int scan(const struct place *p, const char *name, enum codec codec, struct toc *t,
                struct digest *diff_id, struct err *e)
{
	AUTO_BUF path = BUF_INIT;
	AUTO_CLOSE int fd = -1;
	struct fd_source in;

	buf_addf(&path, "%s/%s", p->dir, name);
	fd = open(path.s, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	fd_source_init(&in, fd, name);
	*t = (struct toc)TOC_INIT;
	return layer_scan(&in.source, codec, NULL, t, diff_id, e);
}

static void has_file(const struct toc *t, const char *path, const void *content, size_t n)
{
	const struct toc_entry *e = toc_find(t, path);
	struct digest d;

	digest_of(&d, content, n);
	if (!e)
		fail_msg("%s is missing", path);
	assert_int_equal(e->type, TOC_FILE);
	assert_int_equal(e->size, n);
	assert_memory_equal(e->digest.b, d.b, DIGEST_SIZE);
}

/* So many that several threads have some, in turn with large ones that none has. */
static void many_files_have_their_own_digests(void **state)
{
	enum { FILES = 3000, LARGE = 3 << 20 };
	struct place *p = *state;
	AUTO_FREE char *large = mem_grow(NULL, LARGE, 1);
	struct toc t;
	struct digest diff_id;
	struct err e;

	memset(large, 'y', LARGE);
	run(p, "mkdir d && cd d && yes x | head -c 1500000 | split -a 4 -d -b 500 - f &&"
	       " for i in 1 2; do yes | tr -d '\\n' | head -c 3145728 >f0${i}00L; done");
	run(p, "for i in $(seq 1000 2999); do printf $i >d/f$i; done; tar -cf t d");
	if (scan(p, "t", CODEC_NONE, &t, &diff_id, &e) < 0)
		fail_msg("%s", e.msg);
	for (int i = 0; i < FILES; i++) {
		char name[16], text[512];

		snprintf(name, sizeof(name), "d/f%04d", i);
		snprintf(text, sizeof(text), "%d", i);
		if (i < 1000)
			for (int k = 0; k < 500; k++)
				text[k] = "x\n"[k % 2];
		has_file(&t, name, text, i < 1000 ? 500 : 4);
	}
	has_file(&t, "d/f0100L", large, LARGE);
	has_file(&t, "d/f0200L", large, LARGE);
	toc_fini(&t);
}

static void has_link(const struct toc *t, const char *path, const char *link)
{
	const struct toc_entry *e = toc_find(t, path);

	assert_non_null(e);
	assert_string_equal(e->link, link);
}

static void has_hard_link(const struct toc *t)
{
	const struct toc_entry *f = toc_find(t, "d/f"), *hard = toc_find(t, "d/hard");
	bool f_is_link = f && f->type == TOC_HARDLINK;

	assert_non_null(hard);
	has_link(t, f_is_link ? "d/f" : "d/hard", f_is_link ? "d/hard" : "d/f");
	has_file(t, f_is_link ? "d/hard" : "d/f", "content", 7);
	assert_int_equal((f_is_link ? hard : f)->mode, 04750);
}

static void has_tree(const struct toc *t, bool fifo)
{
	assert_int_equal(toc_find(t, "d")->type, TOC_DIR);
	assert_int_equal(toc_find(t, "d/sub")->mode, 0755);
	assert_int_equal(toc_find(t, "d")->uid, getuid());
	has_hard_link(t);
	has_link(t, "d/sub/soft", "../f");
	has_file(t, "d/odd\xff\xfe", "x", 1);
	has_file(t, "d/\xc3\xa4", "\xc3\xa4", 2);
	has_file(t, "d/empty", "", 0);
	if (fifo)
		assert_int_equal(toc_find(t, "d/pipe")->type, TOC_FIFO);
}

static void has_more(const struct toc *t)
{
	AUTO_FREE char *data = mem_alloc(300000);
	char name[256] = "d/", link[256];

	memset(name + 2, 'l', 120);
	strcpy(name + 122, ".d/");
	memset(name + 125, 'l', 120);
	has_file(t, name, "deep", 4);
	memset(link, 'l', 241);
	link[120] = '/';
	link[241] = '\0';
	has_link(t, "d/sub/longlink", link);
	memcpy(data + 100000, "mid", 3);
	has_file(t, "d/sparse", data, 300000);
}

static void reads(const struct place *p, const char *command, bool fifo, bool all)
{
	struct digest diff_id;
	struct toc t;
	struct err e;

	run(p, command);
	if (scan(p, "out.tar", CODEC_NONE, &t, &diff_id, &e) < 0)
		fail_msg("%s: %s", command, e.msg);
	has_tree(&t, fifo);
	if (all)
		has_more(&t);
	toc_fini(&t);
}

static void gnu_tar_is_read_in_all_its_formats(void **state)
{
	run(*state, tree);
	reads(*state, "tar --format=v7 -cf out.tar d 2>/dev/null || :", false, false);
	reads(*state, "tar --format=ustar -cf out.tar d 2>/dev/null || :", true, false);
	run(*state, more);
	reads(*state, "tar --format=gnu -cf out.tar d", true, true);
	reads(*state, "tar --format=oldgnu -cf out.tar d", true, true);
	reads(*state, "tar --format=pax -cf out.tar d", true, true);
	reads(*state, "tar --format=gnu --sparse -cf out.tar ./d/", true, true);
	reads(*state, "tar --format=pax --sparse --sparse-version=0.0 -cf out.tar d",
	      true, true);
	reads(*state, "tar --format=pax --sparse --sparse-version=0.1 -cf out.tar d",
	      true, true);
	reads(*state, "tar --format=pax --sparse --sparse-version=1.0 -cf out.tar d",
	      true, true);
	reads(*state,
	      "tar --format=pax --xattrs --acls -P -cf out.tar $PWD/d --transform s,.*/d,d,",
	      true, false);
}

static void bsdtar_is_read(void **state)
{
	if (!installed("bsdtar"))
		skip();
	run(*state, tree);
	run(*state, more);
	reads(*state, "bsdtar --format=pax -cf out.tar d", true, true);
	reads(*state, "bsdtar --format=gnutar -cf out.tar d", true, true);
}

static void tarfile_of_python_is_read(void **state)
{
	static const char script[] =
		"python3 -c 'import tarfile, sys; "
		"t = tarfile.open(\"out.tar\", \"w\", format=getattr(tarfile, sys.argv[1])); "
		"t.add(\"d\"); t.close()' ";
	AUTO_BUF gnu = BUF_INIT, pax = BUF_INIT;

	if (!installed("python3"))
		skip();
	run(*state, tree);
	run(*state, more);
	buf_addf(&gnu, "%s GNU_FORMAT", script);
	buf_addf(&pax, "%s PAX_FORMAT", script);
	reads(*state, gnu.s, true, true);
	reads(*state, pax.s, true, true);
}

static void the_diff_id_is_of_the_whole_plain_stream(void **state)
{
	AUTO_BUF plain = BUF_INIT, path = BUF_INIT;
	struct place *p = *state;
	struct digest want, got, packed;
	struct toc t;
	struct err e;

	run(p, tree);
	run(p, "tar -b 100 -cf out.tar d; gzip -k out.tar");
	buf_addf(&path, "%s/out.tar", p->dir);
	assert_int_equal(file_read(AT_FDCWD, path.s, &plain, 1 << 24, &e), 0);
	digest_of(&want, plain.s, plain.len);
	assert_int_equal(scan(p, "out.tar", CODEC_NONE, &t, &got, &e), 0);
	assert_true(digest_equal(&want, &got));
	assert_int_equal(t.tar_size, plain.len);
	toc_fini(&t);
	assert_int_equal(scan(p, "out.tar.gz", CODEC_GZIP, &t, &packed, &e), 0);
	assert_true(digest_equal(&want, &packed));
	has_tree(&t, true);
	toc_fini(&t);
}

static void offsets_point_at_content(void **state)
{
	AUTO_BUF plain = BUF_INIT, path = BUF_INIT;
	struct place *p = *state;
	struct digest d;
	struct toc t;
	struct err e;

	run(p, tree);
	run(p, "tar -cf out.tar d");
	buf_addf(&path, "%s/out.tar", p->dir);
	assert_int_equal(file_read(AT_FDCWD, path.s, &plain, 1 << 24, &e), 0);
	assert_int_equal(scan(p, "out.tar", CODEC_NONE, &t, &d, &e), 0);
	for (size_t i = 0; i < t.n; i++) {
		if (t.at[i].type != TOC_FILE)
			continue;
		digest_of(&d, plain.s + t.at[i].offset, (size_t)t.at[i].size);
		assert_true(digest_equal(&d, &t.at[i].digest));
	}
	toc_fini(&t);
}

static void what_is_behind_a_compressed_layer_is_refused(void **state)
{
	struct digest d;
	struct toc t;
	struct err e;

	run(*state, tree);
	run(*state,
	    "tar -czf out.tar.gz d; cp out.tar.gz behind; echo more >> behind;"
	    "head -c -1 out.tar.gz > cut; tar -cf plain d; (cat plain; echo) > tail");
	assert_int_equal(scan(*state, "out.tar.gz", CODEC_GZIP, &t, &d, &e), 0);
	toc_fini(&t);
	assert_int_equal(scan(*state, "behind", CODEC_GZIP, &t, &d, &e), -1);
	assert_null(t.at);
	assert_int_equal(scan(*state, "cut", CODEC_GZIP, &t, &d, &e), -1);
	assert_int_equal(scan(*state, "tail", CODEC_NONE, &t, &d, &e), -1);
	assert_int_equal(scan(*state, "plain", CODEC_GZIP, &t, &d, &e), -1);
	assert_int_equal(scan(*state, "out.tar.gz", CODEC_NONE, &t, &d, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(gnu_tar_is_read_in_all_its_formats,
		                                set_up, tear_down),
		cmocka_unit_test_setup_teardown(bsdtar_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tarfile_of_python_is_read, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(the_diff_id_is_of_the_whole_plain_stream,
		                                set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_files_have_their_own_digests, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(offsets_point_at_content, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_behind_a_compressed_layer_is_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

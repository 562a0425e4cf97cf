#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <stdio.h>

#include "image/archive_late.h"
#include "unit/packing.h"

static void an_empty_layer_is_two_blocks_of_zeros(void **state)
{
	static const char zeros[1024];
	AUTO_BUF tar = BUF_INIT;

	tar_of(*state, NULL, 0, &tar);
	assert_int_equal(tar.len, sizeof(zeros));
	assert_memory_equal(tar.s, zeros, sizeof(zeros));
}

static void pax_is_used_only_where_needed(void **state)
{
	struct item items[32];
	size_t n = variety(items);

	for (size_t i = 0; i < n; i++) {
		const struct toc_entry *t = &items[i].entry;
		AUTO_BUF tar = BUF_INIT;
		bool ascii = true, needed;

		for (const char *s = t->path; *s; s++)
			ascii = ascii && !(*s & 0x80);
		needed = !ascii || strlen(t->path) > 200 || t->uid || t->mtime < 0 ||
		         t->n_xattrs || (t->link && strlen(t->link) > 100) ||
		         !strcmp(t->path, LONG100); /* 101 with its slash */
		tar_of(*state, &items[i], 1, &tar);
		assert_int_equal(tar.s[156] == 'x', needed);
	}
}

static void names_fill_the_ustar_fields_to_the_last_byte(void **state)
{
	/* name 100; prefix 155 + name 100; a directory's slash makes it one too many */
	struct item items[] = {
		file(LONG100, ""),
		file(LONG100 "/" LONG50 "0123/" LONG100, ""),
		other(TOC_DIR, LONG100 "/" LONG50 "0123/" LONG100, NULL),
		file(LONG100 "/" LONG50 "01234/" LONG100, ""),
		other(TOC_SYMLINK, "link", LONG100),
		other(TOC_SYMLINK, "link", LONG100 "0"),
	};
	static const char types[] = "00xx2x";

	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		AUTO_BUF tar = BUF_INIT;

		tar_of(*state, &items[i], 1, &tar);
		assert_int_equal(tar.s[156], types[i]);
	}
}

static void numbers_beyond_ustar_get_records(void **state)
{
	struct item late = file("late", "");
	struct item last = file("last", "");
	AUTO_BUF tar = BUF_INIT;

	last.entry.mtime = ((int64_t)1 << 33) - 1;
	tar_of(*state, &last, 1, &tar);
	assert_int_equal(tar.s[156], '0');
	assert_memory_equal(tar.s + 136, "77777777777\0", 12);
	buf_reset(&tar);
	late.entry.mtime = (int64_t)1 << 33;
	tar_of(*state, &late, 1, &tar);
	assert_memory_equal(tar.s, "././@PaxHeader\0", 15);
	assert_string_equal(tar.s + 512, "20 mtime=8589934592\n");
	assert_memory_equal(tar.s + 1024 + 136, "00000000000\0", 12);
}

/* Runs a shell command where $L is the layer's file; what it prints is appended. */
static void run_on(struct fixture *f, const struct layer *l, const char *command,
                   struct buf *out)
{
	char hex[DIGEST_HEX + 1];
	AUTO_BUF line = BUF_INIT;
	char chunk[4096];
	size_t n;
	FILE *p;

	buf_addf(&line, "L=%s/blobs/sha256/%s D=%s; export L D; cd $D && %s", f->dir,
	         digest_hex(&l->blob.digest, hex), f->dir, command);
	p = popen(line.s, "r");
	assert_non_null(p);
	while ((n = fread(chunk, 1, sizeof(chunk), p)) > 0)
		buf_add(out, chunk, n);
	assert_int_equal(pclose(p), 0);
}

static void peers_read_odd_entries(void **state)
{
	static const char python[] =
		"python3 -c '\n"
		"import os, sys, tarfile\n"
		"sys.stdout = open(1, \"w\", errors=\"surrogateescape\", encoding=\"utf-8\")\n"
		"for m in tarfile.open(os.environ[\"L\"], encoding=\"utf-8\"):\n"
		"  print(ascii(m.name)[:40], len(m.name), m.type.decode(), oct(m.mode), m.uid,\n"
		"        m.gid, m.size, int(m.mtime), ascii(m.linkname)[-20:], m.devmajor, m.devminor,\n"
		"        sorted(m.pax_headers))\n'";
	static const char *const lines[] = {
		"'.' 1 5 0o755 0 0 0 315619200 '' 0 0 []\n",
		"'a dir' 5 5 0o755 0 0 0 315619200 '' 0 0 []\n",
		"'a dir/new\\nline' 14 0 0o644 0 0 3 315619200 '' 0 0 []\n",
		"'a dir/not utf-8 \\udcff\\udcfe' 18 0 ",
		"'a dir/ol\\xe9' 9 0 ",
		"'a dir/tty' 9 3 0o755 0 0 0 315619200 '' 4 64 []\n",
		"'a dir/vda' 9 4 0o755 0 0 0 315619200 '' 254 1048575 []\n",
		"'a dir/fifo' 10 6 ",
		"'hard' 4 1 0o755 0 0 0 315619200 'a dir/new\\nline' 0 0 []\n",
		" 151 0 0o644 0 0 12 315619200 '' 0 0 []\n",
		" 202 0 0o644 0 0 8 315619200 '' 0 0 ['path']\n",
		" 202 5 0o755 0 0 0 315619200 '' 0 0 ['path']\n",
		"'owner' 5 0 0o644 4294967294 2097152 7 315619200 '' 0 0 ['gid', 'uid']\n",
		"'past' 4 0 0o644 0 0 11 -12345 '' 0 0 ['mtime']\n",
		"'setuid' 6 0 0o6755 ",
		"['SCHILY.xattr.security.capability', 'SCHILY.xattr.user.note']\n",
		"/../etc/\\xe9 x' 0 0 ['hdrcharset', 'linkpath']\n",
		"'short' 5 2 0o755 0 0 0 315619200 'a dir' 0 0 []\n",
		"'zone/.wh.gone' 13 0 0o644 0 0 0 315619200 '' 0 0 []\n",
		"'zone/.wh..wh..opq' 17 0 0o644 0 0 0 315619200 '' 0 0 []\n",
	};
	struct item items[32];
	size_t n = variety(items);
	AUTO_BUF out = BUF_INIT;
	struct layer l;
	struct err e;

	assert_int_equal(pack(*state, CODEC_GZIP, NULL, items, n, &l, &e), 0);
	run_on(*state, &l, python, &out);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		if (!strstr(out.s, lines[i]))
			fail_msg("no %s in\n%s", lines[i], out.s);
}

static void gnu_tar_unpacks_files_of_odd_names(void **state)
{
	static const char check[] =
		"mkdir out && tar -xpz --warning=no-unknown-keyword --warning=no-timestamp -C out -f $L &&"
		" cd out &&"
		" cat \"$(printf 'a dir/new\\nline')\" \"$(printf 'a dir/not utf-8 \\377\\376')\""
		" \"$(printf 'a dir/ol\\303\\251')\" " LONG100 "/" LONG50 " " LONG100
		"/" LONG100 "0"
		" hard && stat -c ' %a %Y' past setuid && readlink link | wc -c";
	struct item items[32], subset[32];
	size_t n = variety(items), k = 0;
	AUTO_BUF out = BUF_INIT;
	struct layer l;
	struct err e;

	for (size_t i = 0; i < n; i++) /* what an ordinary user can unpack */
		if (items[i].entry.type != TOC_CHAR && items[i].entry.type != TOC_BLOCK &&
		    !items[i].entry.n_xattrs && !items[i].entry.uid)
			subset[k++] = items[i];
	assert_int_equal(pack(*state, CODEC_GZIP, NULL, subset, k, &l, &e), 0);
	run_on(*state, &l, check, &out);
	if (strncmp(out.s, "oddbytesutf-8ustar prefixpax pathodd 644 -12345\n ", 49) != 0)
		fail_msg("%s", out.s);
	assert_non_null(strstr(out.s, "6755 315619200\n116\n"));
}

/* In the C locale, in which names that are not ASCII are easily lost. */
static void libarchive_gives_names_links_and_attributes_back(void **state)
{
	struct archive *a;
	struct item items[32];
	size_t n = variety(items), xattrs = 0;
	struct archive_entry *got;
	AUTO_BUF tar = BUF_INIT;
	struct err e;

	tar_of(*state, items, n, &tar);
	assert_int_equal(archive_late_load(&e), 0);
	a = archive_read_new();
	archive_read_support_format_tar(a);
	assert_int_equal(archive_read_open_memory(a, tar.s, tar.len), ARCHIVE_OK);
	for (size_t i = 0; i < n; i++) {
		const struct toc_entry *t = &items[i].entry;
		AUTO_BUF name = BUF_INIT;

		assert_int_equal(archive_read_next_header(a, &got), ARCHIVE_OK);
		buf_adds(&name, t->path[0] ? t->path : ".");
		if (t->type == TOC_DIR)
			buf_addc(&name, '/');
		if (t->type != TOC_WHITEOUT && t->type != TOC_OPAQUE)
			assert_string_equal(archive_entry_pathname(got), name.s);
		if (t->type == TOC_SYMLINK)
			assert_string_equal(archive_entry_symlink(got), t->link);
		if (t->type == TOC_HARDLINK)
			assert_string_equal(archive_entry_hardlink(got), t->link);
		assert_int_equal(archive_entry_uid(got), t->uid);
		assert_int_equal(archive_entry_size(got), t->size);
		xattrs += (size_t)archive_entry_xattr_count(got);
	}
	assert_int_equal(archive_read_next_header(a, &got), ARCHIVE_EOF);
	assert_int_equal(xattrs, 2);
	archive_read_free(a);
}

static void a_path_of_4095_bytes_survives(void **state)
{
	static const char python[] =
		"python3 -c 'import os, tarfile\n"
		"for m in tarfile.open(os.environ[\"L\"]): print(len(m.name), m.name[-3:])' && "
		"tar -tf $L | awk '{ print length($0) }'";
	AUTO_BUF path = BUF_INIT;
	AUTO_BUF out = BUF_INIT;
	struct item item;
	struct layer l;
	struct err e;

	while (path.len < 4095 - 51)
		buf_adds(&path, LONG50 "/");
	while (path.len < 4095)
		buf_addc(&path, 'z');
	item = file(path.s, "deep");
	assert_int_equal(pack(*state, CODEC_GZIP, NULL, &item, 1, &l, &e), 0);
	run_on(*state, &l, python, &out);
	assert_string_equal(out.s, "4095 zzz\n4095\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_layer_is_two_blocks_of_zeros),
		TEST(pax_is_used_only_where_needed),
		TEST(names_fill_the_ustar_fields_to_the_last_byte),
		TEST(numbers_beyond_ustar_get_records),
		TEST(peers_read_odd_entries),
		TEST(gnu_tar_unpacks_files_of_odd_names),
		TEST(libarchive_gives_names_links_and_attributes_back),
		TEST(a_path_of_4095_bytes_survives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

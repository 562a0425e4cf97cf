#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "image/pack.h"
#include "os/file.h"
#include "unit/streams.h"

/* --- a store of its own for each test --- */

struct fixture {
	char dir[40];
	int fd;
	struct blobs *blobs;
	struct pool *pool;
};

static int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	struct err e;

	strcpy(f->dir, "/tmp/pack_test.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(blobs_open(&f->blobs, f->fd, false, &e), 0);
	f->pool = pool_new(3);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	struct err e;

	pool_free(f->pool);
	blobs_close(f->blobs);
	close(f->fd);
	assert_int_equal(file_remove_tree(AT_FDCWD, f->dir, &e), 0);
	free(f);
	return 0;
}

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

/* --- packing from memory --- */

struct item {
	struct toc_entry entry;
	const char *data;   /* of a file */
};

static int pack_items(struct packer *p, const struct item *items, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		const char *data = items[i].data;

		if (packer_entry(p, &items[i].entry, e) < 0)
			return -1;
		if (data && packer_data(p, data, strlen(data), e) < 0)
			return -1;
	}
	return 0;
}

static int pack(struct fixture *f, enum codec codec, struct pool *pool, const struct item *items,
                size_t n, struct layer *out, struct err *e)
{
	struct packer *p;
	int rc = packer_open(&p, f->blobs, codec, pool, e);

	if (rc == 0)
		rc = pack_items(p, items, n, e);
	if (rc == 0)
		rc = packer_finish(p, out, e);
	packer_close(p);
	return rc;
}

/* The plain tar stream of a layer that is made of `items`. */
static void tar_of(struct fixture *f, const struct item *items, size_t n, struct buf *tar)
{
	struct layer layer;
	struct err e;

	assert_int_equal(pack(f, CODEC_NONE, NULL, items, n, &layer, &e), 0);
	assert_int_equal(blobs_read(f->blobs, &layer.blob.digest, 64 << 20, tar, &e), 0);
}

static struct item file(const char *path, const char *data)
{
	struct item i = { { .path = path, .type = TOC_FILE, .mode = 0644, .mtime = 315619200 }, data };

	i.entry.size = (int64_t)strlen(data);
	return i;
}

static struct item other(enum toc_type type, const char *path, const char *link)
{
	return (struct item){ { .path = path, .type = type, .mode = 0755, .link = link,
		                .mtime = 315619200 }, NULL };
}

/* Runs a shell command where $L is the layer's file; what it prints is appended. */
static void run_on(struct fixture *f, const struct layer *l, const char *command, struct buf *out)
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

#define LONG50 "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"
#define LONG100 LONG50 LONG50

static const struct toc_xattr caps[] = {
	{ "security.capability", "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20 },
	{ "user.note", "line\nline=1", 11 },
};

/* One of everything. Returns their number. */
static size_t variety(struct item *at)
{
	size_t n = 0;

	at[n] = other(TOC_DIR, "", NULL);
	at[n++].entry.mode = 0755;
	at[n++] = other(TOC_DIR, "a dir", NULL);
	at[n++] = file("a dir/new\nline", "odd");
	at[n++] = file("a dir/not utf-8 \xff\xfe", "bytes");
	at[n++] = file("a dir/ol\xc3\xa9", "utf-8");
	at[n] = other(TOC_CHAR, "a dir/tty", NULL);
	at[n].entry.dev_major = 4;
	at[n++].entry.dev_minor = 64;
	at[n] = other(TOC_BLOCK, "a dir/vda", NULL);
	at[n].entry.dev_major = 254;
	at[n++].entry.dev_minor = 1048575;
	at[n++] = other(TOC_FIFO, "a dir/fifo", NULL);
	at[n++] = file("empty", "");
	at[n++] = other(TOC_HARDLINK, "hard", "a dir/new\nline");
	at[n++] = other(TOC_DIR, LONG100, NULL);
	at[n++] = file(LONG100 "/" LONG50, "ustar prefix");
	at[n++] = file(LONG100 "/" LONG100 "0", "pax path");
	at[n++] = other(TOC_DIR, LONG100 "/" LONG100 "d", NULL);
	at[n] = file("owner", "big ids");
	at[n].entry.uid = 4294967294u;
	at[n++].entry.gid = 2097152;
	at[n] = file("past", "before 1970");
	at[n++].entry.mtime = -12345;
	at[n] = file("setuid", "#!/bin/sh\n");
	at[n++].entry.mode = 06755;
	at[n] = file("with-xattrs", "x");
	at[n].entry.xattrs = caps;
	at[n++].entry.n_xattrs = 2;
	at[n++] = other(TOC_SYMLINK, "link", "../" LONG100 "/../etc/\xc3\xa9 x");
	at[n++] = other(TOC_SYMLINK, "short", "a dir");
	at[n++] = other(TOC_WHITEOUT, "zone/gone", NULL);
	at[n++] = other(TOC_OPAQUE, "zone", NULL);
	return n;
}

/* --- tar stream --- */

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
	/* Raise this only with a new version of every operation's key: layers of users change. */
	assert_string_equal(DIGEST_STR(&one.diff_id), "sha256:3d21d9948880769c0deaf2f9e90540133f3fe1731159b0814c75fe2d1c3c60dd");
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
		assert_int_equal(blobs_read(f->blobs, &l.blob.digest, 1 << 20, &blob, &e), 0);
		assert_int_equal(l.blob.size, blob.len);
		assert_int_equal(decode(c, &blob, &tar, &e), 0);
		digest_of(&d, tar.s, tar.len);
		assert_true(digest_equal(&d, &l.diff_id));
	}
}

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
		         !strcmp(t->path, LONG100);   /* 101 with its slash */
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

/* The header takes it; the table and the archive are never made, since its bytes never come. */
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

/* --- the table of contents --- */

static void the_table_lists_what_the_stream_holds(void **state)
{
	struct fixture *f = *state;
	struct item items[32];
	size_t n = variety(items);
	AUTO_BUF text = BUF_INIT;
	AUTO_BUF tar = BUF_INIT;
	struct toc toc = TOC_INIT;
	struct layer l;
	struct err e;

	assert_int_equal(pack(f, CODEC_NONE, NULL, items, n, &l, &e), 0);
	assert_int_equal(blobs_read(f->blobs, &l.toc, 1 << 20, &text, &e), 0);
	assert_int_equal(blobs_read(f->blobs, &l.blob.digest, 1 << 20, &tar, &e), 0);
	assert_int_equal(toc_decode(&toc, text.s, text.len, &e), 0);
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

/* --- what goes wrong --- */

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
	assert_refused(*state, &shorter, 1, ERR_CORRUPT, "'short' ends 1 bytes too early");
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
	static const char *const paths[] = { "/abs", "a/../b", "..", ".", "a//b", "a/", "./a" };
	struct item owner = file("f", ""), mode = file("f", ""), zero = other(TOC_CHAR, "n", NULL);
	struct toc_xattr equals = { "user.a=b", "", 0 };
	struct item xattr = file("f", "");

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct item bad = file(paths[i], "");

		assert_refused(*state, &bad, 1, ERR_INVALID, paths[i]);
	}
	assert_refused(*state, &(struct item){ other(TOC_DIR, "x/.wh.y", 0).entry, 0 }, 1,
	               ERR_INVALID, ".wh.");
	assert_refused(*state, &(struct item){ file("", "").entry, 0 }, 1, ERR_INVALID, "root");
	assert_refused(*state, &(struct item){ other(TOC_WHITEOUT, "", 0).entry, 0 }, 1,
	               ERR_INVALID, "root");
	assert_refused(*state, &(struct item){ other(TOC_HARDLINK, "a", "../b").entry, 0 }, 1,
	               ERR_INVALID, "'../b'");
	assert_refused(*state, &(struct item){ other(TOC_HARDLINK, "a", "a").entry, 0 }, 1,
	               ERR_INVALID, "'a'");
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

/* --- peers --- */

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
		" \"$(printf 'a dir/ol\\303\\251')\" " LONG100 "/" LONG50 " " LONG100 "/" LONG100 "0"
		" hard && stat -c ' %a %Y' past setuid && readlink link | wc -c";
	struct item items[32], subset[32];
	size_t n = variety(items), k = 0;
	AUTO_BUF out = BUF_INIT;
	struct layer l;
	struct err e;

	for (size_t i = 0; i < n; i++)   /* what an ordinary user can unpack */
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
	struct archive *a = archive_read_new();
	struct item items[32];
	size_t n = variety(items), xattrs = 0;
	struct archive_entry *got;
	AUTO_BUF tar = BUF_INIT;

	tar_of(*state, items, n, &tar);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(the_layer_is_a_function_of_its_entries),
		TEST(media_type_and_size_are_those_of_the_blob),
		TEST(an_empty_layer_is_two_blocks_of_zeros),
		TEST(pax_is_used_only_where_needed),
		TEST(names_fill_the_ustar_fields_to_the_last_byte),
		TEST(numbers_beyond_ustar_get_records),
		TEST(a_file_of_8_gib_that_is_not_there_makes_no_layer),
		TEST(the_table_lists_what_the_stream_holds),
		TEST(other_bytes_than_promised_are_an_error),
		TEST(the_promised_bytes_are_fine),
		TEST(entries_that_nobody_should_read_are_refused),
		TEST(after_an_error_nothing_is_made),
		TEST(peers_read_odd_entries),
		TEST(gnu_tar_unpacks_files_of_odd_names),
		TEST(libarchive_gives_names_links_and_attributes_back),
		TEST(a_path_of_4095_bytes_survives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

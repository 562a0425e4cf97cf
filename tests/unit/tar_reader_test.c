#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "image/tar_reader.h"
#include "image/tar_writer.h"
#include "tars.h"

/* Lists a stream, one line an entry, content behind the path. 0, or -1 and *e. */
static int list(const struct buf *tar, bool layer, const struct image_limits *l,
                size_t step, struct buf *out, struct err *e)
{
	struct toc_entry t;
	struct tar_reader *r;
	struct memory m;
	char data[7];
	ssize_t n = 0;
	int got;

	buf_reset(out);
	memory_init(&m, tar, step);
	r = tar_reader_new(&m.source, layer, l);
	while ((got = tar_reader_next(r, &t, e)) > 0) {
		buf_addf(out, "%c:%s%s%s", t.type, t.path, t.link ? ">" : "",
		         t.link ? t.link : "");
		for (size_t i = 0; i < t.n_xattrs; i++)
			buf_addf(out, " %s", t.xattrs[i].name);
		buf_addc(out, t.type == TOC_FILE ? '=' : '\n');
		while ((n = tar_reader_data(r, data, sizeof(data), e)) > 0)
			buf_add(out, data, (size_t)n);
		if (n < 0)
			break;
		if (t.type == TOC_FILE)
			buf_addc(out, '\n');
	}
	if (got < 0 || n < 0) {
		struct err again;

		assert_int_equal(tar_reader_next(r, &t, &again), -1);
		assert_string_equal(again.msg, e->msg);
	} else {
		assert_int_equal(tar_reader_offset(r), tar->len);
	}
	tar_reader_free(r);
	return got < 0 || n < 0 ? -1 : 0;
}

static void reads_as(const struct buf *tar, bool layer, const char *want)
{
	static const size_t steps[] = { 0, 1, 511, 513 };
	AUTO_BUF out = BUF_INIT;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (list(tar, layer, NULL, steps[i], &out, &e) < 0)
			fail_msg("%s", e.msg);
		assert_string_equal(out.s, want);
	}
}

static void refuses(const struct buf *tar, bool layer, enum err_code code,
                    const char *reason)
{
	AUTO_BUF out = BUF_INIT;
	struct err e;

	if (list(tar, layer, NULL, 0, &out, &e) == 0)
		fail_msg("accepted, but expected: %s", reason);
	if (!strstr(e.msg, reason) || e.code != code)
		fail_msg("expected '%s' (%d), got '%s' (%d)", reason, code, e.msg,
		         e.code);
}

static void plain_archives_are_read(void **state)
{
	AUTO_BUF tar = BUF_INIT;

	(void)state;
	tar_add(&tar, "./", '5', NULL, 0);
	tar_add(&tar, "./etc/", '5', NULL, 0);
	tar_add(&tar, "/etc/motd", '0', "hello, world", 12);
	tar_add(&tar, "empty", '\0', NULL, 0);
	tar_add(&tar, "old-dir/", '\0', NULL, 0);
	tar_link(&tar, "etc//./link", '2', "../../x");
	tar_link(&tar, "hard", '1', "./etc/motd");
	tar_add(&tar, "fifo", '6', NULL, 0);
	tar_device(&tar, '3', 1, 3);
	tar_end(&tar);
	reads_as(&tar, false,
	         "d:\nd:etc\nf:etc/motd=hello, world\nf:empty=\nd:old-dir\n"
	         "l:etc/link>../../x\nh:hard>etc/motd\np:fifo\nc:dev\n");
}

static void names_are_bytes(void **state)
{
	AUTO_BUF tar = BUF_INIT;

	(void)state;
	tar_add(&tar, "\xff\xfe", '0', NULL, 0);
	tar_link(&tar, "\xc3\xa4", '2', "\xe9");
	tar_pax(&tar, "path", "\xff/pax\xe9");
	tar_add(&tar, "short", '0', "1", 1);
	tar_end(&tar);
	reads_as(&tar, false, "f:\xff\xfe=\nl:\xc3\xa4>\xe9\nf:\xff/pax\xe9=1\n");
}

static void whiteouts_are_marks_in_layers_and_refused_elsewhere(void **state)
{
	AUTO_BUF tar = BUF_INIT;

	(void)state;
	tar_add(&tar, "a/.wh.b", '0', NULL, 0);
	tar_add(&tar, "a/.wh..wh..opq", '0', NULL, 0);
	tar_add(&tar, ".wh..wh..opq", '0', NULL, 0);
	tar_link(&tar, ".wh.c", '1', ".wh..wh.aufs");
	tar_add(&tar, ".wh..wh.aufs", '0', NULL, 0);
	tar_add(&tar, ".wh..wh.plnk/", '5', NULL, 0);
	tar_add(&tar, ".wh..wh.plnk/1.2", '0', "x", 1);
	tar_end(&tar);
	reads_as(&tar, true, "w:a/b\no:a\no:\nw:c\n");
	refuses(&tar, false, ERR_INVALID, "not a name");
}

static void refused_name(const char *name, char type, enum err_code code,
                         const char *reason)
{
	AUTO_BUF tar = BUF_INIT;

	tar_add(&tar, name, type, NULL, 0);
	tar_end(&tar);
	refuses(&tar, true, code, reason);
}

static void names_that_climb_or_mean_nothing_are_refused(void **state)
{
	(void)state;
	refused_name("..", '5', ERR_INVALID, "'..'");
	refused_name("a/../../b", '0', ERR_INVALID, "'..'");
	refused_name("/..", '0', ERR_INVALID, "'..'");
	refused_name("", '0', ERR_INVALID, "empty path");
	refused_name(".", '0', ERR_INVALID, "the root is no directory");
	refused_name("/", '2', ERR_INVALID, "empty symlink");
	refused_name("file/", '0', ERR_INVALID, "ends in a slash");
	refused_name(".wh.", '0', ERR_INVALID, "whiteout of nothing");
	refused_name("a/.wh..", '0', ERR_INVALID, "not a name");
	refused_name("a/.wh...", '0', ERR_INVALID, "not a name");
	refused_name("a/.wh..wh.x", '0', ERR_INVALID, "not a name");
	refused_name(".wh.d/x", '0', ERR_INVALID, "not a name");
	refused_name(".wh.x", '5', ERR_INVALID, "no empty file");
}

static void long_name(const char *key, size_t n, bool slashes, enum err_code code,
                      const char *reason)
{
	AUTO_BUF tar = BUF_INIT, name = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		buf_addc(&name, slashes && i % 2 ? '/' : 'n');
	if (*key == 'L')
		tar_add(&tar, "././@LongLink", 'L', name.s, name.len + 1);
	else
		tar_pax(&tar, key, name.s);
	tar_add(&tar, "short", '0', NULL, 0);
	tar_end(&tar);
	refuses(&tar, true, code, reason);
}

static void over_long_names_are_refused(void **state)
{
	(void)state;
	long_name("path", 256, false, ERR_INVALID, "longer than 255");
	long_name("L", 256, false, ERR_INVALID, "longer than 255");
	long_name("path", 4097, true, ERR_LIMIT, "longer than 4095");
	long_name("L", 4097, true, ERR_LIMIT, "longer than 4095");
	long_name("L", 100000, true, ERR_LIMIT, "a name of 100001 bytes");
}

static void links_that_mean_nothing_are_refused(void **state)
{
	static const struct {
		char type;
		const char *target, *reason;
	} rows[] = {
		{ '1', "../x", "'..'" },
		{ '1', "/", "hard link to the root" },
		{ '1', "./l", "hard link to itself" },
		{ '1', "", "empty path" },
		{ '1', "a/.wh.b", "hard link to a whiteout" },
		{ '2', "", "empty symlink" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF tar = BUF_INIT;

		tar_link(&tar, "l", rows[i].type, rows[i].target);
		tar_end(&tar);
		refuses(&tar, true, ERR_INVALID, rows[i].reason);
	}
}

/* One header with some bytes changed before the checksum is made. */
static void changed(char type, int at, const void *bytes, size_t n, enum err_code code,
                    const char *reason)
{
	AUTO_BUF tar = BUF_INIT;
	char block[512];

	tar_block(block, "name", type, 0);
	memcpy(block + at, bytes, n);
	tar_put(&tar, block, NULL, 0);
	tar_end(&tar);
	refuses(&tar, true, code, reason);
}

static void odd_headers_are_refused(void **state)
{
	static const char minus_one[] =
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";

	(void)state;
	for (const char *t = "789AVMNDXZ\n\x80"; *t; t++)
		changed(*t, FIELD_UID, "0", 1, ERR_INVALID, "unknown entry type");
	changed('0', FIELD_MAGIC,
	        "ustar\0"
	        "01",
	        8, ERR_CORRUPT, "unknown tar format");
	changed('0', FIELD_MAGIC,
	        "USTAR\0"
	        "00",
	        8, ERR_CORRUPT, "unknown tar format");
	changed('0', FIELD_SIZE, minus_one, 12, ERR_CORRUPT, "bad size");
	changed('0', FIELD_SIZE, "\x80\0\0\0\x80\0\0\0\0\0\0\0", 12, ERR_CORRUPT,
	        "bad size");
	changed('0', FIELD_SIZE, "\x80\1\0\0\0\0\0\0\0\0\0\0", 12, ERR_CORRUPT,
	        "bad size");
	changed('0', FIELD_SIZE, "\x81\0\0\0\0\0\0\0\0\0\0\0", 12, ERR_CORRUPT,
	        "bad size");
	changed('0', FIELD_SIZE, "0000000000x", 11, ERR_CORRUPT, "bad size");
	changed('0', FIELD_SIZE, "-0000000001", 11, ERR_CORRUPT, "bad size");
	changed('0', FIELD_SIZE, "77777777777", 11, ERR_CORRUPT, "cut");
	changed('0', FIELD_SIZE, "\x80\0\0\0\x7f\0\0\0\0\0\0\0", 12, ERR_LIMIT,
	        "unpacks to more");
	changed('0', FIELD_UID, minus_one, 8, ERR_INVALID, "bad owner");
	changed('0', FIELD_UID, "\x80\0\0\0\xff\xff\xff\xff", 8, ERR_INVALID,
	        "bad owner");
	changed('0', FIELD_UID, "\x80\0\0\1\0\0\0\0", 8, ERR_INVALID, "bad owner");
	changed('0', FIELD_UID, "0000009", 7, ERR_INVALID, "bad owner");
	changed('0', FIELD_MODE, "-000644", 7, ERR_INVALID, "bad mode");
	changed('0', FIELD_MTIME, "yesterday", 9, ERR_INVALID, "bad time");
	changed('5', FIELD_SIZE, "00000000001", 11, ERR_INVALID, "no file");
	changed('1', FIELD_LINK, "\0", 1, ERR_INVALID, "empty path");
}

static void a_bad_checksum_is_refused(void **state)
{
	AUTO_BUF tar = BUF_INIT;

	(void)state;
	tar_add(&tar, "name", '0', NULL, 0);
	tar_end(&tar);
	tar.s[0] = 'N';
	refuses(&tar, true, ERR_CORRUPT, "checksum");
}

static void devices_that_overlay_would_take_for_whiteouts_are_refused(void **state)
{
	static const struct {
		char type;
		unsigned major, minor;
		const char *reason;
	} rows[] = {
		{ '3', 0, 0, "0:0" },
		{ '3', 0x1000, 0, "bad device" },
		{ '3', 0, 0x100000, "bad device" },
		{ '4', 0x1000, 1, "bad device" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF tar = BUF_INIT;

		tar_device(&tar, rows[i].type, rows[i].major, rows[i].minor);
		tar_end(&tar);
		refuses(&tar, true, ERR_INVALID, rows[i].reason);
	}
}

static void pax_overrides_the_header(void **state)
{
	AUTO_BUF tar = BUF_INIT, body = BUF_INIT;
	struct toc_entry t;
	struct tar_reader *r;
	struct memory m;
	struct err e;

	(void)state;
	pax_record(&body, "path", "long/name", 9);
	pax_record(&body, "size", "3", 1);
	pax_record(&body, "uid", "4294967294", 10);
	pax_record(&body, "mtime", "-1.5", 4);
	pax_record(&body, "SCHILY.xattr.user.b", "1\0\n2", 4);
	pax_record(&body, "LIBARCHIVE.xattr.user.b", "WFg", 3);
	pax_record(&body, "LIBARCHIVE.xattr.user%2ea", "WFg", 3);
	pax_record(&body, "SCHILY.xattr.trusted.overlay.opaque", "y", 1);
	pax_record(&body, "SCHILY.xattr.user.overlay.whiteout", "y", 1);
	pax_record(&body, "uname", "root", 4);
	tar_add(&tar, "pax", 'x', body.s, body.len);
	tar_add(&tar, "short", '0', NULL, 0);
	buf_adds(&tar, "abc");
	tar_pad(&tar);
	tar_end(&tar);
	reads_as(&tar, true, "f:long/name user.a user.b=abc\n");
	memory_init(&m, &tar, 0);
	r = tar_reader_new(&m.source, true, NULL);
	assert_int_equal(tar_reader_next(r, &t, &e), 1);
	assert_int_equal(t.uid, 4294967294u);
	assert_int_equal(t.mtime, -2);
	assert_int_equal(t.offset, 1024 + 512);
	assert_int_equal(t.xattrs[0].size, 2);
	assert_memory_equal(t.xattrs[0].value, "XX", 2);
	assert_int_equal(t.xattrs[1].size, 4);
	assert_memory_equal(t.xattrs[1].value, "1\0\n2", 4);
	tar_reader_free(r);
}

/* Rounded down, with what is left above that; and as our writer has it. */
static void fractions_of_times_come_back(void **state)
{
	static const struct {
		int64_t seconds;
		int32_t nsec;
		const char *text; /* NULL: as we write it */
	} rows[] = {
		{ 0, 1, NULL },
		{ 1700000000, 999999999, NULL },
		{ -1, 500000000, NULL },
		{ -5, 300000000, NULL },
		{ (int64_t)1 << 40, 7, NULL },
		{ 5, 120000000, "5.12" },
		{ 5, 0, "5." },
		{ 5, 123456789, "5.1234567899999" },
		{ -2, 500000000, "-1.5" },
		{ -1, 999999999, "-0.0000000001" },
		{ -3, 0, "-3.000" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct toc_entry want = { .path = "f", .type = TOC_FILE }, t;
		AUTO_BUF tar = BUF_INIT, body = BUF_INIT;
		struct tar_reader *r;
		struct memory m;
		struct err e;

		want.mtime = rows[i].seconds;
		if (rows[i].text) {
			pax_record(&body, "mtime", rows[i].text, strlen(rows[i].text));
			tar_add(&tar, "pax", 'x', body.s, body.len);
			tar_add(&tar, "f", '0', NULL, 0);
		} else {
			assert_int_equal(
				tar_write_header_at(&tar, &want, rows[i].nsec, &e), 0);
		}
		tar_end(&tar);
		memory_init(&m, &tar, 0);
		r = tar_reader_new(&m.source, true, NULL);
		assert_int_equal(tar_reader_next(r, &t, &e), 1);
		assert_int_equal(t.mtime, rows[i].seconds);
		assert_int_equal(tar_reader_nsec(r), rows[i].nsec);
		tar_reader_free(r);
	}
}

static void refused_pax(char type, const char *body, size_t n, enum err_code code,
                        const char *reason)
{
	AUTO_BUF tar = BUF_INIT;

	tar_add(&tar, "pax", type, body, n);
	tar_add(&tar, "name", '0', NULL, 0);
	tar_end(&tar);
	refuses(&tar, true, code, reason);
}

static void odd_pax_headers_are_refused(void **state)
{
	static const struct {
		const char *body, *reason;
		enum err_code code;
	} rows[] = {
		{ "9 path=a", "bad pax", ERR_CORRUPT },
		{ "8 path=a\n", "bad pax", ERR_CORRUPT },
		{ "11 path=a\n", "bad pax", ERR_CORRUPT },
		{ "09 path=a\n", "bad pax", ERR_CORRUPT },
		{ "-9 path=a\n", "bad pax", ERR_CORRUPT },
		{ "99999999999999999999 path=a\n", "bad pax", ERR_CORRUPT },
		{ "8 patha\n", "bad pax", ERR_CORRUPT },
		{ "5 =a\n", "bad pax", ERR_CORRUPT },
		{ "path=a\n", "bad pax", ERR_CORRUPT },
		{ "8 path=\n", "bad value", ERR_INVALID },
		{ "9 size=-\n", "bad value", ERR_INVALID },
		{ "11 size=-1\n", "bad value", ERR_INVALID },
		{ "28 size=9223372036854775808\n", "bad value", ERR_INVALID },
		{ "18 uid=4294967295\n", "bad owner", ERR_INVALID },
		{ "18 gid=4294967296\n", "bad owner", ERR_INVALID },
		{ "12 mtime=1x\n", "bad value", ERR_INVALID },
		{ "9 path=a\n9 path=b\n", "twice", ERR_INVALID },
		{ "18 SCHILY.xattr.=\n", "bad extended", ERR_INVALID },
		{ "25 LIBARCHIVE.xattr.a=A*\n", "bad extended", ERR_INVALID },
		{ "28 LIBARCHIVE.xattr.a%00=AA\n", "bad extended", ERR_INVALID },
		{ "20 SCHILY.xattr.a=1\n20 SCHILY.xattr.a=2\n", "twice", ERR_INVALID },
		{ "21 SCHILY.realsize=1\n", "disagree", ERR_INVALID },
		{ "22 GNU.sparse.major=2\n", "unknown sparse", ERR_INVALID },
		{ "25 GNU.sparse.realsize=9\n22 GNU.sparse.map=0,9\n", "bad sparse map",
		  ERR_CORRUPT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		refused_pax('x', rows[i].body, strlen(rows[i].body), rows[i].code,
		            rows[i].reason);
	refused_pax('x', "11 path=a\0b\n", 12, ERR_CORRUPT, "bad pax");
	refused_pax('x', "12 path=a\0b\n", 12, ERR_INVALID, "bad value");
	refused_pax('x', "16 linkpath=a\0b\n", 16, ERR_INVALID, "bad value");
	refused_pax('g', "9 path=a\n", 9, ERR_INVALID, "global");
	refused_pax('g', "junk", 4, ERR_CORRUPT, "bad pax");
	refused_pax('L', "a\0b", 3, ERR_INVALID, "bad long name");
	refused_pax('L', "\0", 1, ERR_INVALID, "bad long name");
}

static void two_names_for_one_entry_are_refused(void **state)
{
	static const char *const pairs[] = { "Lx", "xL", "LL", "xx" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		AUTO_BUF tar = BUF_INIT;

		for (const char *p = pairs[i]; *p; p++) {
			if (*p == 'L')
				tar_add(&tar, "l", 'L', "gnu", 4);
			else
				tar_pax(&tar, "path", "pax");
		}
		tar_add(&tar, "name", '0', NULL, 0);
		tar_end(&tar);
		refuses(&tar, true, ERR_INVALID,
		        pairs[i][0] == 'x' && pairs[i][1] == 'x' ? "two pax headers"
		                                                 : "long name");
	}
}

static void what_follows_the_end_must_be_zeros(void **state)
{
	AUTO_BUF tar = BUF_INIT;

	(void)state;
	tar_add(&tar, "f", '0', "x", 1);
	tar_end(&tar);
	for (int i = 0; i < 9 * 1024 + 3; i++)
		buf_addc(&tar, '\0');
	reads_as(&tar, true, "f:f=x\n");
	buf_addc(&tar, '!');
	refuses(&tar, true, ERR_CORRUPT, "after the end");
	buf_truncate(&tar, 1024 + 512);
	tar_add(&tar, "g", '0', NULL, 0);
	refuses(&tar, true, ERR_CORRUPT, "after the end");
}

static void an_archive_without_end_is_cut_but_a_layer_may_be_so(void **state)
{
	AUTO_BUF tar = BUF_INIT, empty = BUF_INIT;

	(void)state;
	tar_add(&tar, "f", '0', "x", 1);
	reads_as(&tar, true, "f:f=x\n");
	refuses(&tar, false, ERR_CORRUPT, "cut");
	reads_as(&empty, true, "");
	tar_pax(&tar, "path", "g");
	refuses(&tar, true, ERR_CORRUPT, "without its entry");
}

static void every_cut_inside_an_entry_is_refused(void **state)
{
	AUTO_BUF tar = BUF_INIT;

	(void)state;
	tar_pax(&tar, "path", "name");
	tar_add(&tar, "x", '0', "0123456789", 10);
	for (size_t n = tar.len; n-- > 1;) {
		buf_truncate(&tar, n);
		refuses(&tar, true, ERR_CORRUPT, n == 1024 ? "without its entry" : "cut");
	}
}

static void over(const struct buf *tar, const struct image_limits *l, const char *reason)
{
	AUTO_BUF out = BUF_INIT;
	struct err e;

	assert_int_equal(list(tar, true, l, 0, &out, &e), -1);
	assert_non_null(strstr(e.msg, reason));
	assert_int_equal(e.code, ERR_LIMIT);
}

static void limits_hold(void **state)
{
	struct image_limits l = IMAGE_LIMITS_DEFAULT;
	AUTO_BUF tar = BUF_INIT, out = BUF_INIT;
	struct err e;

	(void)state;
	tar_pax(&tar, "comment", "none");
	tar_add(&tar, "a", '0', "1", 1);
	tar_add(&tar, "b", '0', "2", 1);
	tar_end(&tar);
	l.unpacked = (int64_t)tar.len;
	l.entries = 2;
	assert_int_equal(list(&tar, true, &l, 0, &out, &e), 0);
	l.unpacked--;
	over(&tar, &l, "unpacks to more");
	l.unpacked++;
	l.entries--;
	over(&tar, &l, "entries");
	l.entries++;
	l.pax = 8;
	over(&tar, &l, "pax header");
}

/* "d": a GNU type S header with holes around "mid", 10 bytes in all. */
static void sparse(struct buf *tar, const char *realsize, const char *offset,
                   const char *n)
{
	char block[512];

	tar_block(block, "d", 'S', 3);
	memcpy(block + FIELD_MAGIC, "ustar  \0", 8);
	memcpy(block + 386, offset, strlen(offset));
	memcpy(block + 398, n, strlen(n));
	memcpy(block + 483, realsize, strlen(realsize));
	tar_put(tar, block, "mid", 3);
	tar_end(tar);
}

static void sparse_files_are_expanded_and_their_holes_counted(void **state)
{
	struct image_limits l = IMAGE_LIMITS_DEFAULT;
	AUTO_BUF tar = BUF_INIT, out = BUF_INIT, huge = BUF_INIT;
	struct err e;

	(void)state;
	sparse(&tar, "00000000012", "00000000004", "00000000003");
	assert_int_equal(list(&tar, true, NULL, 0, &out, &e), 0);
	assert_int_equal(out.len, 4 + 10 + 1);
	assert_memory_equal(out.s, "f:d=\0\0\0\0mid\0\0\0\n", 15);
	sparse(&huge, "\x80\0\0\0\0\0\0\x20", "00000000004", "00000000003");
	l.unpacked = (int64_t)tar.len + 6;
	over(&tar, &l, "unpacks to more");
}

static void odd_sparse_maps_are_refused(void **state)
{
	static const char *const rows[][3] = {
		{ "00000000012", "00000000010", "00000000003" }, /* beyond the end */
		{ "00000000012", "00000000000", "00000000002" }, /* less than is stored */
		{ "00000000012", "00000000000", "00000000004" }, /* more */
		{ "0000000001x", "00000000000", "00000000003" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF tar = BUF_INIT;

		sparse(&tar, rows[i][0], rows[i][1], rows[i][2]);
		refuses(&tar, true, ERR_CORRUPT, "bad sparse map");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_archives_are_read),
		cmocka_unit_test(names_are_bytes),
		cmocka_unit_test(whiteouts_are_marks_in_layers_and_refused_elsewhere),
		cmocka_unit_test(names_that_climb_or_mean_nothing_are_refused),
		cmocka_unit_test(over_long_names_are_refused),
		cmocka_unit_test(links_that_mean_nothing_are_refused),
		cmocka_unit_test(odd_headers_are_refused),
		cmocka_unit_test(a_bad_checksum_is_refused),
		cmocka_unit_test(
			devices_that_overlay_would_take_for_whiteouts_are_refused),
		cmocka_unit_test(pax_overrides_the_header),
		cmocka_unit_test(fractions_of_times_come_back),
		cmocka_unit_test(odd_pax_headers_are_refused),
		cmocka_unit_test(two_names_for_one_entry_are_refused),
		cmocka_unit_test(what_follows_the_end_must_be_zeros),
		cmocka_unit_test(an_archive_without_end_is_cut_but_a_layer_may_be_so),
		cmocka_unit_test(every_cut_inside_an_entry_is_refused),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(sparse_files_are_expanded_and_their_holes_counted),
		cmocka_unit_test(odd_sparse_maps_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* libarchive does not see a stranger's headers. What our parser (tar_member.c) made of
 * them is written anew, one plain header an entry, and that stream is what libarchive
 * reads: so it meets no numbers, names or extensions that it takes in another way than we
 * do, and converts no name for the locale. What it says of each entry must still be what
 * we say. */
#include "image/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>

#include "image/archive_late.h"
#include "image/tar_parse.h"

enum stage { AT_HEADER, IN_DATA, IN_PADDING, AT_END };

struct tar_reader {
	struct tar_input in;
	struct tar_rules rules;
	struct tar_member member;
	struct archive *archive;
	struct buf head; /* the header that libarchive is given */
	enum stage stage;
	int64_t left;          /* bytes of the member's data not yet given */
	uint64_t parsed, told; /* members: by us, by libarchive */
	int64_t at;            /* in the file's content */
	size_t region;         /* of a sparse file */
	int64_t in_region;     /* bytes of it that were read */
	bool failed;
	struct err why; /* of what failed below libarchive */
};

enum {
	NAME_N = 100,
	PATH_LIMIT = 4095, /* of a table of contents: a larger setting does not raise it
	                    */
};

static void put_octal(char *field, size_t n, uint64_t v)
{
	field[--n] = '\0';
	while (n-- > 0) {
		field[n] = (char)('0' + (v & 7));
		v >>= 3;
	}
}

static void put_base256(char *field, size_t n, uint64_t v)
{
	while (--n > 0) {
		field[n] = (char)(v & 0xff);
		v >>= 8;
	}
	field[0] = (char)0x80;
}

static void put_checksum(char *block)
{
	unsigned sum = 0;

	memset(block + 148, ' ', 8);
	for (int i = 0; i < TAR_BLOCK; i++)
		sum += (unsigned char)block[i];
	put_octal(block + 148, 7, sum);
}

static void put_record(struct buf *out, const char *key, const char *value)
{
	size_t n = strlen(key) + strlen(value) + 3, digits = 1;

	for (size_t v = 10; v <= n + digits; v *= 10)
		digits++;
	buf_addf(out, "%zu %s=%s\n", n + digits, key, value);
}

static void put_block(struct buf *out, const char *block)
{
	buf_add(out, block, TAR_BLOCK);
}

static void put_pax(struct buf *out, const char *name, const char *link)
{
	static const char zeros[TAR_BLOCK];
	AUTO_BUF body = BUF_INIT;
	char block[TAR_BLOCK] = "pax";

	put_record(&body, "hdrcharset", "BINARY");
	put_record(&body, "path", name);
	if (*link)
		put_record(&body, "linkpath", link);
	put_octal(block + 100, 8, 0644);
	put_octal(block + 124, 12, body.len);
	block[156] = 'x';
	memcpy(block + 257, "ustar\00000", 8);
	put_checksum(block);
	put_block(out, block);
	buf_add(out, body.s, body.len);
	buf_add(out, zeros, (size_t)tar_input_padding((int64_t)body.len));
}

static char type_flag(enum toc_type type)
{
	switch (type) {
	case TOC_HARDLINK: return '1';
	case TOC_SYMLINK: return '2';
	case TOC_CHAR: return '3';
	case TOC_BLOCK: return '4';
	case TOC_DIR: return '5';
	case TOC_FIFO: return '6';
	default: return '0'; /* whiteouts are empty files */
	}
}

static const char *given_name(const struct tar_member *m)
{
	return m->name.len ? m->name.s : ".";
}

static void put_header(struct buf *out, const struct tar_member *m)
{
	const struct toc_entry *t = &m->entry;
	const char *name = given_name(m), *link = t->link ? t->link : "";
	char block[TAR_BLOCK] = { 0 };

	buf_reset(out);
	if (strlen(name) > NAME_N || strlen(link) > NAME_N)
		put_pax(out, name, link);
	memcpy(block, name, strnlen(name, NAME_N));
	put_octal(block + 100, 8, t->mode);
	put_base256(block + 108, 8, t->uid);
	put_base256(block + 116, 8, t->gid);
	put_base256(block + 124, 12, (uint64_t)m->stored);
	put_octal(block + 136, 12, 0);
	block[156] = type_flag(t->type);
	memcpy(block + 157, link, strnlen(link, NAME_N));
	memcpy(block + 257, "ustar\00000", 8);
	put_octal(block + 329, 8, t->dev_major);
	put_octal(block + 337, 8, t->dev_minor);
	put_checksum(block);
	put_block(out, block);
}

/* The next piece of the stream for libarchive: count, 0 at the end, -1. */
static ssize_t next_piece(struct tar_reader *t, const void **piece, struct err *e)
{
	static const char zeros[2 * TAR_BLOCK];
	ssize_t n;
	int r;

	if (t->stage == IN_DATA && t->left == 0)
		t->stage = IN_PADDING;
	if (t->stage == IN_PADDING) {
		n = (ssize_t)tar_input_padding(t->member.stored);
		if (tar_input_skip(&t->in, n, e) < 0)
			return -1;
		t->stage = AT_HEADER;
		*piece = zeros;
		if (n)
			return n;
	}
	if (t->stage == IN_DATA) {
		n = tar_input_fill(&t->in, e);
		if (n <= 0)
			return n < 0 ? -1
			             : err_set(e, ERR_CORRUPT, "the tar stream is cut");
		*piece = t->in.buf + t->in.pos;
		n = n < t->left ? n : (ssize_t)t->left;
		tar_input_take(&t->in, (size_t)n);
		t->left -= n;
		return n;
	}
	if (t->stage == AT_END)
		return 0;
	r = tar_member_next(&t->member, &t->in, &t->rules, e);
	if (r < 0)
		return -1;
	t->stage = r ? IN_DATA : AT_END;
	*piece = zeros;
	if (!r)
		return sizeof(zeros);
	t->left = t->member.stored;
	t->parsed++;
	put_header(&t->head, &t->member);
	*piece = t->head.s;
	return (ssize_t)t->head.len;
}

static la_ssize_t on_read(struct archive *a, void *self, const void **piece)
{
	struct tar_reader *t = self;
	ssize_t n;

	(void)a;
	if (t->failed)
		return ARCHIVE_FATAL;
	n = next_piece(t, piece, &t->why);
	if (n < 0)
		t->failed = true;
	return n < 0 ? ARCHIVE_FATAL : n;
}

struct tar_reader *tar_reader_new(struct source *in, bool layer,
                                  const struct image_limits *l)
{
	struct tar_reader *t = mem_alloc(sizeof(*t));

	t->rules.limits = l ? *l : *image_limits();
	if (t->rules.limits.path > PATH_LIMIT)
		t->rules.limits.path = PATH_LIMIT;
	t->rules.layer = layer;
	tar_input_init(&t->in, in, t->rules.limits.unpacked);
	tar_member_init(&t->member, &t->rules.limits);
	t->head = (struct buf)BUF_INIT;
	return t;
}

void tar_reader_free(struct tar_reader *t)
{
	if (!t)
		return;
	if (t->archive)
		archive_read_free(t->archive);
	tar_member_fini(&t->member);
	tar_input_fini(&t->in);
	buf_fini(&t->head);
	free(t);
}

int32_t tar_reader_nsec(const struct tar_reader *t)
{
	return t->member.ext.has_mtime ? t->member.ext.mtime_nsec : 0;
}

int64_t tar_reader_offset(const struct tar_reader *t)
{
	return t->in.offset;
}

/* Nothing can be read after an error. Of two, the first is told. */
static int fail(struct tar_reader *t, const char *why, struct err *e)
{
	if (!t->failed)
		err_set(&t->why, ERR_CORRUPT, "tar entry '%.400s': %s",
		        given_name(&t->member), why ? why : "cannot be read");
	t->failed = true;
	*e = t->why;
	return -1;
}

static int fail_below(struct tar_reader *t, struct err *e)
{
	return fail(t, t->failed ? NULL : archive_error_string(t->archive), e);
}

/* Reads already: opening asks for the first bytes. */
static int open_archive(struct tar_reader *t)
{
	struct archive *a;

	if (archive_late_load(&t->why) < 0) {
		t->failed = true;
		return -1;
	}
	a = t->archive = archive_read_new();
	if (!a)
		abort(); /* out of memory */
	return archive_read_support_format_tar(a) == ARCHIVE_OK &&
	                       archive_read_support_filter_none(a) == ARCHIVE_OK &&
	                       archive_read_set_read_callback(a, on_read) == ARCHIVE_OK &&
	                       archive_read_set_callback_data(a, t) == ARCHIVE_OK &&
	                       archive_read_open1(a) == ARCHIVE_OK
	               ? 0
	               : -1;
}

static bool same_text(const char *said, const char *ours)
{
	return said && ours ? !strcmp(said, ours) : !said && !ours;
}

static bool same_type(struct archive_entry *a, enum toc_type type)
{
	switch (type) {
	case TOC_HARDLINK: return archive_entry_hardlink(a);
	case TOC_SYMLINK: return archive_entry_filetype(a) == AE_IFLNK;
	case TOC_CHAR: return archive_entry_filetype(a) == AE_IFCHR;
	case TOC_BLOCK: return archive_entry_filetype(a) == AE_IFBLK;
	case TOC_DIR: return archive_entry_filetype(a) == AE_IFDIR;
	case TOC_FIFO: return archive_entry_filetype(a) == AE_IFIFO;
	default:
		return archive_entry_filetype(a) == AE_IFREG &&
		       !archive_entry_hardlink(a);
	}
}

static bool agrees(const struct tar_reader *t, struct archive_entry *a)
{
	const struct toc_entry *ours = &t->member.entry;
	bool device = ours->type == TOC_CHAR || ours->type == TOC_BLOCK;

	if (!same_text(archive_entry_pathname(a), given_name(&t->member)) ||
	    !same_type(a, ours->type) || archive_entry_size(a) != t->member.stored)
		return false;
	if (ours->type == TOC_SYMLINK && !same_text(archive_entry_symlink(a), ours->link))
		return false;
	if (ours->type == TOC_HARDLINK &&
	    !same_text(archive_entry_hardlink(a), ours->link))
		return false;
	if (device && (archive_entry_rdevmajor(a) != ours->dev_major ||
	               archive_entry_rdevminor(a) != ours->dev_minor))
		return false;
	return archive_entry_perm(a) == ours->mode && archive_entry_uid(a) == ours->uid &&
	       archive_entry_gid(a) == ours->gid;
}

int tar_reader_next(struct tar_reader *t, struct toc_entry *entry, struct err *e)
{
	struct archive_entry *a;
	int r;

	if (t->failed || (!t->archive && open_archive(t) < 0))
		return fail_below(t, e);
	do {
		r = archive_read_next_header(t->archive, &a);
		if (r == ARCHIVE_EOF && t->stage == AT_END && t->told == t->parsed)
			return 0;
		if (r != ARCHIVE_OK)
			return fail_below(t, e);
		if (++t->told != t->parsed || !agrees(t, a))
			return fail(t, "two parsers disagree", e);
	} while (t->member.ignored);
	t->at = t->in_region = 0;
	t->region = 0;
	*entry = t->member.entry;
	return 1;
}

/* Stored bytes, all n of them unless the data ends. */
static ssize_t read_stored(struct tar_reader *t, void *data, size_t n, struct err *e)
{
	la_ssize_t got = archive_read_data(t->archive, data, n);

	return got < 0 ? fail_below(t, e) : got;
}

static ssize_t min_size(size_t n, int64_t max)
{
	return (int64_t)n < max ? (ssize_t)n : (ssize_t)max;
}

static ssize_t read_sparse(struct tar_reader *t, void *data, size_t n, struct err *e)
{
	const struct tar_sparse *s = &t->member.ext.sparse;
	const struct tar_region *r;
	int64_t hole_end;
	ssize_t got;

	while (t->region < s->regions.len &&
	       t->in_region == s->regions.at[t->region].size) {
		t->region++;
		t->in_region = 0;
	}
	r = t->region < s->regions.len ? &s->regions.at[t->region] : NULL;
	hole_end = r ? r->offset : s->realsize;
	if (t->at < hole_end) {
		got = min_size(n, hole_end - t->at);
		memset(data, 0, (size_t)got);
	} else {
		got = r ? read_stored(t, data,
		                      (size_t)min_size(n, r->size - t->in_region), e)
		        : 0;
		t->in_region += got;
	}
	return got;
}

ssize_t tar_reader_data(struct tar_reader *t, void *data, size_t n, struct err *e)
{
	ssize_t got;

	if (t->failed)
		return fail_below(t, e);
	if (t->member.entry.type != TOC_FILE || n == 0)
		return 0;
	got = t->member.ext.sparse.on ? read_sparse(t, data, n, e)
	                              : read_stored(t, data, n, e);
	if (got < 0)
		return -1;
	t->at += got;
	if (got == 0 && t->at != t->member.entry.size)
		return fail(t, "is short", e);
	return got;
}

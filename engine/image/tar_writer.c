/* An entry is one ustar header (POSIX.1-1988), or, where that cannot say it, a pax
 * extended header (POSIX.1-2001, typeflag x) before it. Which form is used depends on the
 * entry alone:
 *
 * - path, linkpath: not ASCII, or too long for name (100) with prefix (155), or for
 *   linkname (100); with hdrcharset=BINARY when not ASCII, since these are bytes in no
 *   known charset
 * - size: 8 GiB or more
 * - uid, gid: above 2097151
 * - mtime: negative, 2^33 or more, or with a fraction
 * - SCHILY.xattr.*: always
 *
 * Records stand in that order, hdrcharset first. A field whose record says more holds 0,
 * or a cut ASCII form of the name. Directories' names end in a slash; the root is "./".
 * User and group names are empty; there is no atime or ctime. Whiteouts are empty files
 * of fixed metadata. */
#include "image/tar_writer.h"

#include <stdio.h>
#include <string.h>

enum {
	NAME_SIZE = 100,
	PREFIX_SIZE = 155,
	ID_MAX = 07777777,
	LINK_LIMIT = 4095,
	XATTR_NAME_LIMIT = 255,
	PAX_LIMIT = 1 << 20, /* Go's archive/tar, and we, read no larger ones */
	MARK_MODE = 0644,
	MARK_MTIME = 315619200, /* 1980: as everything of no date of its own */
};

struct ustar {
	char name[NAME_SIZE];
	char mode[8], uid[8], gid[8];
	char size[12], mtime[12];
	char checksum[8];
	char type;
	char link[NAME_SIZE];
	char magic[6], version[2];
	char uname[32], gname[32];
	char major[8], minor[8];
	char prefix[PREFIX_SIZE];
	char unused[12];
};

_Static_assert(sizeof(struct ustar) == TAR_WRITE_BLOCK, "a tar header is one block");

size_t tar_write_padding(int64_t size)
{
	return (size_t)(-size & (TAR_WRITE_BLOCK - 1));
}

static bool is_mark(const struct toc_entry *t)
{
	return t->type == TOC_WHITEOUT || t->type == TOC_OPAQUE;
}

static bool is_ascii(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

/* Zero-padded octal that fills the field but for a NUL. */
static void octal(char *field, size_t size, uint64_t v)
{
	field[size - 1] = '\0';
	for (size_t i = size - 1; i-- > 0; v >>= 3)
		field[i] = (char)('0' + (v & 7));
}

#define OCTAL(field, v) octal((field), sizeof(field), (uint64_t)(v))

/* The name as it stands in the archive. */
static void archive_name(struct buf *out, const struct toc_entry *t)
{
	const char *slash = strrchr(t->path, '/');
	const char *base = slash ? slash + 1 : t->path;

	switch (t->type) {
	case TOC_WHITEOUT:
		buf_add(out, t->path, (size_t)(base - t->path));
		buf_addf(out, ".wh.%s", base);
		break;
	case TOC_OPAQUE:
		buf_addf(out, "%s%s.wh..wh..opq", t->path, t->path[0] ? "/" : "");
		break;
	case TOC_DIR: buf_addf(out, "%s/", t->path[0] ? t->path : "."); break;
	default: buf_adds(out, t->path);
	}
}

/* "LENGTH key=value\n", where LENGTH counts itself. */
static void pax_record(struct buf *out, const char *key, const void *value, size_t n)
{
	size_t rest = strlen(key) + n + 3; /* space, =, newline */
	size_t total = rest, before;

	do {
		before = total;
		total = rest + (size_t)snprintf(NULL, 0, "%zu", before);
	} while (total != before);
	buf_addf(out, "%zu %s=", total, key);
	buf_add(out, value, n);
	buf_addc(out, '\n');
}

static void pax_text(struct buf *out, const char *key, const char *value)
{
	pax_record(out, key, value, strlen(value));
}

static void pax_int(struct buf *out, const char *key, int64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)v);
	pax_text(out, key, text);
}

/* Splits a long name at a slash: the leftmost that leaves at most NAME_SIZE bytes. */
static const char *split_name(const char *name, size_t n)
{
	const char *slash = strchr(name + n - NAME_SIZE - 1, '/');

	if (!slash || slash == name || slash - name > PREFIX_SIZE || !slash[1])
		return NULL;
	return slash;
}

/* What of a name fits a field when pax has the whole. No slash is left at its end, by
 * which old readers know directories. */
static void cut_name(char *field, const char *name)
{
	size_t n = 0;

	for (; *name && n < NAME_SIZE; name++)
		if ((unsigned char)*name < 0x80)
			field[n++] = *name;
	while (n && field[n - 1] == '/')
		field[--n] = '\0';
}

static void put_name(struct ustar *h, struct buf *pax, const char *name)
{
	size_t n = strlen(name);
	const char *slash = n > NAME_SIZE ? split_name(name, n) : NULL;

	if (!is_ascii(name) || (n > NAME_SIZE && !slash)) {
		pax_text(pax, "path", name);
		cut_name(h->name, name);
	} else if (slash) {
		memcpy(h->prefix, name, (size_t)(slash - name));
		memcpy(h->name, slash + 1, n - (size_t)(slash + 1 - name));
	} else {
		memcpy(h->name, name, n);
	}
}

static void put_link(struct ustar *h, struct buf *pax, const char *link)
{
	size_t n = strlen(link);

	if (!is_ascii(link) || n > NAME_SIZE) {
		pax_text(pax, "linkpath", link);
		cut_name(h->link, link);
	} else {
		memcpy(h->link, link, n);
	}
}

/* `v`, or 0 and a record. */
static uint64_t or_pax(struct buf *pax, const char *key, int64_t v, int64_t max)
{
	if (v >= 0 && v <= max)
		return (uint64_t)v;
	pax_int(pax, key, v);
	return 0;
}

/* Seconds with a fraction, whose sign is that of the whole. */
static void pax_time(struct buf *out, int64_t seconds, int32_t nsec)
{
	const int32_t second = 1000000000;
	bool negative = seconds < 0;
	char text[40];

	snprintf(text, sizeof(text), "%s%lld.%09d", negative ? "-" : "",
	         (long long)(negative ? -(seconds + 1) : seconds),
	         (int)(negative ? second - nsec : nsec));
	pax_text(out, "mtime", text);
}

static uint64_t time_or_pax(struct buf *pax, int64_t seconds, int32_t nsec, int64_t max)
{
	if (!nsec)
		return or_pax(pax, "mtime", seconds, max);
	pax_time(pax, seconds, nsec);
	return seconds >= 0 && seconds <= max ? (uint64_t)seconds : 0;
}

static void put_numbers(struct ustar *h, struct buf *pax, const struct toc_entry *t,
                        int32_t nsec)
{
	const int64_t eleven_digits = ((int64_t)1 << 33) - 1;
	bool mark = is_mark(t);
	bool device = t->type == TOC_CHAR || t->type == TOC_BLOCK;

	OCTAL(h->mode, mark ? MARK_MODE : t->mode);
	OCTAL(h->size,
	      t->type == TOC_FILE ? or_pax(pax, "size", t->size, eleven_digits) : 0);
	OCTAL(h->uid, mark ? 0 : or_pax(pax, "uid", t->uid, ID_MAX));
	OCTAL(h->gid, mark ? 0 : or_pax(pax, "gid", t->gid, ID_MAX));
	OCTAL(h->mtime,
	      mark ? MARK_MTIME : time_or_pax(pax, t->mtime, nsec, eleven_digits));
	OCTAL(h->major, device ? t->dev_major : 0);
	OCTAL(h->minor, device ? t->dev_minor : 0);
}

static void put_xattrs(struct buf *pax, const struct toc_entry *t)
{
	for (size_t i = 0; i < t->n_xattrs; i++) {
		char key[sizeof("SCHILY.xattr.") + XATTR_NAME_LIMIT];

		snprintf(key, sizeof(key), "SCHILY.xattr.%s", t->xattrs[i].name);
		pax_record(pax, key, t->xattrs[i].value, t->xattrs[i].size);
	}
}

static char type_flag(enum toc_type type)
{
	switch (type) {
	case TOC_DIR: return '5';
	case TOC_SYMLINK: return '2';
	case TOC_HARDLINK: return '1';
	case TOC_CHAR: return '3';
	case TOC_BLOCK: return '4';
	case TOC_FIFO: return '6';
	default: return '0';
	}
}

/* Adds what is the same in all headers, and the sum over all bytes. */
static void seal(struct ustar *h, struct buf *out)
{
	const unsigned char *p = (const unsigned char *)h;
	unsigned sum = 0;

	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += p[i];
	octal(h->checksum, 7, sum); /* six digits, NUL, space */
	buf_add(out, h, sizeof(*h));
}

static void add_pax(struct buf *out, const struct buf *pax)
{
	static const char zeros[TAR_WRITE_BLOCK];
	struct ustar h = { .name = "././@PaxHeader", .type = 'x' };

	OCTAL(h.mode, MARK_MODE);
	OCTAL(h.uid, 0);
	OCTAL(h.gid, 0);
	OCTAL(h.size, pax->len);
	OCTAL(h.mtime, 0);
	OCTAL(h.major, 0);
	OCTAL(h.minor, 0);
	seal(&h, out);
	buf_add(out, pax->s, pax->len);
	buf_add(out, zeros, tar_write_padding((int64_t)pax->len));
}

static int check_path(const struct toc_entry *t, struct err *e)
{
	if (!strncmp(t->path, ".wh.", 4) || strstr(t->path, "/.wh."))
		return err_set(
			e, ERR_INVALID,
			"'%s': names that begin with .wh. mark deletions in layers",
			t->path);
	if (!toc_path_valid(t->path, strlen(t->path)))
		return err_set(e, ERR_INVALID, "'%s' cannot be a path in a layer",
		               t->path);
	if (!t->path[0] && t->type != TOC_DIR && t->type != TOC_OPAQUE)
		return err_set(e, ERR_INVALID,
		               "the root of a layer can only be a directory");
	return 0;
}

static int check_link(const struct toc_entry *t, struct err *e)
{
	if (t->type != TOC_SYMLINK && t->type != TOC_HARDLINK)
		return 0;
	if (!t->link || !t->link[0] || strlen(t->link) > LINK_LIMIT)
		return err_set(e, ERR_INVALID, "'%s': a link's text has 1 to 4,095 bytes",
		               t->path);
	if (t->type == TOC_HARDLINK &&
	    (!toc_path_valid(t->link, strlen(t->link)) || !strcmp(t->link, t->path)))
		return err_set(e, ERR_INVALID, "'%s': a hard link to '%s'", t->path,
		               t->link);
	return 0;
}

static int check_xattrs(const struct toc_entry *t, struct err *e)
{
	for (size_t i = 0; i < t->n_xattrs; i++) {
		const char *name = t->xattrs[i].name;

		if (!name[0] || strlen(name) > XATTR_NAME_LIMIT || strchr(name, '=') ||
		    strchr(name, '\n'))
			return err_set(e, ERR_INVALID,
			               "'%s': extended attribute '%s' fits no tar",
			               t->path, name);
		if (i && strcmp(t->xattrs[i - 1].name, name) >= 0)
			return err_set(e, ERR_INVALID,
			               "'%s': extended attributes out of order", t->path);
	}
	return 0;
}

static int check_numbers(const struct toc_entry *t, struct err *e)
{
	if (t->uid == UINT32_MAX || t->gid == UINT32_MAX)
		return err_set(e, ERR_INVALID, "'%s': owner %u:%u", t->path, t->uid,
		               t->gid);
	if (t->size < 0 || t->mode > 07777)
		return err_set(e, ERR_INVALID, "'%s': size %lld, mode %o", t->path,
		               (long long)t->size, t->mode);
	if (t->dev_major > ID_MAX || t->dev_minor > ID_MAX ||
	    (t->type == TOC_CHAR && !t->dev_major && !t->dev_minor))
		return err_set(e, ERR_INVALID, "'%s': device %u:%u", t->path,
		               t->dev_major, t->dev_minor);
	return 0;
}

int tar_write_header(struct buf *out, const struct toc_entry *t, struct err *e)
{
	return tar_write_header_at(out, t, 0, e);
}

int tar_write_header_at(struct buf *out, const struct toc_entry *t, int32_t nsec,
                        struct err *e)
{
	const char *link =
		t->type == TOC_SYMLINK || t->type == TOC_HARDLINK ? t->link : "";
	struct ustar h = { .type = type_flag(t->type) };
	AUTO_BUF name = BUF_INIT;
	AUTO_BUF pax = BUF_INIT;

	if (check_path(t, e) < 0 || check_link(t, e) < 0 || check_xattrs(t, e) < 0 ||
	    check_numbers(t, e) < 0)
		return -1;
	archive_name(&name, t);
	if (!is_ascii(name.s) || !is_ascii(link))
		pax_text(&pax, "hdrcharset", "BINARY");
	put_name(&h, &pax, name.s);
	put_link(&h, &pax, link);
	put_numbers(&h, &pax, t, nsec);
	if (!is_mark(t))
		put_xattrs(&pax, t);
	if (pax.len > PAX_LIMIT)
		return err_set(e, ERR_LIMIT, "'%s': over 1 MiB of extended attributes",
		               t->path);
	if (pax.len)
		add_pax(out, &pax);
	seal(&h, out);
	return 0;
}

/* The table of contents as a file. Integers are little-endian; a string is a u32 length,
 * that many bytes and a NUL that the length does not count, so that a reader can point
 * into the file.
 *
 *   "imgmake-toc 1\n"
 *   u64 bytes of the tar stream
 *   u32 number of entries
 *   entries, ascending by path (bytewise), each:
 *     u8 type, string path; nothing more for TOC_WHITEOUT and TOC_OPAQUE; else
 *     u32 mode, u32 uid, u32 gid, u64 mtime
 *     TOC_FILE: u64 size, u64 offset, 32 bytes SHA-256
 *     TOC_SYMLINK, TOC_HARDLINK: string link
 *     TOC_CHAR, TOC_BLOCK: u32 major, u32 minor
 *     u32 number of xattrs, ascending by name, each: string name, string value
 *
 * A path occurs once, but for a TOC_OPAQUE right after the TOC_DIR that it marks. */
#include "image/toc.h"

#include <string.h>

enum {
	LINK_LIMIT = 4095,
	XATTR_NAME_LIMIT = 255,
	ENTRY_MIN = 6, /* bytes of the shortest entry, a whiteout: bounds what is
	                  allocated */
	XATTR_MIN = 11,
};

static const char magic[] = "imgmake-toc 1\n";

static bool is_mark(const struct toc_entry *e)
{
	return e->type == TOC_WHITEOUT || e->type == TOC_OPAQUE;
}

static void add_string(struct buf *out, const void *s, size_t n)
{
	buf_add_str(out, s, n);
	buf_addc(out, '\0');
}

static void encode_entry(const struct toc_entry *e, struct buf *out)
{
	buf_addc(out, (char)e->type);
	add_string(out, e->path, strlen(e->path));
	if (is_mark(e))
		return;
	buf_add_u32(out, e->mode);
	buf_add_u32(out, e->uid);
	buf_add_u32(out, e->gid);
	buf_add_u64(out, (uint64_t)e->mtime);
	if (e->type == TOC_FILE) {
		buf_add_u64(out, (uint64_t)e->size);
		buf_add_u64(out, (uint64_t)e->offset);
		buf_add(out, e->digest.b, DIGEST_SIZE);
	} else if (e->type == TOC_SYMLINK || e->type == TOC_HARDLINK) {
		add_string(out, e->link, strlen(e->link));
	} else if (e->type == TOC_CHAR || e->type == TOC_BLOCK) {
		buf_add_u32(out, e->dev_major);
		buf_add_u32(out, e->dev_minor);
	}
	buf_add_u32(out, (uint32_t)e->n_xattrs);
	for (size_t i = 0; i < e->n_xattrs; i++) {
		add_string(out, e->xattrs[i].name, strlen(e->xattrs[i].name));
		add_string(out, e->xattrs[i].value, e->xattrs[i].size);
	}
}

void toc_encode(const struct toc *t, struct buf *out)
{
	buf_adds(out, magic);
	buf_add_u64(out, (uint64_t)t->tar_size);
	buf_add_u32(out, (uint32_t)t->n);
	for (size_t i = 0; i < t->n; i++)
		encode_entry(&t->at[i], out);
}

/* What is left to decode. After `bad` is set every further value is 0 or "". */
struct cursor {
	const char *at, *end;
	bool bad;
};

static void require(struct cursor *c, bool fine)
{
	if (!fine)
		c->bad = true;
}

static const char *get_bytes(struct cursor *c, size_t n)
{
	const char *p = c->at;

	if (c->bad || (size_t)(c->end - c->at) < n) {
		c->bad = true;
		return NULL;
	}
	c->at += n;
	return p;
}

static uint64_t get_int(struct cursor *c, size_t n)
{
	const char *p = get_bytes(c, n);
	uint64_t v = 0;

	for (size_t i = 0; p && i < n; i++)
		v |= (uint64_t)(unsigned char)p[i] << (8 * i);
	return v;
}

static uint32_t get_u32(struct cursor *c)
{
	return (uint32_t)get_int(c, 4);
}

static const char *get_blob(struct cursor *c, size_t *n)
{
	const char *p;

	*n = get_u32(c);
	require(c, *n < (size_t)(c->end - c->at));
	p = get_bytes(c, *n + 1);
	if (!p || p[*n] != '\0') {
		c->bad = true;
		*n = 0;
		return "";
	}
	return p;
}

static const char *get_string(struct cursor *c)
{
	size_t n;
	const char *s = get_blob(c, &n);

	if (memchr(s, '\0', n))
		c->bad = true;
	return s;
}

static void decode_xattrs(struct cursor *c, struct arena *a, struct toc_entry *e)
{
	size_t n = get_u32(c);
	struct toc_xattr *x;

	if (n > (size_t)(c->end - c->at) / XATTR_MIN)
		c->bad = true;
	if (c->bad || n == 0)
		return;
	x = arena_alloc(a, n * sizeof(*x));
	for (size_t i = 0; i < n && !c->bad; i++) {
		x[i].name = get_string(c);
		x[i].value = get_blob(c, &x[i].size);
		require(c, x[i].name[0] && strlen(x[i].name) <= XATTR_NAME_LIMIT);
		require(c, i == 0 || strcmp(x[i - 1].name, x[i].name) < 0);
	}
	e->xattrs = x;
	e->n_xattrs = n;
}

static void decode_link(struct cursor *c, struct toc_entry *e)
{
	size_t n;

	e->link = get_string(c);
	n = strlen(e->link);
	require(c, n > 0 && n <= LINK_LIMIT);
	if (e->type == TOC_HARDLINK)
		require(c, toc_path_valid(e->link, n) && strcmp(e->link, e->path) != 0);
}

static void decode_content(struct cursor *c, struct toc_entry *e, int64_t tar_size)
{
	const char *digest;

	switch (e->type) {
	case TOC_FILE:
		e->size = (int64_t)get_int(c, 8);
		e->offset = (int64_t)get_int(c, 8);
		require(c, e->size >= 0 && e->offset >= -1 && e->offset <= tar_size);
		require(c, e->offset < 0 || e->size <= tar_size - e->offset);
		digest = get_bytes(c, DIGEST_SIZE);
		if (digest)
			memcpy(e->digest.b, digest, DIGEST_SIZE);
		break;
	case TOC_SYMLINK:
	case TOC_HARDLINK: decode_link(c, e); break;
	case TOC_CHAR:
	case TOC_BLOCK:
		e->dev_major = get_u32(c);
		e->dev_minor = get_u32(c);
		/* What the kernel's dev_t holds; a larger one would be cut, to 0:0
		 * perhaps. */
		require(c, e->dev_major <= 0xfff && e->dev_minor <= 0xfffff);
		require(c, e->type == TOC_BLOCK || e->dev_major || e->dev_minor);
		break;
	case TOC_DIR:
	case TOC_FIFO: break;
	default: c->bad = true;
	}
}

static void decode_entry(struct cursor *c, struct toc *t, struct toc_entry *e)
{
	e->type = (enum toc_type)get_int(c, 1);
	e->path = get_string(c);
	require(c, toc_path_valid(e->path, strlen(e->path)));
	require(c, e->path[0] || e->type == TOC_DIR || e->type == TOC_OPAQUE);
	if (is_mark(e))
		return;
	e->mode = get_u32(c);
	e->uid = get_u32(c);
	e->gid = get_u32(c);
	require(c, e->mode <= 07777 && e->uid != UINT32_MAX && e->gid != UINT32_MAX);
	e->mtime = (int64_t)get_int(c, 8);
	decode_content(c, e, t->tar_size);
	decode_xattrs(c, &t->arena, e);
}

static bool in_order(const struct toc_entry *a, const struct toc_entry *b)
{
	int c = strcmp(a->path, b->path);

	return c < 0 || (c == 0 && a->type == TOC_DIR && b->type == TOC_OPAQUE);
}

int toc_decode(struct toc *t, const void *data, size_t n, struct err *e)
{
	struct cursor c = { .at = arena_memdup(&t->arena, data, n) };
	const char *head;
	size_t count;

	c.end = c.at + n;
	head = get_bytes(&c, sizeof(magic) - 1);
	if (!head || memcmp(head, magic, sizeof(magic) - 1) != 0) {
		toc_fini(t);
		return err_set(e, ERR_INVALID,
		               "not a table of contents that this version reads");
	}
	t->tar_size = (int64_t)get_int(&c, 8);
	count = get_u32(&c);
	require(&c, t->tar_size >= 0 && count <= (size_t)(c.end - c.at) / ENTRY_MIN);
	if (!c.bad) {
		t->at = mem_alloc(count * sizeof(*t->at));
		t->cap = count;
	}
	for (; t->n < count && !c.bad; t->n++) {
		decode_entry(&c, t, &t->at[t->n]);
		require(&c, t->n == 0 || in_order(&t->at[t->n - 1], &t->at[t->n]));
	}
	if (!c.bad && c.at == c.end)
		return 0;
	toc_fini(t);
	return err_set(e, ERR_CORRUPT, "damaged table of contents");
}

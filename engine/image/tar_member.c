/* From headers to entries: which extension headers go with which entry, and which names,
 * types, sizes and owners we take from strangers (5-safety.md, "Hostile input"; OCI
 * image-spec 1.1, layer.md). */
#include <string.h>

#include "image/tar_parse.h"

static const char whiteout[] = ".wh.", opaque[] = ".wh..wh..opq", aufs[] = ".wh..wh.";

enum { WHITEOUT_N = sizeof(whiteout) - 1, AUFS_N = sizeof(aufs) - 1, NAME_LIMIT = 255 };

void tar_member_init(struct tar_member *m, const struct image_limits *l)
{
	*m = (struct tar_member){ .name = BUF_INIT, .hides = BUF_INIT, .link = BUF_INIT };
	tar_ext_init(&m->ext, (size_t)l->pax / sizeof(struct tar_region));
}

void tar_member_fini(struct tar_member *m)
{
	buf_fini(&m->name);
	buf_fini(&m->hides);
	buf_fini(&m->link);
	tar_ext_fini(&m->ext);
}

/* Drops ".", empty components and slashes at both ends, which images in the field have.
 */
static int clean_path(struct buf *out, const char *raw, int64_t limit, struct err *e)
{
	buf_reset(out);
	if (!*raw)
		return err_set(e, ERR_INVALID, "empty path");
	while (*raw) {
		size_t n = strcspn(raw, "/");

		if (n == 2 && raw[0] == '.' && raw[1] == '.')
			return err_set(e, ERR_INVALID, "'..' in a path");
		if (n > NAME_LIMIT)
			return err_set(e, ERR_INVALID, "a name longer than %d bytes",
			               NAME_LIMIT);
		if (n > 1 || (n == 1 && raw[0] != '.')) {
			if (out->len)
				buf_addc(out, '/');
			buf_add(out, raw, n);
		}
		raw += n + (raw[n] == '/');
	}
	if ((int64_t)out->len > limit)
		return err_set(e, ERR_LIMIT, "a path longer than %lld bytes",
		               (long long)limit);
	return 0;
}

/* A GNU long name: its NULs are at the end only. */
static int read_long(struct buf *out, struct tar_input *in, const struct tar_header *h,
                     int64_t limit, struct err *e)
{
	if (out->len)
		return err_set(e, ERR_INVALID, "two long names");
	if (h->size > limit + TAR_BLOCK)
		return err_set(e, ERR_LIMIT, "a name of %lld bytes", (long long)h->size);
	if (tar_input_body(in, h->size, out, e) < 0)
		return -1;
	while (out->len && out->s[out->len - 1] == '\0')
		buf_truncate(out, out->len - 1);
	if (!out->len || memchr(out->s, '\0', out->len))
		return err_set(e, ERR_INVALID, "bad long name");
	return 0;
}

static int read_pax(struct buf *out, struct tar_input *in, const struct tar_header *h,
                    int64_t limit, struct err *e)
{
	if (h->size > limit)
		return err_set(
			e, ERR_LIMIT,
			"a pax header of %lld bytes" IMAGE_LIMIT_HINT("pax-header"),
			(long long)h->size);
	return tar_input_body(in, h->size, out, e);
}

static int read_global(struct tar_input *in, const struct tar_header *h, int64_t limit,
                       struct err *e)
{
	AUTO_BUF body = BUF_INIT;

	if (read_pax(&body, in, h, limit, e) < 0)
		return -1;
	return tar_pax_global(&body, e);
}

/* Reads headers up to and with the entry's own. 1, 0 at the end of the archive, -1. */
static int read_headers(struct tar_member *m, struct tar_input *in,
                        struct tar_rules *rules, struct tar_header *h,
                        char block[TAR_BLOCK], struct err *e)
{
	const struct image_limits *l = &rules->limits;
	struct tar_ext *x = &m->ext;
	bool pax = false;
	int r;

	for (;;) {
		r = tar_input_block(in, block, e);
		if (r < 0)
			return -1;
		if (r == 0 || tar_block_is_zero(block)) {
			if (pax || x->long_name.len || x->long_link.len)
				return err_set(e, ERR_CORRUPT,
				               "a header without its entry");
			if (r == 0 && !rules->layer)
				return err_set(e, ERR_CORRUPT, "the tar stream is cut");
			return tar_input_drain(in, e);
		}
		if (tar_header_begin(h, block, e) < 0)
			return -1;
		switch (h->type) {
		case 'g': r = read_global(in, h, l->pax, e); break;
		case 'x':
			if (pax)
				return err_set(e, ERR_INVALID, "two pax headers");
			pax = true;
			r = read_pax(&x->body, in, h, l->pax, e);
			break;
		case 'L': r = read_long(&x->long_name, in, h, l->path, e); break;
		case 'K': r = read_long(&x->long_link, in, h, l->path, e); break;
		default: return tar_pax_read(x, e) < 0 ? -1 : 1;
		}
		if (r < 0)
			return -1;
	}
}

/* The one name that is said, or NULL: readers differ on which of two wins. */
static const char *pick(const char *plain, const struct buf *gnu, const char *pax,
                        struct err *e)
{
	if (gnu->len && pax) {
		err_set(e, ERR_INVALID, "both a GNU and a pax long name");
		return NULL;
	}
	return pax ? pax : gnu->len ? gnu->s : plain;
}

/* GNU tar puts a stand-in into the path of a sparse file, for readers that know no
 * better. */
static const char *path_of(const struct tar_ext *x)
{
	return x->sparse_name ? x->sparse_name : x->path;
}

static int count(struct tar_rules *rules, struct err *e)
{
	if (rules->entries++ < rules->limits.entries)
		return 0;
	return err_set(e, ERR_LIMIT, "more than %lld entries" IMAGE_LIMIT_HINT("entries"),
	               (long long)rules->limits.entries);
}

static int set_owner(struct toc_entry *t, const struct tar_header *h,
                     const struct tar_ext *x, struct err *e)
{
	if (x->uid >= UINT32_MAX || x->gid >= UINT32_MAX)
		return err_set(e, ERR_INVALID, "bad owner");
	t->uid = x->uid >= 0 ? (uint32_t)x->uid : h->uid;
	t->gid = x->gid >= 0 ? (uint32_t)x->gid : h->gid;
	return 0;
}

static enum toc_type type_of(char type, bool slash)
{
	switch (type) {
	case '\0': return slash ? TOC_DIR : TOC_FILE; /* v7 had no type for directories */
	case '1': return TOC_HARDLINK;
	case '2': return TOC_SYMLINK;
	case '3': return TOC_CHAR;
	case '4': return TOC_BLOCK;
	case '5': return TOC_DIR;
	case '6': return TOC_FIFO;
	default: return TOC_FILE;
	}
}

static int set_link(struct tar_member *m, const char *raw, const struct image_limits *l,
                    struct err *e)
{
	struct toc_entry *t = &m->entry;

	if (t->type == TOC_HARDLINK) {
		if (clean_path(&m->link, raw, l->path, e) < 0)
			return err_wrap(e, "hard link");
		if (!m->link.len)
			return err_set(e, ERR_INVALID, "a hard link to the root");
	} else if (t->type == TOC_SYMLINK) {
		buf_reset(&m->link);
		buf_adds(&m->link, raw);
		if (!m->link.len)
			return err_set(e, ERR_INVALID, "an empty symlink");
		if ((int64_t)m->link.len > l->path)
			return err_set(e, ERR_LIMIT, "a link longer than %lld bytes",
			               (long long)l->path);
	} else {
		return 0;
	}
	t->link = m->link.s;
	return 0;
}

/* Size, sparse map and the limit on what the stream may unpack to. */
static int set_size(struct tar_member *m, const struct tar_header *h,
                    struct tar_input *in, const char *block, struct err *e)
{
	struct tar_sparse *sparse = &m->ext.sparse;
	struct toc_entry *t = &m->entry;

	m->stored = m->ext.size >= 0 ? m->ext.size : h->size;
	if (t->type != TOC_FILE && (m->stored || sparse->on))
		return err_set(e, ERR_INVALID, "data in what is no file");
	if (m->stored > in->limit - in->expanded - in->offset)
		return err_set(
			e, ERR_LIMIT,
			"unpacks to more than %lld bytes" IMAGE_LIMIT_HINT("unpacked"),
			(long long)in->limit);
	t->size = m->stored;
	t->offset = t->type == TOC_FILE ? in->offset : 0;
	sparse->old = h->type == 'S';
	if (!sparse->on && !sparse->old)
		return 0;
	if (tar_sparse_finish(sparse, block, in, &m->stored, e) < 0)
		return -1;
	t->size = sparse->realsize;
	t->offset = -1;
	in->expanded += t->size - m->stored;
	if (in->expanded > in->limit - in->offset)
		return err_set(
			e, ERR_LIMIT,
			"unpacks to more than %lld bytes" IMAGE_LIMIT_HINT("unpacked"),
			(long long)in->limit);
	return 0;
}

static void become_mark(struct tar_member *m, enum toc_type type)
{
	m->entry = (struct toc_entry){ .type = type, .path = m->hides.s };
}

/* The entry's path, and what its ".wh." means. */
static int set_path(struct tar_member *m, bool layer, struct err *e)
{
	const char *slash = strrchr(m->name.s, '/');
	const char *base = slash ? slash + 1 : m->name.s;
	enum toc_type type = m->entry.type;

	m->entry.path = m->name.s;
	if (!m->name.len && type != TOC_DIR)
		return err_set(e, ERR_INVALID, "the root is no directory");
	if (layer && strcmp(m->name.s, opaque) != 0 &&
	    !strncmp(m->name.s, aufs, AUFS_N)) {
		m->ignored = true;
		return 0;
	}
	buf_reset(&m->hides);
	if (layer && !strncmp(base, whiteout, WHITEOUT_N)) {
		/* AUFS made its whiteouts hard links of each other. */
		if ((type != TOC_FILE && type != TOC_HARDLINK) || m->entry.size)
			return err_set(e, ERR_INVALID,
			               "a whiteout that is no empty file");
		if (!strcmp(base, opaque)) {
			buf_add(&m->hides, m->name.s,
			        slash ? (size_t)(slash - m->name.s) : 0);
			become_mark(m, TOC_OPAQUE);
		} else {
			buf_add(&m->hides, m->name.s, (size_t)(base - m->name.s));
			buf_adds(&m->hides, base + WHITEOUT_N);
			if (!base[WHITEOUT_N])
				return err_set(e, ERR_INVALID, "a whiteout of nothing");
			become_mark(m, TOC_WHITEOUT);
		}
	}
	if (!toc_path_valid(m->entry.path, strlen(m->entry.path)))
		return err_set(e, ERR_INVALID, "not a name that an entry may have");
	if (m->entry.type == TOC_HARDLINK && !toc_path_valid(m->link.s, m->link.len))
		return err_set(e, ERR_INVALID, "a hard link to a whiteout");
	if (m->entry.type == TOC_HARDLINK && !strcmp(m->link.s, m->name.s))
		return err_set(e, ERR_INVALID, "a hard link to itself");
	return 0;
}

static int assemble(struct tar_member *m, const struct tar_header *h, const char *raw,
                    const char *link, struct tar_input *in, const char *block,
                    const struct tar_rules *rules, struct err *e)
{
	const struct tar_ext *x = &m->ext;
	bool slash = raw[0] && raw[strlen(raw) - 1] == '/';
	struct toc_entry *t = &m->entry;

	if (clean_path(&m->name, raw, rules->limits.path, e) < 0)
		return -1;
	t->type = type_of(h->type, slash);
	if (t->type == TOC_FILE && slash)
		return err_set(e, ERR_INVALID, "a file whose name ends in a slash");
	t->mode = h->mode;
	t->dev_major = h->dev_major;
	t->dev_minor = h->dev_minor;
	t->mtime = x->has_mtime ? x->mtime : h->mtime;
	t->xattrs = x->xattrs.list.at;
	t->n_xattrs = x->xattrs.list.len;
	if (set_owner(t, h, x, e) < 0 || set_link(m, link, &rules->limits, e) < 0 ||
	    set_size(m, h, in, block, e) < 0)
		return -1;
	return set_path(m, rules->layer, e);
}

int tar_member_next(struct tar_member *m, struct tar_input *in, struct tar_rules *rules,
                    struct err *e)
{
	char block[TAR_BLOCK];
	const char *raw, *link;
	struct tar_header h;
	int64_t start = in->offset;
	int r;

	m->entry = (struct toc_entry){ 0 };
	m->ignored = false;
	tar_ext_reset(&m->ext);
	r = read_headers(m, in, rules, &h, block, e);
	if (r == 0)
		return 0;
	if (r < 0 || count(rules, e) < 0 || tar_header_rest(&h, block, e) < 0 ||
	    !(raw = pick(h.name, &m->ext.long_name, path_of(&m->ext), e)) ||
	    !(link = pick(h.link, &m->ext.long_link, m->ext.link, e)))
		return err_wrap(e, "tar header at byte %lld", (long long)start);
	if (assemble(m, &h, raw, link, in, block, rules, e) < 0)
		return err_wrap(e, "tar entry '%.400s'", raw);
	return 1;
}

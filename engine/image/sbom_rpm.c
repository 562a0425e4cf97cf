/* The databases of rpm: SQLite (Fedora, RHEL from 9 on, Amazon Linux) and ndb (SUSE).
 * Each package is a header as in a file of rpm, without what stands before it. */
#include <string.h>

#include "image/sbom_package.h"
#include "image/sqlite_table.h"

enum {
	TAG_NAME = 1000,
	TAG_VERSION = 1001,
	TAG_RELEASE = 1002,
	TAG_EPOCH = 1003,
	TAG_VENDOR = 1011,
	TAG_LICENSE = 1014,
	TAG_URL = 1020,
	TAG_ARCH = 1022,
	TAG_SOURCE = 1044,

	TYPE_INT32 = 4,
	TYPE_STRING = 6,

	ENTRY = 16, /* bytes: tag, type, offset, count */
};

struct header {
	struct sbom *sbom;
	const uint8_t *entries, *data;
	size_t n, size; /* entries; bytes of data */
};

struct reading {
	struct sbom *sbom;
	const char *path;
};

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* Where the tag's value begins, and how much there can be of it; NULL: it has none. */
static const uint8_t *find_tag(const struct header *h, uint32_t tag, uint32_t type,
                               size_t *left)
{
	for (size_t i = 0; i < h->n; i++) {
		const uint8_t *entry = h->entries + i * ENTRY;
		uint32_t offset = be32(entry + 8);

		if (be32(entry) != tag || be32(entry + 4) != type || offset >= h->size)
			continue;
		*left = h->size - offset;
		return h->data + offset;
	}
	return NULL;
}

static const char *text_of(const struct header *h, uint32_t tag)
{
	const uint8_t *at;
	size_t left = 0;

	at = find_tag(h, tag, TYPE_STRING, &left);
	if (!at || !memchr(at, '\0', left) || !*at || !strcmp((const char *)at, "(none)"))
		return NULL;
	return arena_strdup(&h->sbom->arena, (const char *)at);
}

static const char *epoch_of(const struct header *h)
{
	const uint8_t *at;
	size_t left = 0;

	at = find_tag(h, TAG_EPOCH, TYPE_INT32, &left);
	if (!at || left < 4 || !be32(at))
		return NULL;
	return arena_printf(&h->sbom->arena, "%u", (unsigned)be32(at));
}

static int bad_header(struct err *e)
{
	return err_set(e, ERR_INVALID, "a package's header is damaged");
}

/* Keys that packages are signed with are kept as packages, and are none. */
static int add_header(void *self, const void *data, size_t n, struct err *e)
{
	const struct reading *r = self;
	const uint8_t *at = data;
	struct sbom_package p = { .type = "rpm", .path = r->path };
	struct header h = { .sbom = r->sbom };
	const char *version, *release;

	if (n < 8)
		return bad_header(e);
	h.n = be32(at);
	h.size = be32(at + 4);
	if (h.n > (n - 8) / ENTRY || h.size > n - 8 - h.n * ENTRY)
		return bad_header(e);
	h.entries = at + 8;
	h.data = h.entries + h.n * ENTRY;
	p.name = text_of(&h, TAG_NAME);
	if (!p.name || !strcmp(p.name, "gpg-pubkey"))
		return p.name ? 0 : bad_header(e);
	version = text_of(&h, TAG_VERSION);
	release = text_of(&h, TAG_RELEASE);
	p.version = arena_printf(&r->sbom->arena, "%s%s%s", version ? version : "",
	                         release ? "-" : "", release ? release : "");
	p.epoch = epoch_of(&h);
	p.supplier = text_of(&h, TAG_VENDOR);
	p.license = text_of(&h, TAG_LICENSE);
	p.homepage = text_of(&h, TAG_URL);
	p.arch = text_of(&h, TAG_ARCH);
	p.upstream = text_of(&h, TAG_SOURCE);
	sbom_put(r->sbom, &p);
	return 0;
}

/* lib/backend/ndb/rpmpkg.c of rpm: pages of 4096 bytes, the first of which hold slots of
 * 16 bytes; what they name are blocks of 16 bytes with a header of their own. */
enum { NDB_PAGE = 4096, NDB_SLOT = 16, NDB_BLOCK = 16, NDB_HEAD = 16, NDB_SLOTS_AT = 32 };

/* *left: bytes that no slot has named yet; no two name the same. */
static int add_slot(const struct reading *r, const struct buf *db, const uint8_t *slot,
                    size_t *left, struct err *e)
{
	uint64_t at = (uint64_t)le32(slot + 8) * NDB_BLOCK;
	uint64_t size = (uint64_t)le32(slot + 12) * NDB_BLOCK;
	const uint8_t *blob;

	if (!at)
		return 0; /* free */
	if (memcmp(slot, "Slot", 4) != 0 || size < NDB_HEAD || at > db->len ||
	    size > db->len - at || size > *left)
		return bad_header(e);
	blob = (const uint8_t *)db->s + at;
	if (memcmp(blob, "BlbS", 4) != 0 || le32(blob + 12) > size - NDB_HEAD)
		return bad_header(e);
	*left -= (size_t)size;
	return add_header((void *)r, blob + NDB_HEAD, le32(blob + 12), e);
}

static int add_ndb(const struct reading *r, const struct buf *db, struct err *e)
{
	const uint8_t *at = (const uint8_t *)db->s;
	size_t left = db->len;
	uint64_t end;

	if (db->len < NDB_PAGE || memcmp(at, "RpmP", 4) != 0)
		return err_set(e, ERR_INVALID, "it is no database of rpm, or damaged");
	end = (uint64_t)le32(at + 12) * NDB_PAGE;
	if (end > db->len)
		return err_set(e, ERR_INVALID, "it is not whole");
	for (size_t i = NDB_SLOTS_AT; i + NDB_SLOT <= end; i += NDB_SLOT)
		if (add_slot(r, db, at + i, &left, e) < 0)
			return -1;
	return 0;
}

static int read_database(const struct reading *r, const struct buf *content,
                         struct err *e)
{
	size_t n = strlen(r->path);

	if (n > 4 && !strcmp(r->path + n - 4, "-wal"))
		return err_set(
			e, ERR_INVALID,
			"it holds changes of the database of rpm that are not in it yet; "
			"end the step that installs packages with rpm --rebuilddb");
	if (content->len >= 4 && !memcmp(content->s, "RpmP", 4))
		return add_ndb(r, content, e);
	if (content->len >= 6 && !memcmp(content->s, "SQLite", 6))
		return sqlite_table(content, "Packages", 1, add_header, (void *)r, e);
	return err_set(e, ERR_INVALID,
	               "it is a database of rpm before 4.16 (Berkeley DB), which is not "
	               "read: its packages cannot be listed");
}

int sbom_add_rpm(struct sbom *s, const char *path, const struct buf *content,
                 struct err *e)
{
	struct reading r = { s, path };

	return read_database(&r, content, e) < 0 ? err_wrap(e, "/%s", path) : 0;
}

#include "image/sqlite_table.h"

#include <stdbool.h>
#include <string.h>

enum {
	HEADER = 100,
	DEPTH_MAX = 20,
	LEAF = 13, /* types of pages */
	INNER = 5,
	PAYLOAD_MAX = 64 << 20,
};

struct database {
	const uint8_t *at;
	size_t n, page, usable; /* bytes */
	size_t pages_left;      /* to visit: more than there are is a circle */
	size_t bytes_left;      /* of rows: more than there are, and some are one */
	struct buf overflow;
};

struct payload {
	const uint8_t *at;
	size_t n;
};

typedef int payload_fn(void *self, const struct payload *p, struct err *e);

static int damaged(struct err *e)
{
	return err_set(e, ERR_INVALID, "it is no SQLite database, or damaged");
}

static uint32_t u16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t u32(const uint8_t *p)
{
	return u16(p) << 16 | u16(p + 2);
}

/* Seven bits a byte, the ninth has eight. False: it is not whole. */
static bool varint(const uint8_t **at, const uint8_t *end, uint64_t *out)
{
	*out = 0;
	for (int i = 0; i < 9 && *at < end; i++) {
		uint8_t b = *(*at)++;

		*out = i < 8 ? *out << 7 | (b & 0x7f) : *out << 8 | b;
		if (i == 8 || !(b & 0x80))
			return true;
	}
	return false;
}

/* Pages are counted from 1. NULL: there is none, or it was too often one. */
static const uint8_t *page_at(struct database *d, uint32_t number)
{
	if (!number || number > d->n / d->page || !d->pages_left)
		return NULL;
	d->pages_left--;
	return d->at + (number - 1) * d->page;
}

/* What does not fit on its page goes on in a chain of others. */
static int follow(struct database *d, const uint8_t *local, size_t n_local, size_t n,
                  struct payload *out, struct err *e)
{
	uint32_t next = u32(local + n_local);

	buf_reset(&d->overflow);
	buf_add(&d->overflow, local, n_local);
	while (d->overflow.len < n) {
		const uint8_t *page = page_at(d, next);
		size_t part = n - d->overflow.len;

		if (!page)
			return damaged(e);
		part = part < d->usable - 4 ? part : d->usable - 4;
		buf_add(&d->overflow, page + 4, part);
		next = u32(page);
	}
	*out = (struct payload){ (const uint8_t *)d->overflow.s, n };
	return 0;
}

static int read_cell(struct database *d, const uint8_t *at, const uint8_t *end,
                     struct payload *out, struct err *e)
{
	size_t most = d->usable - 35, least = (d->usable - 12) * 32 / 255 - 23, local;
	uint64_t n, row;

	if (!varint(&at, end, &n) || !varint(&at, end, &row) || n > PAYLOAD_MAX ||
	    n > d->bytes_left)
		return damaged(e);
	d->bytes_left -= (size_t)n;
	*out = (struct payload){ at, (size_t)n };
	if (n <= most)
		return (size_t)(end - at) < n ? damaged(e) : 0;
	local = least + (n - least) % (d->usable - 4);
	local = local <= most ? local : least;
	if ((size_t)(end - at) < local + 4)
		return damaged(e);
	return follow(d, at, local, (size_t)n, out, e);
}

static int walk(struct database *d, uint32_t number, int depth, payload_fn *fn,
                void *self, struct err *e);

static int walk_cell(struct database *d, const uint8_t *page, size_t cell, int depth,
                     payload_fn *fn, void *self, bool leaf, struct err *e)
{
	struct payload p;

	if (cell + 4 > d->usable)
		return damaged(e);
	if (!leaf)
		return walk(d, u32(page + cell), depth + 1, fn, self, e);
	return read_cell(d, page + cell, page + d->usable, &p, e) < 0 ? -1
	                                                              : fn(self, &p, e);
}

static int walk(struct database *d, uint32_t number, int depth, payload_fn *fn,
                void *self, struct err *e)
{
	const uint8_t *page = page_at(d, number);
	size_t at = number == 1 ? HEADER : 0, n, pointers;
	bool leaf;

	if (!page || depth > DEPTH_MAX || (page[at] != LEAF && page[at] != INNER))
		return damaged(e);
	leaf = page[at] == LEAF;
	n = u16(page + at + 3);
	pointers = at + (leaf ? 8 : 12);
	if (pointers + 2 * n > d->usable)
		return damaged(e);
	for (size_t i = 0; i < n; i++)
		if (walk_cell(d, page, u16(page + pointers + 2 * i), depth, fn, self,
		              leaf, e) < 0)
			return -1;
	return leaf ? 0 : walk(d, u32(page + at + 8), depth + 1, fn, self, e);
}

/* Bytes of a value, by the type in its record's header. */
static size_t width(uint64_t type)
{
	static const uint8_t widths[] = { 0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0 };

	return type < 12 ? widths[type] : (size_t)((type - 12) / 2);
}

/* The `column`th value of a record. False: it has no such column. */
static bool value_of(const struct payload *p, size_t column, uint64_t *type,
                     struct payload *out)
{
	const uint8_t *at = p->at, *end = p->at + p->n, *types_end;
	uint64_t header;
	size_t body;

	if (!varint(&at, end, &header) || header > p->n)
		return false;
	types_end = p->at + header;
	body = (size_t)header;
	for (size_t i = 0;; i++) {
		if (!varint(&at, types_end, type) || *type > 2 * (uint64_t)PAYLOAD_MAX ||
		    width(*type) > p->n - body)
			return false;
		if (i == column)
			break;
		body += width(*type);
	}
	*out = (struct payload){ p->at + body, width(*type) };
	return true;
}

static bool is_text(const struct payload *p, size_t column, const char *text)
{
	struct payload value;
	uint64_t type;

	return value_of(p, column, &type, &value) && type >= 12 &&
	       value.n == strlen(text) && !memcmp(value.at, text, value.n);
}

struct find {
	const char *table;
	uint32_t root;
};

/* A row of the schema: type, name, tbl_name, rootpage, sql. */
static int find_table(void *self, const struct payload *p, struct err *e)
{
	struct find *f = self;
	struct payload value;
	uint64_t type;

	(void)e;
	if (!is_text(p, 0, "table") || !is_text(p, 1, f->table) ||
	    !value_of(p, 3, &type, &value) || type < 1 || type > 4)
		return 0;
	f->root = 0;
	for (size_t i = 0; i < value.n; i++)
		f->root = f->root << 8 | value.at[i];
	return 0;
}

struct rows {
	size_t column;
	sqlite_row_fn *fn;
	void *self;
};

static int give_row(void *self, const struct payload *p, struct err *e)
{
	const struct rows *r = self;
	struct payload value;
	uint64_t type;

	if (!value_of(p, r->column, &type, &value))
		return damaged(e);
	return type < 12 ? 0 : r->fn(r->self, value.at, value.n, e);
}

static int open_database(struct database *d, const struct buf *db, struct err *e)
{
	const uint8_t *h = (const uint8_t *)db->s;

	*d = (struct database){ .at = h, .n = db->len, .overflow = BUF_INIT };
	if (db->len < HEADER || memcmp(h, "SQLite format 3", 16) != 0)
		return damaged(e);
	d->page = u16(h + 16) == 1 ? 65536 : u16(h + 16);
	if (d->page < 512 || d->page & (d->page - 1) || h[20] > 32)
		return damaged(e);
	d->usable = d->page - h[20];
	return 0;
}

/* What is honest is visited once. */
static int walk_all(struct database *d, uint32_t root, payload_fn *fn, void *self,
                    struct err *e)
{
	d->pages_left = d->n / d->page;
	d->bytes_left = d->n;
	return walk(d, root, 0, fn, self, e);
}

int sqlite_table(const struct buf *db, const char *table, size_t column,
                 sqlite_row_fn *fn, void *self, struct err *e)
{
	struct find f = { .table = table };
	struct rows r = { column, fn, self };
	struct database d;
	int rc;

	if (open_database(&d, db, e) < 0)
		return -1;
	rc = walk_all(&d, 1, find_table, &f, e);
	if (rc == 0 && !f.root)
		rc = err_set(e, ERR_NOT_FOUND, "it has no table %s", table);
	if (rc == 0)
		rc = walk_all(&d, f.root, give_row, &r, e);
	buf_fini(&d.overflow);
	return rc;
}

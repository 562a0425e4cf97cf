/* Sparse files: the maps of old GNU tar, of pax 0.0 and 0.1 (in the pax header) and of
 * pax 1.0 (in front of the data). GNU tar manual, "Storing Sparse Files". */
#include <string.h>

#include "image/tar_parse.h"

enum {
	OLD_MAP = 386,
	OLD_REGIONS = 4,
	OLD_EXTENDED = 482,
	OLD_REALSIZE = 483,
	MORE_REGIONS = 21,
	MORE_EXTENDED = 504,
	NUMBER = 12,
	REGION = 2 * NUMBER,
};

void tar_sparse_reset(struct tar_sparse *s)
{
	s->on = s->old = s->map = false;
	s->major = s->minor = s->realsize = s->blocks = s->at = -1;
	s->regions.len = 0;
}

static int bad_map(struct err *e)
{
	return err_set(e, ERR_CORRUPT, "bad sparse map");
}

int tar_sparse_add(struct tar_sparse *s, int64_t offset, int64_t size, struct err *e)
{
	struct tar_region r = { offset, size };

	if (s->regions.len == s->max_regions)
		return err_set(e, ERR_LIMIT, "a sparse map of more than %zu regions",
		               s->max_regions);
	vec_push(&s->regions, r);
	return 0;
}

int tar_sparse_map(struct tar_sparse *s, const char *text, struct err *e)
{
	while (*text) {
		size_t a = strcspn(text, ","), b;
		int64_t offset, size;

		if (text[a] != ',' || !tar_decimal(text, a, &offset))
			return bad_map(e);
		text += a + 1;
		b = strcspn(text, ",");
		if (!tar_decimal(text, b, &size))
			return bad_map(e);
		text += b;
		if (*text == ',' && !*++text)
			return bad_map(e);
		if (tar_sparse_add(s, offset, size, e) < 0)
			return -1;
	}
	return 0;
}

/* `n` regions of an old GNU map; the first empty one ends it. */
static int old_regions(struct tar_sparse *s, const char *p, int n, struct err *e)
{
	for (; n > 0 && p[0]; n--, p += REGION) {
		int64_t offset, size;

		if (!tar_number(p, NUMBER, &offset) ||
		    !tar_number(p + NUMBER, NUMBER, &size))
			return bad_map(e);
		if (tar_sparse_add(s, offset, size, e) < 0)
			return -1;
	}
	return 0;
}

static int read_old(struct tar_sparse *s, const char *block, struct tar_input *in,
                    struct err *e)
{
	char more[TAR_BLOCK];
	bool extended = block[OLD_EXTENDED];

	if (!tar_number(block + OLD_REALSIZE, NUMBER, &s->realsize) || s->realsize < 0)
		return bad_map(e);
	if (old_regions(s, block + OLD_MAP, OLD_REGIONS, e) < 0)
		return -1;
	for (size_t full = OLD_REGIONS; extended; full += MORE_REGIONS) {
		/* Only a full block may be followed by more, or empty ones could go on
		 * for ever. */
		int r = s->regions.len == full ? tar_input_block(in, more, e) : 0;

		if (r <= 0)
			return r < 0 ? -1 : bad_map(e);
		if (old_regions(s, more, MORE_REGIONS, e) < 0)
			return -1;
		extended = more[MORE_EXTENDED];
	}
	return 0;
}

/* The decimal numbers, one a line, that stand in whole blocks in front of the data. */
struct lines {
	struct tar_input *in;
	char block[TAR_BLOCK];
	size_t at;
	int64_t *stored;
};

static int next_number(struct lines *l, int64_t *out, struct err *e)
{
	char digits[20];
	size_t n = 0;

	for (;;) {
		if (l->at == TAR_BLOCK) {
			if (*l->stored < TAR_BLOCK)
				return bad_map(e);
			int r = tar_input_block(l->in, l->block, e);
			if (r <= 0)
				return r < 0 ? -1 : bad_map(e);
			*l->stored -= TAR_BLOCK;
			l->at = 0;
		}
		char c = l->block[l->at++];
		if (c == '\n')
			break;
		if (n == sizeof(digits))
			return bad_map(e);
		digits[n++] = c;
	}
	return tar_decimal(digits, n, out) ? 0 : bad_map(e);
}

static int read_lines(struct tar_sparse *s, struct tar_input *in, int64_t *stored,
                      struct err *e)
{
	struct lines l = { .in = in, .at = TAR_BLOCK, .stored = stored };
	int64_t n = 0, offset = 0, size = 0;

	if (next_number(&l, &n, e) < 0)
		return -1;
	for (; n > 0; n--) {
		if (next_number(&l, &offset, e) < 0 || next_number(&l, &size, e) < 0 ||
		    tar_sparse_add(s, offset, size, e) < 0)
			return -1;
	}
	return 0;
}

static int check(const struct tar_sparse *s, int64_t stored, struct err *e)
{
	int64_t end = 0, sum = 0;

	for (size_t i = 0; i < s->regions.len; i++) {
		const struct tar_region *r = &s->regions.at[i];

		if (r->offset < end || r->size < 0 || r->offset > s->realsize ||
		    r->size > s->realsize - r->offset)
			return bad_map(e);
		end = r->offset + r->size;
		sum += r->size;
	}
	return sum == stored ? 0 : bad_map(e);
}

int tar_sparse_finish(struct tar_sparse *s, const char block[TAR_BLOCK],
                      struct tar_input *in, int64_t *stored, struct err *e)
{
	bool listed = s->map || s->regions.len || s->blocks >= 0;

	if (s->old) {
		if (s->on)
			return err_set(e, ERR_INVALID, "two sparse maps");
		s->on = true;
		if (read_old(s, block, in, e) < 0)
			return -1;
	} else if (s->major >= 0 || s->minor >= 0) {
		if (s->major != 1 || s->minor != 0 || listed)
			return err_set(e, ERR_INVALID, "unknown sparse format");
		if (read_lines(s, in, stored, e) < 0)
			return -1;
	} else if (s->at >= 0 ||
	           (s->blocks >= 0 && (size_t)s->blocks != s->regions.len)) {
		return bad_map(e);
	}
	if (s->realsize < 0)
		return err_set(e, ERR_INVALID, "a sparse file without its size");
	return check(s, *stored, e);
}

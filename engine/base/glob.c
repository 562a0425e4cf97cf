#include "base/glob.h"

#include <string.h>

#include "base/buf.h"

/* A byte that is no UTF-8 is a character of its own above Unicode's range. */
enum { RAW_BYTE = 0x110000 };

size_t glob_decode(const char *s, size_t n, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char b = (unsigned char)s[0];
	size_t len = b < 0x80                ? 1
	             : b >= 0xc2 && b < 0xe0 ? 2
	             : b >= 0xe0 && b < 0xf0 ? 3
	             : b >= 0xf0 && b < 0xf5 ? 4
	                                     : 0;
	uint32_t v = len == 1 ? b : len == 2 ? b & 0x1fu : len == 3 ? b & 0xfu : b & 7u;

	for (size_t i = 1; i < len; i++) {
		if (i >= n || ((unsigned char)s[i] & 0xc0) != 0x80)
			len = 0;
		else
			v = v << 6 | ((unsigned char)s[i] & 0x3fu);
	}
	if (!len || v < least[len] || v >= RAW_BYTE || (v >= 0xd800 && v < 0xe000)) {
		*c = RAW_BYTE + b;
		return 1;
	}
	*c = v;
	return len;
}

static void encode(struct buf *out, uint32_t c)
{
	if (c >= RAW_BYTE) {
		buf_addc(out, (char)(c - RAW_BYTE));
	} else if (c < 0x80) {
		buf_addc(out, (char)c);
	} else {
		int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
		static const unsigned lead[] = { 0, 0xc0, 0xe0, 0xf0 };

		buf_addc(out, (char)(lead[more] | c >> (6 * more)));
		while (more--)
			buf_addc(out, (char)(0x80 | (c >> (6 * more) & 0x3f)));
	}
}

void glob_fini(struct glob *g)
{
	vec_fini(&g->items);
	vec_fini(&g->ranges);
	free(g->lit);
	g->lit = NULL;
}

void glob_literal(struct glob *g, enum glob_form form, const char *lit)
{
	g->form = form;
	g->lit = mem_strdup(lit);
	g->lit_len = strlen(lit);
}

void glob_add(struct glob *g, enum glob_kind kind, bool star)
{
	struct glob_item it = { .kind = kind, .star = star, .first = g->ranges.len };

	vec_push(&g->items, it);
}

void glob_add_char(struct glob *g, uint32_t c)
{
	glob_add(g, GLOB_CHAR, false);
	g->items.at[g->items.len - 1].c = c;
}

void glob_add_dirs(struct glob *g)
{
	glob_add(g, GLOB_FORK, false);
	glob_add(g, GLOB_DIRS, false);
}

void glob_add_range(struct glob *g, uint32_t lo, uint32_t hi)
{
	struct glob_range r = { lo, hi };

	vec_push(&g->ranges, r);
	g->items.at[g->items.len - 1].count++;
}

/* One end of a range; something must follow it, since the class is still open. */
static int class_char(const char **s, uint32_t *c)
{
	if (**s == '\0' || **s == '-' || **s == ']')
		return -1;
	if (**s == '\\')
		++*s;
	if (**s == '\0')
		return -1;
	*s += glob_decode(*s, strlen(*s), c);
	return *c < RAW_BYTE && **s ? 0 : -1;
}

int glob_parse_class(struct glob *g, const char **s, bool bang)
{
	bool any = false;
	uint32_t lo, hi;

	glob_add(g, bang ? GLOB_NAME_CLASS : GLOB_CLASS, false);
	if (**s == '^' || (bang && **s == '!')) {
		g->items.at[g->items.len - 1].negated = true;
		++*s;
	}
	while (**s != ']' || !any) {
		if (class_char(s, &lo) < 0)
			return -1;
		hi = lo;
		if (**s == '-') {
			++*s;
			if (class_char(s, &hi) < 0)
				return -1;
		}
		glob_add_range(g, lo, hi);
		any = true;
	}
	++*s;
	return 0;
}

/* Finds the longest run of plain characters: most paths do not hold it, and are done. */
void glob_finish(struct glob *g)
{
	AUTO_BUF run = BUF_INIT;

	for (size_t i = 0; i < g->items.len; i++) {
		size_t first = i;

		buf_reset(&run);
		for (; i < g->items.len && g->items.at[i].kind == GLOB_CHAR; i++)
			encode(&run, g->items.at[i].c);
		if (run.len <= g->lit_len)
			continue;
		free(g->lit);
		g->lit = mem_strndup(run.s, run.len);
		g->lit_len = run.len;
		g->lit_first = first == 0;
	}
}

static bool takes(const struct glob *g, const struct glob_item *it, uint32_t c)
{
	bool in = false;

	switch (it->kind) {
	case GLOB_CHAR: return c == it->c;
	case GLOB_NOT_SLASH: return c != '/';
	case GLOB_ANY:
	case GLOB_DIRS: return c != '\n' || !g->one_line;
	case GLOB_CLASS:
	case GLOB_NAME_CLASS:
		if (c == '/' && it->kind == GLOB_NAME_CLASS)
			return false;
		for (size_t i = 0; i < it->count && !in; i++) {
			const struct glob_range *r = &g->ranges.at[it->first + i];

			in = c >= r->lo && c <= r->hi;
		}
		return in != it->negated;
	case GLOB_FORK:
	case GLOB_START: break;
	}
	return false;
}

/* The set of states that a path read so far can be in. State i stands before item i; the
 * one behind the last item is acceptance. */
struct states {
	uint64_t *now, *next;
	size_t words;
	uint64_t few[8]; /* room for most patterns */
	uint64_t *many;
};

static void states_init(struct states *st, const struct glob *g)
{
	st->words = g->items.len / 64 + 1;
	st->many = NULL;
	st->now = st->few;
	if (2 * st->words > ARRAY_LEN(st->few))
		st->now = st->many = mem_alloc(2 * st->words * sizeof(uint64_t));
	st->next = st->now + st->words;
	memset(st->now, 0, st->words * sizeof(uint64_t));
	st->now[0] = 1;
}

static void set(uint64_t *bits, size_t i)
{
	bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static bool has(const uint64_t *bits, size_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

/* Adds what is reached without reading: always a later state, so one ascending pass does.
 */
static void states_close(struct states *st, const struct glob *g, bool at_start)
{
	for (size_t i = 0; i < g->items.len; i++) {
		const struct glob_item *it = &g->items.at[i];

		if (!st->now[i / 64]) {
			i |= 63;
			continue;
		}
		if (!has(st->now, i))
			continue;
		if (it->star || it->kind == GLOB_FORK ||
		    (it->kind == GLOB_START && at_start))
			set(st->now, i + 1);
		if (it->kind == GLOB_FORK)
			set(st->now, i + 2);
	}
}

/* Reads one character. False if no state is left. */
static bool states_read(struct states *st, const struct glob *g, uint32_t c)
{
	uint64_t *old = st->now, left = 0;

	memset(st->next, 0, st->words * sizeof(uint64_t));
	for (size_t w = 0; w < st->words; w++) {
		for (uint64_t todo = old[w]; todo; todo &= todo - 1) {
			size_t i = w * 64 + (size_t)__builtin_ctzll(todo);
			const struct glob_item *it = &g->items.at[i];

			if (i == g->items.len || !takes(g, it, c))
				continue;
			if (it->star || it->kind == GLOB_DIRS)
				set(st->next, i);
			if (!it->star && (it->kind != GLOB_DIRS || c == '/'))
				set(st->next, i + 1);
		}
	}
	for (size_t w = 0; w < st->words; w++)
		left |= st->next[w];
	st->now = st->next;
	st->next = old;
	return left != 0;
}

static bool run(const struct glob *g, const char *s, size_t n, bool or_parent)
{
	struct states st;
	uint32_t c;
	bool hit = false, alive = true;

	states_init(&st, g);
	for (size_t i = 0; alive && !hit && i < n;) {
		states_close(&st, g, i == 0);
		hit = or_parent && s[i] == '/' && i && has(st.now, g->items.len);
		i += glob_decode(s + i, n - i, &c);
		alive = states_read(&st, g, c);
	}
	if (alive && !hit) {
		states_close(&st, g, n == 0);
		hit = has(st.now, g->items.len);
	}
	free(st.many);
	return hit;
}

static bool ends_at(const struct glob *g, const char *s, size_t end)
{
	size_t len = g->lit_len;

	if (end >= len && !memcmp(s + end - len, g->lit, len))
		return true;
	return g->lit[0] == '/' && end == len - 1 && !memcmp(s, g->lit + 1, end);
}

static bool match_suffix(const struct glob *g, const char *s, size_t n, bool or_parent)
{
	if (ends_at(g, s, n))
		return true;
	for (size_t i = 1; or_parent && i < n; i++)
		if (s[i] == '/' && ends_at(g, s, i))
			return true;
	return false;
}

static bool starts(const char *s, size_t n, const char *with, size_t len)
{
	return n >= len && !memcmp(s, with, len);
}

bool glob_match(const struct glob *g, const char *path, size_t n, bool or_parent)
{
	size_t len = g->lit_len;

	switch (g->form) {
	case GLOB_EXACT:
		return starts(path, n, g->lit, len) &&
		       (n == len || (or_parent && path[len] == '/'));
	case GLOB_PREFIX: return starts(path, n, g->lit, len);
	case GLOB_SUFFIX: return match_suffix(g, path, n, or_parent);
	case GLOB_PROGRAM: break;
	}
	if (len && !(g->lit_first ? starts(path, n, g->lit, len)
	                          : memmem(path, n, g->lit, len) != NULL))
		return false;
	return run(g, path, n, or_parent);
}

static bool run_below(const struct glob *g, const char *dir, size_t n)
{
	struct states st;
	uint32_t c;
	bool alive = true;

	states_init(&st, g);
	for (size_t i = 0; alive && i <= n;) {
		states_close(&st, g, i == 0);
		if (i == n) {
			c = '/';
			i++;
		} else {
			i += glob_decode(dir + i, n - i, &c);
		}
		alive = states_read(&st, g, c);
	}
	if (alive) { /* something must be left to read */
		states_close(&st, g, false);
		st.now[g->items.len / 64] &= ~(UINT64_C(1) << (g->items.len % 64));
		alive = false;
		for (size_t w = 0; w < st.words; w++)
			alive |= st.now[w] != 0;
	}
	free(st.many);
	return alive;
}

bool glob_may_match_below(const struct glob *g, const char *dir, size_t n)
{
	if (n == 0 || (n == 1 && dir[0] == '.') || g->form == GLOB_SUFFIX)
		return true;
	if (g->form == GLOB_PROGRAM)
		return run_below(g, dir, n);
	if (g->lit_len > n)
		return starts(g->lit, g->lit_len, dir, n) && g->lit[n] == '/';
	return g->form == GLOB_PREFIX && starts(dir, n, g->lit, g->lit_len);
}

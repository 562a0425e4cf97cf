#include "image/toc.h"

#include <string.h>

enum {
	PATH_LIMIT = 4095,
	NAME_LIMIT = 255,
};

void toc_fini(struct toc *t)
{
	arena_fini(&t->arena);
	free(t->at);
	*t = (struct toc)TOC_INIT;
}

static const struct toc_xattr *copy_xattrs(struct arena *a, const struct toc_entry *entry)
{
	struct toc_xattr *x;

	if (!entry->n_xattrs)
		return NULL;
	x = arena_alloc(a, entry->n_xattrs * sizeof(*x));
	for (size_t i = 0; i < entry->n_xattrs; i++) {
		const struct toc_xattr *from = &entry->xattrs[i];

		x[i].name = arena_strdup(a, from->name);
		x[i].value = arena_memdup(a, from->value, from->size);
		x[i].size = from->size;
	}
	return x;
}

struct toc_entry *toc_add(struct toc *t, const struct toc_entry *entry)
{
	struct toc_entry *e;

	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 64;
		t->at = mem_grow(t->at, t->cap, sizeof(*t->at));
	}
	e = &t->at[t->n++];
	*e = *entry;
	e->path = arena_strdup(&t->arena, entry->path);
	if (entry->link)
		e->link = arena_strdup(&t->arena, entry->link);
	e->xattrs = copy_xattrs(&t->arena, entry);
	return e;
}

static bool is_mark(const struct toc_entry *e)
{
	return e->type == TOC_WHITEOUT || e->type == TOC_OPAQUE;
}

/* By path, real entries before marks, then in the order in which they were added. */
static int by_path(const void *a, const void *b)
{
	const struct toc_entry *x = *(const struct toc_entry *const *)a;
	const struct toc_entry *y = *(const struct toc_entry *const *)b;
	int c = strcmp(x->path, y->path);

	if (c)
		return c;
	if (is_mark(x) != is_mark(y))
		return is_mark(x) ? 1 : -1;
	return x < y ? -1 : x > y;
}

/* Appends what remains of `n` sorted entries of one path. */
static size_t fold(struct toc_entry *out, struct toc_entry *const *from, size_t n)
{
	const struct toc_entry *real = NULL, *mark = NULL;
	size_t made = 0;

	for (size_t i = 0; i < n; i++) {
		if (!is_mark(from[i]))
			real = from[i];
		else if (!mark || from[i]->type == TOC_OPAQUE)
			mark = from[i]; /* opaque says all that a whiteout says, and more
			                 */
	}
	if (real)
		out[made++] = *real;
	if (mark && (!real || real->type == TOC_DIR)) {
		out[made] = *mark;
		if (real)
			out[made].type = TOC_OPAQUE;
		made++;
	}
	return made;
}

void toc_sort(struct toc *t)
{
	AUTO_FREE struct toc_entry **order = NULL;
	struct toc_entry *out;
	size_t made = 0, end;

	if (!t->n)
		return;
	order = mem_grow(NULL, t->n, sizeof(*order));
	for (size_t i = 0; i < t->n; i++)
		order[i] = &t->at[i];
	qsort(order, t->n, sizeof(*order), by_path);
	out = mem_grow(NULL, t->n, sizeof(*out));
	for (size_t i = 0; i < t->n; i = end) {
		for (end = i + 1; end < t->n; end++)
			if (strcmp(order[i]->path, order[end]->path) != 0)
				break;
		made += fold(out + made, order + i, end - i);
	}
	free(t->at);
	t->at = out;
	t->cap = t->n;
	t->n = made;
}

size_t toc_lower_bound(const struct toc *t, const char *path, size_t n)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		/* strncmp calls a path that goes on after n bytes equal: it is not below.
		 */
		if (strncmp(t->at[mid].path, path, n) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct toc_entry *toc_find(const struct toc *t, const char *path)
{
	size_t i = toc_lower_bound(t, path, strlen(path));

	if (i == t->n || is_mark(&t->at[i]) || strcmp(t->at[i].path, path) != 0)
		return NULL;
	return &t->at[i];
}

static bool name_valid(const char *name, size_t n)
{
	if (n == 0 || n > NAME_LIMIT || (n == 1 && name[0] == '.'))
		return false;
	if (n == 2 && name[0] == '.' && name[1] == '.')
		return false;
	return n < 4 || memcmp(name, ".wh.", 4) != 0;
}

bool toc_path_valid(const char *path, size_t n)
{
	const char *end = path + n, *slash;

	if (n == 0)
		return true;
	if (n > PATH_LIMIT || memchr(path, '\0', n))
		return false;
	for (;; path = slash + 1) {
		slash = memchr(path, '/', (size_t)(end - path));
		if (!name_valid(path, (size_t)((slash ? slash : end) - path)))
			return false;
		if (!slash)
			return true;
	}
}

bool toc_xattrs_same(const struct toc_entry *a, const struct toc_entry *b)
{
	if (a->n_xattrs != b->n_xattrs)
		return false;
	for (size_t i = 0; i < a->n_xattrs; i++) {
		const struct toc_xattr *x = &a->xattrs[i], *y = &b->xattrs[i];

		if (strcmp(x->name, y->name) != 0 || x->size != y->size ||
		    memcmp(x->value, y->value, x->size) != 0)
			return false;
	}
	return true;
}

bool toc_entry_same(const struct toc_entry *a, const struct toc_entry *b)
{
	return a->type == b->type && a->mode == b->mode && a->uid == b->uid &&
	       a->gid == b->gid && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor && a->size == b->size &&
	       digest_equal(&a->digest, &b->digest) && !a->link == !b->link &&
	       (!a->link || !strcmp(a->link, b->link)) && toc_xattrs_same(a, b);
}

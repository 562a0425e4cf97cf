/* What all file sets have in common, wherever their files come from. */
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "build/fileset.h"

void fileset_free(struct fileset *f)
{
	if (!f)
		return;
	arena_fini(&f->arena);
	toc_fini(&f->held);
	vec_fini(&f->files);
	free(f);
}

size_t fileset_fixed_part(const char *pattern)
{
	size_t n = strcspn(pattern, "*?[\\");

	while (n && pattern[n - 1] != '/')
		n--;
	return n;
}

void fileset_pattern(const char *dir, const char *rest, struct buf *out)
{
	size_t before = out->len;

	for (const char *s = dir; *s; s++)
		buf_addf(out, "%s%c", strchr("*?[\\", *s) ? "\\" : "", *s);
	buf_addf(out, "%s%s", out->len > before ? "/" : "", rest);
}

static int by_dest(const void *a, const void *b)
{
	const struct project_file *x = a, *y = b;
	int c = path_compare(x->dest, y->dest);

	return c ? c : strcmp(x->path, y->path);
}

/* What comes from one directory is in order already. */
static bool is_sorted(const struct fileset *set)
{
	for (size_t i = 1; i < set->files.len; i++)
		if (by_dest(&set->files.at[i - 1], &set->files.at[i]) > 0)
			return false;
	return true;
}

/* The same file named twice is one; two files for one place are an error. */
static int merge(struct fileset *set, struct err *e)
{
	size_t n = 0;

	if (!is_sorted(set))
		qsort(set->files.at, set->files.len, sizeof(*set->files.at), by_dest);
	for (size_t i = 0; i < set->files.len; i++) {
		struct project_file *s = &set->files.at[i],
				    *last = n ? &set->files.at[n - 1] : NULL;

		if (!last || strcmp(last->dest, s->dest)) {
			set->files.at[n++] = *s;
			continue;
		}
		if (strcmp(last->path, s->path) &&
		    !(last->type == TOC_DIR && s->type == TOC_DIR))
			return err_set(
				e, ERR_INVALID,
				"both %s and %s would become %s; use parents = true or two steps",
				last->path, s->path, s->dest);
	}
	set->files.len = n;
	return 0;
}

static int by_inode(const void *a, const void *b)
{
	const struct project_file *x = *(struct project_file *const *)a,
				  *y = *(struct project_file *const *)b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return strcmp(x->dest, y->dest);
}

/* Names of one inode after the first become hard links to it. */
static void link_names(struct fileset *set)
{
	VEC(struct project_file *) shared = { 0 };

	for (size_t i = 0; i < set->files.len; i++)
		if (set->files.at[i].ino)
			vec_push(&shared, &set->files.at[i]);
	if (shared.len)
		qsort(shared.at, shared.len, sizeof(*shared.at), by_inode);
	for (size_t i = 1, first = 0; i < shared.len; i++) {
		struct project_file *s = shared.at[i], *f = shared.at[first];

		if (s->dev != f->dev || s->ino != f->ino) {
			first = i;
			continue;
		}
		s->type = TOC_HARDLINK;
		s->link = f->dest;
		s->size = 0;
		/* It may be remembered, or not: a key must not tell. */
		s->digest = (struct digest){ { 0 } };
	}
	vec_fini(&shared);
}

int fileset_settle(struct fileset *set, struct err *e)
{
	if (merge(set, e) < 0)
		return -1;
	link_names(set);
	return 0;
}

const struct project_file *fileset_first_name(const struct fileset *set,
                                              const struct project_file *f)
{
	size_t lo = 0, hi = set->files.len;

	while (f->type == TOC_HARDLINK && lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = path_compare(set->files.at[mid].dest, f->link);

		if (c == 0)
			return &set->files.at[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return f;
}

/* Any bytes as the tables of up to three layers of few names, so that links, marks and
 * directories meet. What is merged must be a tree that can be written, with no symlink
 * above anything; and where no layer has a symlink or a hard link, it is what toc_view
 * sees. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/merged.h"
#include "image/tar_writer.h"

enum { LAYERS = 3 };

static void require(int fine)
{
	if (!fine)
		abort();
}

struct bytes {
	const uint8_t *at;
	size_t n;
};

static unsigned next(struct bytes *b)
{
	if (!b->n)
		return 0;
	b->n--;
	return *b->at++;
}

/* One to four names, of a choice of six; ".." and what makes whiteouts for links only. */
static void add_path(struct buf *out, struct bytes *b, int link)
{
	static const char *const names[] = {
		"a", "b", "c", "a-", "d", "e", "..", ".wh.a"
	};
	unsigned shape = next(b);

	if (link && (shape & 0x80))
		buf_addc(out, '/');
	for (unsigned i = 0; i <= (shape & 3); i++) {
		if (i)
			buf_addc(out, '/');
		buf_adds(out, names[next(b) % (link ? 8 : 6)]);
	}
}

/* Whether links are among what was added. */
static int add_entry(struct toc *t, struct bytes *b)
{
	static const char types[] = "fddllhwopc";
	AUTO_BUF path = BUF_INIT;
	AUTO_BUF link = BUF_INIT;
	struct toc_entry e = { .mode = 0644, .dev_major = 1 };

	e.type = (enum toc_type)types[next(b) % (sizeof(types) - 1)];
	add_path(&path, b, 0);
	e.path = path.s;
	if (e.type == TOC_SYMLINK || e.type == TOC_HARDLINK) {
		add_path(&link, b, e.type == TOC_SYMLINK);
		e.link = link.s;
		if (e.type == TOC_HARDLINK && !strcmp(e.path, e.link))
			return 0;
	}
	toc_add(t, &e);
	return e.link != NULL;
}

static void check_entry(const struct merged *m, size_t i)
{
	const struct merged_entry *t = &m->list.at[i], *first = &m->list.at[t->first];
	const char *slash = strrchr(t->path, '/');
	struct toc_entry out = *t->node;
	AUTO_BUF head = BUF_INIT;
	size_t above = i;
	struct err e;

	require(toc_path_valid(t->path, strlen(t->path)));
	require(i == 0 || strcmp(m->list.at[i - 1].path, t->path) < 0);
	require(t->first <= i && first->node == t->node);
	require(t->first == i || t->node->type == TOC_FILE);
	require(t->node->type != TOC_HARDLINK && t->node->type != TOC_WHITEOUT &&
	        t->node->type != TOC_OPAQUE);
	out.path = t->path;
	require(tar_write_header(&head, &out, &e) == 0);
	if (!slash)
		return;
	while (above-- > 0) {
		const char *dir = m->list.at[above].path;

		if (strlen(dir) == (size_t)(slash - t->path) &&
		    !memcmp(dir, t->path, strlen(dir)))
			break;
	}
	require(above < i && m->list.at[above].node->type == TOC_DIR);
}

struct walked {
	const struct merged *m;
	size_t i;
};

static int same(void *self, const struct toc_entry *t, size_t layer)
{
	struct walked *w = self;

	/* Directories that have no entry are only in ours. */
	while (w->i < w->m->list.len && strcmp(w->m->list.at[w->i].path, t->path) != 0)
		require(w->m->list.at[w->i++].node->type == TOC_DIR);
	require(w->i < w->m->list.len && w->m->list.at[w->i].layer == layer &&
	        w->m->list.at[w->i].node->type == t->type);
	w->i++;
	return 0;
}

static void compare(const struct merged *m)
{
	const struct toc *tables[LAYERS];
	struct toc_view v = { tables, m->n_layers };
	struct walked w = { m, 0 };

	for (size_t i = 0; i < m->n_layers; i++)
		tables[i] = &m->layers[i].table;
	require(toc_view_walk(&v, "", same, &w) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct merged m = { .n_layers = LAYERS };
	struct bytes b = { bytes, n < 600 ? n : 600 };
	int links = 0;
	struct err e;

	m.layers = mem_alloc(LAYERS * sizeof(*m.layers));
	for (size_t i = 0; i < LAYERS; i++) {
		m.layers[i].table = (struct toc)TOC_INIT;
		for (unsigned k = next(&b) % 24; k > 0 && b.n; k--)
			links |= add_entry(&m.layers[i].table, &b);
		toc_sort(&m.layers[i].table);
	}
	if (merged_make(&m, &e) == 0) {
		for (size_t i = 0; i < m.list.len; i++)
			check_entry(&m, i);
		if (!links)
			compare(&m);
	}
	merged_fini(&m);
	return 0;
}

/* Any bytes as a table of contents. What is accepted keeps the rules, encodes to the same bytes, and
 * can be looked at as layers. */
#include <stdlib.h>
#include <string.h>

#include "image/toc.h"

static void require(int fine)
{
	if (!fine)
		abort();
}

struct walked {
	const struct toc_view *view;
	const char *last;
};

static int check(void *self, const struct toc_entry *e, size_t layer)
{
	struct walked *w = self;
	size_t found;

	require(!w->last || strcmp(w->last, e->path) < 0);
	w->last = e->path;
	require(toc_view_find(w->view, e->path, &found) == e && found == layer);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct toc lower = TOC_INIT, upper = TOC_INIT;
	const struct toc *layers[] = { &lower, &upper };
	struct toc_view v = { layers, 2 };
	struct walked w = { .view = &v };
	const struct toc_entry *there;
	AUTO_BUF again = BUF_INIT, path = BUF_INIT;
	struct err e;

	if (toc_decode(&lower, bytes, n, &e) < 0) {
		require(!lower.at && !lower.n);
		return 0;
	}
	toc_encode(&lower, &again);
	require(again.len == n && !memcmp(again.s, bytes, n));
	for (size_t i = 0; i < lower.n; i++) {
		struct toc_entry half = lower.at[i];

		require(toc_path_valid(half.path, strlen(half.path)));
		if (half.mtime & 1)
			toc_add(&upper, &half);
		if (toc_view_resolve(&v, half.path, true, &path, &there, &e) == 0)
			require(path.s[0] != '/');
	}
	toc_sort(&upper);
	toc_view_walk(&v, "", check, &w);
	toc_fini(&lower);
	toc_fini(&upper);
	return 0;
}

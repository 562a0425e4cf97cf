/* Tables of contents with the names that files have in the image: what a layer calls
 * "lib/x" is usr/lib/x where those below made lib a symlink to usr/lib. Layers of most
 * tools need none of this, so only those are copied that have such names. */
#include <string.h>

#include "build/node.h"
#include "image/merged.h"

struct settled {
	struct toc toc;     /* strings are those of the layer's own table, or in: */
	struct arena arena; /* … */
	struct map moved;   /* a path → what the layer calls it, where that differs */
	bool any;           /* else the layer's own table is right */
};

static void settled_free(struct settled *s)
{
	toc_fini(&s->toc);
	arena_fini(&s->arena);
	map_fini(&s->moved);
	free(s);
}

void settled_fini(struct map *m)
{
	for (size_t i = 0; i < m->len; i++)
		settled_free(m->at[i].value);
	map_fini(m);
}

/* --- Which layers ---------------------------------------------------------------------
 */

static bool is_symlink(const struct toc_view *v, const char *path, size_t n)
{
	AUTO_FREE char *dir = mem_strndup(path, n);

	for (size_t i = 0; i < v->n; i++) {
		const struct toc_entry *t = toc_find(v->layers[i], dir);

		if (t && t->type == TOC_SYMLINK)
			return true;
	}
	return false;
}

/* Looks at the directories above `path` that are not above `before` too. */
static bool leads_away(const struct toc_view *v, const char *path, const char *before)
{
	size_t same = 0;

	while (path[same] && path[same] == before[same])
		same++;
	for (const char *s = strchr(path, '/'); s; s = strchr(s + 1, '/')) {
		size_t n = (size_t)(s - path);

		if ((n > same || before[n] != '/') && is_symlink(v, path, n))
			return true;
	}
	return false;
}

/* Whether the topmost layer of the view may call something by another name. */
static bool may_move(const struct toc_view *v)
{
	const struct toc *t = v->layers[v->n - 1];
	const char *path = "", *link = "";

	for (size_t i = 0; i < t->n; i++) {
		const struct toc_entry *x = &t->at[i];

		if (leads_away(v, x->path, path) ||
		    (x->type == TOC_OPAQUE && is_symlink(v, x->path, strlen(x->path))))
			return true;
		path = x->path;
		if (x->type != TOC_HARDLINK)
			continue;
		if (leads_away(v, x->link, link))
			return true;
		link = x->link;
	}
	return false;
}

/* --- Their tables ---------------------------------------------------------------------
 */

static void note_moved(struct settled *s, const struct toc *own)
{
	for (size_t i = 0; i < s->toc.n; i++) {
		struct toc_entry *t = &s->toc.at[i];
		const struct toc_entry *was = &own->at[t->offset];

		t->offset = was->offset;
		if (strcmp(t->path, was->path) != 0)
			map_put(&s->moved, t->path, (void *)was->path);
	}
}

/* `v` is of the layers below, and of this one as it is. */
static int settle(struct settled *s, const struct toc_view *v, struct err *e)
{
	const struct toc *own = v->layers[v->n - 1];
	AUTO_FREE const struct toc **all = NULL;
	struct toc_view upto;

	s->any = may_move(v);
	if (!s->any)
		return 0;
	s->toc.at = mem_grow(NULL, own->n ? own->n : 1, sizeof(*s->toc.at));
	s->toc.cap = own->n ? own->n : 1;
	for (; s->toc.n < own->n; s->toc.n++) {
		s->toc.at[s->toc.n] = own->at[s->toc.n];
		s->toc.at[s->toc.n].offset = (int64_t)s->toc.n; /* for note_moved */
	}
	all = mem_alloc(v->n * sizeof(*all));
	memcpy(all, v->layers, v->n * sizeof(*all));
	all[v->n - 1] = &s->toc;
	upto = (struct toc_view){ all, v->n };
	if (merged_settle(&s->toc, &upto, &s->arena, e) < 0)
		return -1;
	note_moved(s, own);
	return 0;
}

static struct settled *find(struct build *b, const char *chain)
{
	struct settled *s;

	pthread_mutex_lock(&b->lock);
	s = map_get(&b->settled, chain);
	pthread_mutex_unlock(&b->lock);
	return s;
}

/* Takes it, unless another thread was first. */
static struct settled *keep(struct build *b, const char *chain, struct settled *s)
{
	struct settled *first;

	pthread_mutex_lock(&b->lock);
	first = map_get(&b->settled, chain);
	if (!first)
		map_put(&b->settled, chain, s);
	pthread_mutex_unlock(&b->lock);
	if (!first)
		return s;
	settled_free(s);
	return first;
}

static int get(struct settled **out, struct build *b, const char *chain,
               const struct toc_view *v, struct err *e)
{
	struct settled *s = find(b, chain);

	if (!s) {
		s = mem_alloc(sizeof(*s));
		*s = (struct settled){ .toc = TOC_INIT, .arena = ARENA_INIT };
		if (settle(s, v, e) < 0) {
			settled_free(s);
			return -1;
		}
		s = keep(b, chain, s);
	}
	*out = s;
	return 0;
}

int node_tocs(const struct node *n, const struct result *r, const struct toc ***out,
              struct err *e)
{
	struct digest chain = { { 0 } };
	char hex[DIGEST_HEX + 1];
	struct settled *s;

	if (node_tables(n, r, out, e) < 0)
		return -1;
	for (size_t i = 0; i < r->layers.len; i++) {
		struct toc_view v = { *out, i + 1 };

		digest_chain(&chain, &r->layers.at[i].diff_id);
		if (get(&s, n->build, digest_hex(&chain, hex), &v, e) < 0) {
			free(*out);
			*out = NULL;
			return err_wrap(e, "layer %s",
			                DIGEST_STR(&r->layers.at[i].blob.digest));
		}
		if (s->any)
			(*out)[i] = &s->toc;
	}
	return 0;
}

const struct map *node_moved(const struct node *n, const struct result *r, size_t layer)
{
	struct digest chain = { { 0 } };
	char hex[DIGEST_HEX + 1];
	const struct settled *s;

	for (size_t i = 0; i <= layer; i++)
		digest_chain(&chain, &r->layers.at[i].diff_id);
	s = find(n->build, digest_hex(&chain, hex));
	return s && s->any ? &s->moved : NULL;
}

/* Cutting a tree into shards, and their keys. */
#include "build/shard.h"

#include <stdlib.h>
#include <string.h>

/* Raised when the same entries would be packed into other bytes. */
enum { TREE_VERSION = 1, BLOCK = 512 };

static struct tree_entry *at(const struct tree *t, size_t i)
{
	return t->by_path.at[i].value;
}

static bool gone(const struct tree_entry *x)
{
	return x->toc.path == NULL;
}

static int by_path(const void *a, const void *b)
{
	const struct tree_entry *x = *(struct tree_entry *const *)a;
	const struct tree_entry *y = *(struct tree_entry *const *)b;

	return strcmp(x->toc.path, y->toc.path);
}

/* The entries in packing order. Caller frees. */
static struct tree_entry **sorted(const struct tree *t, size_t *n)
{
	struct tree_entry **all = mem_grow(NULL, t->by_path.len + 1, sizeof(*all));

	*n = 0;
	for (size_t i = 0; i < t->by_path.len; i++)
		if (!gone(at(t, i)))
			all[(*n)++] = at(t, i);
	qsort(all, *n, sizeof(*all), by_path);
	return all;
}

static int by_inode(const void *a, const void *b)
{
	const struct tree_entry *x = *(struct tree_entry *const *)a;
	const struct tree_entry *y = *(struct tree_entry *const *)b;

	if (x->inode != y->inode)
		return (uintptr_t)x->inode < (uintptr_t)y->inode ? -1 : 1;
	return strcmp(x->toc.path, y->toc.path);
}

/* A link can only stand for what comes before it in the layer, and some names may have
 * been removed, replaced, or led elsewhere by symlinks since the files were found. */
static void link_names(struct tree *t)
{
	VEC(struct tree_entry *) shared = { 0 };

	for (size_t i = 0; i < t->by_path.len; i++)
		if (!gone(at(t, i)) && at(t, i)->inode)
			vec_push(&shared, at(t, i));
	if (shared.len)
		qsort(shared.at, shared.len, sizeof(*shared.at), by_inode);
	for (size_t i = 1, first = 0; i < shared.len; i++) {
		struct tree_entry *x = shared.at[i];

		if (x->inode != shared.at[first]->inode) {
			first = i;
			continue;
		}
		x->toc.type = TOC_HARDLINK;
		x->toc.link = shared.at[first]->toc.path;
		x->toc.size = 0;
		x->toc.digest = (struct digest){ { 0 } };
		x->content = (struct content){ .kind = CONTENT_NONE };
	}
	vec_fini(&shared);
}

/* Into how many shards, of large files and of others. */
struct cut {
	unsigned large, small;
};

static int64_t tar_size(const struct tree_entry *x)
{
	return BLOCK + (x->toc.size + BLOCK - 1) / BLOCK * BLOCK;
}

static bool is_large(const struct tree_entry *x)
{
	return x->toc.type == TOC_FILE && x->toc.size >= SHARD_LARGE;
}

static struct cut decide(struct tree_entry *const *all, size_t n,
                         const struct shard_rule *r)
{
	struct cut whole = { 0, 1 }, c = { r->layers / 3, r->layers - r->layers / 3 };
	int64_t large = 0, small = 0;

	for (size_t i = 0; i < n; i++) {
		/* Repeated, an opaque directory would hide other shards' files. */
		if (all[i]->opaque || all[i]->toc.type == TOC_WHITEOUT)
			return whole;
		*(is_large(all[i]) ? &large : &small) += tar_size(all[i]);
	}
	if (r->layers < 2 || large + small < r->least)
		return whole;
	if (small < r->least)
		c.small = 1;
	return c;
}

/* FNV-1a with MurmurHash3's finish, since a remainder is taken. Which layer a file is in
 * depends on it, on every machine and for ever. */
static uint64_t hash_of(const char *path)
{
	uint64_t h = 14695981039346656037u;

	for (; *path; path++)
		h = (h ^ (unsigned char)*path) * 1099511628211u;
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
	return h ^ h >> 33;
}

static uint64_t pick(const struct cut *c, const struct tree_entry *x)
{
	uint64_t h = hash_of(x->toc.path);

	if (c->large && is_large(x))
		return (uint64_t)1 << (h % c->large);
	return (uint64_t)1 << (c->large + h % c->small);
}

/* The directories above are in the shard as well. */
static void mark(const struct tree *t, struct tree_entry *x, uint64_t bit)
{
	AUTO_BUF dir = BUF_INIT;
	const char *slash;

	x->shards |= bit;
	buf_adds(&dir, x->toc.path);
	while ((slash = strrchr(dir.s, '/'))) {
		struct tree_entry *above;

		buf_truncate(&dir, (size_t)(slash - dir.s));
		above = tree_own(t, dir.s);
		if (!above || above->shards & bit)
			return;
		above->shards |= bit;
	}
}

static void assign(const struct tree *t, const struct cut *c, struct tree_entry **all,
                   size_t n)
{
	for (size_t i = 0; i < n; i++)
		all[i]->shards = 0;
	for (size_t i = 0; i < n; i++) {
		const struct tree_entry *first = all[i]->toc.type == TOC_HARDLINK
		                                         ? tree_own(t, all[i]->toc.link)
		                                         : NULL;

		if (all[i]->toc.type != TOC_DIR)
			mark(t, all[i], first ? first->shards : pick(c, all[i]));
	}
	for (size_t i = 0; i < n; i++)
		if (!all[i]->shards)
			mark(t, all[i], (uint64_t)1 << c->large);
}

static void collect(struct shard *s, unsigned number, struct tree_entry **all, size_t n)
{
	s->number = number;
	for (size_t i = 0; i < n; i++) {
		if (!(all[i]->shards >> number & 1))
			continue;
		s->at[s->n++] = all[i];
		s->size += tar_size(all[i]);
	}
}

void tree_cut(struct tree *t, const struct shard_rule *r, struct shards *out)
{
	AUTO_FREE struct tree_entry **all = NULL;
	size_t n, total = 0, used = 0;
	struct cut c;

	link_names(t);
	all = sorted(t, &n);
	c = decide(all, n, r);
	assign(t, &c, all, n);
	for (size_t i = 0; i < n; i++)
		total += (size_t)__builtin_popcountll(all[i]->shards);
	*out = (struct shards){
		.at = mem_alloc((c.large + c.small) * sizeof(*out->at)),
		.entries = mem_grow(NULL, total + 1, sizeof(*out->entries)),
	};
	for (unsigned i = 0; i < c.large + c.small; i++) {
		struct shard *s = &out->at[out->n];

		s->at = out->entries + used;
		collect(s, i, all, n);
		used += s->n;
		out->n += s->n > 0;
	}
}

void shards_fini(struct shards *s)
{
	free(s->at);
	free(s->entries);
	*s = (struct shards){ NULL };
}

static void add_to_key(struct hasher *h, const struct tree_entry *x)
{
	const struct toc_entry *e = &x->toc;

	hasher_str(h, e->path);
	hasher_int(h, e->type);
	hasher_int(h, x->opaque);
	hasher_int(h, e->mode);
	hasher_int(h, e->uid);
	hasher_int(h, e->gid);
	hasher_int(h, e->dev_major);
	hasher_int(h, e->dev_minor);
	hasher_int(h, e->size);
	hasher_int(h, e->mtime);
	hasher_digest(h, &e->digest);
	hasher_str(h, e->link);
	hasher_int(h, (int64_t)e->n_xattrs);
	for (size_t i = 0; i < e->n_xattrs; i++) {
		hasher_str(h, e->xattrs[i].name);
		hasher_field(h, e->xattrs[i].value, e->xattrs[i].size);
	}
}

void shard_key(const struct shard *s, enum codec codec, struct digest *out)
{
	struct hasher h;

	hasher_init(&h);
	hasher_str(&h, "layer");
	hasher_int(&h, TREE_VERSION);
	hasher_int(&h, codec);
	for (size_t i = 0; i < s->n; i++)
		add_to_key(&h, s->at[i]);
	hasher_end(&h, out);
}

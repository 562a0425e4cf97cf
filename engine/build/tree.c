#include "build/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/file.h"

/* Raised when the same entries would be packed into other bytes. */
enum { TREE_VERSION = 1, CHUNK = 256 * 1024 };

void tree_init(struct tree *t, struct arena *a, const struct toc *const *parents,
               size_t n, int64_t mtime)
{
	*t = (struct tree){
		.arena = a, .own = TOC_INIT, .by_path = MAP_INIT, .mtime = mtime
	};
	for (size_t i = 0; i < n; i++)
		vec_push(&t->below, parents[i]);
	t->n_parents = n;
}

void tree_fini(struct tree *t)
{
	vec_fini(&t->below);
	toc_fini(&t->own);
	map_fini(&t->by_path);
}

static struct tree_entry *at(const struct tree *t, size_t i)
{
	return t->by_path.at[i].value;
}

static bool gone(const struct tree_entry *x)
{
	return x->toc.path == NULL; /* a mark that was taken back */
}

struct tree_entry *tree_own(const struct tree *t, const char *path)
{
	struct tree_entry *x = map_get(&t->by_path, path);

	return x && !gone(x) ? x : NULL;
}

static void add_to_toc(struct toc *toc, const struct tree_entry *x)
{
	if (gone(x))
		return;
	toc_add(toc, &x->toc);
	if (x->opaque) {
		struct toc_entry mark = { .path = x->toc.path, .type = TOC_OPAQUE };

		toc_add(toc, &mark);
	}
}

void tree_next_step(struct tree *t)
{
	t->step++;
	if (!t->by_path.len)
		return;
	toc_fini(&t->own);
	for (size_t i = 0; i < t->by_path.len; i++)
		add_to_toc(&t->own, at(t, i));
	toc_sort(&t->own);
	if (t->below.len == t->n_parents)
		vec_push(&t->below, &t->own);
}

struct toc_view tree_view(const struct tree *t)
{
	return (struct toc_view){ t->below.at, t->below.len };
}

int tree_resolve(const struct tree *t, const char *path, bool last, struct buf *out,
                 const struct toc_entry **entry, struct err *e)
{
	struct toc_view v = tree_view(t);

	return toc_view_resolve(&v, path, last, out, entry, e);
}

static struct tree_entry *insert(struct tree *t, const struct toc_entry *entry)
{
	struct tree_entry *x = arena_alloc(t->arena, sizeof(*x));

	x->toc = *entry;
	x->step = t->step;
	map_put(&t->by_path, entry->path, x);
	return x;
}

/* The directories above `path`, so that the layer alone says what they are. */
static int put_parents(struct tree *t, const struct toc_entry *entry, uint32_t dir_mode,
                       struct err *e)
{
	struct toc_view v = tree_view(t);

	for (const char *s = strchr(entry->path, '/'); s; s = strchr(s + 1, '/')) {
		char *dir =
			arena_strndup(t->arena, entry->path, (size_t)(s - entry->path));
		struct tree_entry *own = map_get(&t->by_path, dir);
		const struct toc_entry *old;
		struct toc_entry made = { .path = dir,
			                  .type = TOC_DIR,
			                  .mode = dir_mode,
			                  .uid = entry->uid,
			                  .gid = entry->gid,
			                  .mtime = t->mtime };

		if (own && !gone(own) && own->toc.type == TOC_DIR)
			continue;
		old = toc_view_find(&v, dir, NULL);
		if ((own && !gone(own) && own->toc.type != TOC_WHITEOUT) ||
		    (old && old->type != TOC_DIR))
			return err_set(e, ERR_INVALID,
			               "/%s is not a directory in the image", dir);
		if (old) {
			made.mode = old->mode;
			made.uid = old->uid;
			made.gid = old->gid;
			made.xattrs = old->xattrs;
			made.n_xattrs = old->n_xattrs;
		}
		insert(t, &made)->opaque = own && !gone(own);
	}
	return 0;
}

static int refuse_clash(const struct tree *t, const struct tree_entry *own,
                        const struct toc_entry *old, const struct toc_entry *entry,
                        struct err *e)
{
	bool dir = entry->type == TOC_DIR;

	if (own && !gone(own) && own->toc.type != TOC_WHITEOUT) {
		if (dir != (own->toc.type == TOC_DIR))
			return err_set(e, ERR_INVALID,
			               "/%s would be a directory and a file at once",
			               entry->path);
		if (!dir && own->step == t->step)
			return err_set(e, ERR_INVALID, "two sources would become /%s",
			               entry->path);
		return 0;
	}
	if (old && dir && old->type != TOC_DIR)
		return err_set(
			e, ERR_INVALID,
			"/%s is a file in the image, not a directory; remove it first",
			entry->path);
	if (old && !dir && old->type == TOC_DIR)
		return err_set(
			e, ERR_INVALID,
			"/%s is a directory in the image; remove it first, or end 'to' in /",
			entry->path);
	return 0;
}

int tree_put(struct tree *t, const struct toc_entry *entry, const struct content *content,
             uint32_t dir_mode, struct err *e)
{
	struct toc_view v = tree_view(t);
	struct tree_entry *own = map_get(&t->by_path, entry->path);
	struct tree_entry *x;

	if (refuse_clash(t, own, toc_view_find(&v, entry->path, NULL), entry, e) < 0 ||
	    put_parents(t, entry, dir_mode, e) < 0)
		return -1;
	x = insert(t, entry);
	if (content)
		x->content = *content;
	if (own && !gone(own))
		x->opaque = entry->type == TOC_DIR &&
		            (own->opaque || own->toc.type == TOC_WHITEOUT);
	return 0;
}

/* Takes what this layer itself put at or below `path` back. It has all directories above
 * what it has. */
static void forget(struct tree *t, const char *path)
{
	struct tree_entry *own = tree_own(t, path);
	size_t n = strlen(path);

	if (!own)
		return;
	if (own->toc.type != TOC_DIR) {
		own->toc.path = NULL;
		return;
	}
	for (size_t i = 0; i < t->by_path.len; i++) {
		struct tree_entry *x = at(t, i);

		if (!gone(x) && !strncmp(x->toc.path, path, n) &&
		    (x->toc.path[n] == '/' || x->toc.path[n] == '\0'))
			x->toc.path = NULL;
	}
}

int tree_remove(struct tree *t, const char *path, struct err *e)
{
	struct toc_view parents = { t->below.at, t->n_parents };
	struct toc_entry mark = { .path = path, .type = TOC_WHITEOUT };

	if (!*path)
		return err_set(e, ERR_INVALID, "the root directory cannot be removed");
	forget(t, path);
	if (!toc_view_find(&parents, path, NULL))
		return 0; /* it was only ever in this layer */
	if (put_parents(t, &mark, 0755, e) < 0)
		return -1;
	insert(t, &mark);
	return 0;
}

bool tree_is_empty(const struct tree *t)
{
	for (size_t i = 0; i < t->by_path.len; i++)
		if (!gone(at(t, i)))
			return false;
	return true;
}

static int by_path(const void *a, const void *b)
{
	const struct tree_entry *x = ((const struct map_entry *)a)->value;
	const struct tree_entry *y = ((const struct map_entry *)b)->value;

	return strcmp(x->toc.path ? x->toc.path : "", y->toc.path ? y->toc.path : "");
}

/* The entries in packing order. Caller frees. */
static struct map_entry *sorted(const struct tree *t)
{
	struct map_entry *all = mem_grow(NULL, t->by_path.len, sizeof(*all));

	if (!t->by_path.len)
		return all;
	memcpy(all, t->by_path.at, t->by_path.len * sizeof(*all));
	qsort(all, t->by_path.len, sizeof(*all), by_path);
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

void tree_key(struct tree *t, enum codec codec, struct digest *out)
{
	AUTO_FREE struct map_entry *all = sorted(t);
	struct hasher h;

	link_names(t);
	hasher_init(&h);
	hasher_str(&h, "layer");
	hasher_int(&h, TREE_VERSION);
	hasher_int(&h, codec);
	for (size_t i = 0; i < t->by_path.len; i++)
		if (!gone(all[i].value))
			add_to_key(&h, all[i].value);
	hasher_end(&h, out);
}

/* One packing under way. */
struct packing {
	const struct pack_options *o;
	struct packer *packer;
	char *chunk;
	int64_t done, total;
};

enum { SAY_EVERY = 8 << 20 };

static int pack_data(struct packing *p, const void *data, size_t n, struct err *e)
{
	int64_t before = p->done;

	p->done += (int64_t)n;
	if (before / SAY_EVERY != p->done / SAY_EVERY)
		progress_bytes(p->o->progress, p->o->target, "pack", p->done, p->total);
	return packer_data(p->packer, data, n, e);
}

static int pack_fd(struct packing *p, int fd, int64_t offset, int64_t size,
                   const char *what, struct err *e)
{
	while (size > 0) {
		size_t want = size < CHUNK ? (size_t)size : CHUNK;
		ssize_t n = pread(fd, p->chunk, want, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read %s", what);
		if (n == 0)
			return err_set(e, ERR_CORRUPT,
			               "%s became shorter while it was read", what);
		if (pack_data(p, p->chunk, (size_t)n, e) < 0)
			return -1;
		size -= n;
		offset += n;
	}
	return 0;
}

static int pack_path(struct packing *p, const struct tree_entry *x, struct err *e)
{
	AUTO_CLOSE int fd = file_open_beneath(x->content.fd, x->content.path,
	                                      O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ELOOP))
		return err_set(e, ERR_CHANGED, "%s vanished while it was packed",
		               x->content.path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "open %s", x->content.path);
	if (!S_ISREG(st.st_mode) || st.st_size != x->toc.size)
		return err_set(e, ERR_CHANGED, "%s changed while it was packed",
		               x->content.path);
	if (pack_fd(p, fd, 0, x->toc.size, x->content.path, e) == 0)
		return 0;
	if (e->code == ERR_CORRUPT)
		return err_set(e, ERR_CHANGED, "%s changed while it was packed",
		               x->content.path);
	return -1;
}

static int pack_entry(struct packing *p, const struct tree_entry *x, struct err *e)
{
	struct toc_entry mark = { .path = x->toc.path, .type = TOC_OPAQUE };

	if (packer_entry(p->packer, &x->toc, e) < 0)
		return -1;
	switch (x->content.kind) {
	case CONTENT_PATH: return pack_path(p, x, e);
	case CONTENT_FD:
		return pack_fd(p, x->content.fd, x->content.offset, x->toc.size,
		               x->toc.path, e);
	case CONTENT_MEMORY:
		return pack_data(p, x->content.memory, (size_t)x->toc.size, e);
	case CONTENT_NONE: break;
	}
	return x->opaque ? packer_entry(p->packer, &mark, e) : 0;
}

int tree_pack(struct tree *t, const struct pack_options *o, struct layer *out,
              struct err *e)
{
	AUTO_FREE struct map_entry *all = sorted(t);
	AUTO_FREE char *chunk = mem_grow(NULL, CHUNK, 1);
	struct packing p = { .o = o, .chunk = chunk };
	int rc = 0;

	for (size_t i = 0; i < t->by_path.len; i++)
		p.total += at(t, i)->toc.size;
	if (packer_open(&p.packer, o->store, o->codec, o->pool, e) < 0)
		return -1;
	progress_begin(o->progress, o->target, "pack", p.total);
	for (size_t i = 0; rc == 0 && i < t->by_path.len; i++)
		if (!gone(all[i].value))
			rc = pack_entry(&p, all[i].value, e);
	if (rc == 0)
		rc = packer_finish(p.packer, out, e);
	packer_close(p.packer);
	progress_end(o->progress, o->target, "pack", p.done);
	return rc;
}

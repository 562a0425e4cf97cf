/* Packing a shard. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "build/shard.h"
#include "os/fd.h"
#include "os/file.h"

enum { CHUNK = 256 * 1024 };

/* One packing under way. */
struct packing {
	struct packer *packer;
	struct pack_meter *meter;
	char *chunk;
};

enum { SAY_EVERY = 8 << 20 };

static int pack_data(struct packing *p, const void *data, size_t n, struct err *e)
{
	struct pack_meter *m = p->meter;
	int64_t before = m ? atomic_fetch_add(&m->done, (int64_t)n) : 0;
	int64_t after = before + (int64_t)n;

	if (before / SAY_EVERY != after / SAY_EVERY && m)
		progress_bytes(m->progress, m->target, "pack", after, m->total);
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

int shard_pack(const struct shard *s, const struct pack_options *o, struct layer *out,
               struct err *e)
{
	AUTO_FREE char *chunk = mem_grow(NULL, CHUNK, 1);
	struct packing p = { .meter = o->meter, .chunk = chunk };
	int rc = 0;

	if (packer_open(&p.packer, o->store, o->codec, o->pool, e) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < s->n; i++)
		rc = pack_entry(&p, s->at[i], e);
	if (rc == 0)
		rc = packer_finish(p.packer, out, e);
	packer_close(p.packer);
	return rc;
}

/* Packing a shard. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "build/shard.h"
#include "os/fd.h"
#include "os/file.h"

enum { CHUNK = 256 * 1024, SAY_EVERY = 8 << 20, READ_AHEAD = 64 };

/* One packing under way. */
struct packing {
	const struct shard *shard;
	struct packer *packer;
	struct pack_meter *meter;
	size_t at, ahead; /* entries: at work on, and begun to be read */
};

static void tell(struct packing *p, size_t n)
{
	struct pack_meter *m = p->meter;
	int64_t before = m ? atomic_fetch_add(&m->done, (int64_t)n) : 0;
	int64_t after = before + (int64_t)n;

	if (before / SAY_EVERY != after / SAY_EVERY && m)
		progress_bytes(m->progress, m->target, "pack", after, m->total);
}

/* Where the next of `size` bytes go, and how many at once. */
static char *room_for(struct packing *p, int64_t size, size_t *n)
{
	char *to = packer_room(p->packer, n);

	*n = *n < CHUNK ? *n : CHUNK;
	*n = (int64_t)*n < size ? *n : (size_t)size;
	return to;
}

static int pack_put(struct packing *p, size_t n, struct err *e)
{
	tell(p, n);
	return packer_put(p->packer, n, e);
}

static int pack_fd(struct packing *p, int fd, int64_t offset, int64_t size,
                   const char *what, struct err *e)
{
	while (size > 0) {
		size_t want;
		char *to = room_for(p, size, &want);
		ssize_t n = pread(fd, to, want, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read %s", what);
		if (n == 0)
			return err_set(e, ERR_CORRUPT,
			               "%s became shorter while it was read", what);
		if (pack_put(p, (size_t)n, e) < 0)
			return -1;
		size -= n;
		offset += n;
	}
	return 0;
}

/* They were hashed a while ago, and the system may have needed the memory since. The
 * first that it has not any more is the sign to have it read some more. */
static void read_ahead(struct packing *p)
{
	size_t end = p->at + READ_AHEAD;

	if (p->ahead <= p->at)
		p->ahead = p->at + 1;
	for (; p->ahead < end && p->ahead < p->shard->n; p->ahead++) {
		const struct tree_entry *x = p->shard->at[p->ahead];

		/* In a large one, the system itself reads ahead. */
		if (x->content.kind == CONTENT_PATH && x->toc.size < SHARD_LARGE)
			file_read_ahead(x->content.fd, x->content.path);
	}
}

/* Bytes of an open file's start that are packed: those that are in memory. */
static ssize_t pack_cached(struct packing *p, int fd, int64_t size, struct err *e)
{
	size_t want;
	char *to = room_for(p, size, &want);
	ssize_t n = fd_read_cached(fd, to, want, 0);

	if (n < 0)
		read_ahead(p);
	if (n <= 0)
		return 0;
	return pack_put(p, (size_t)n, e) < 0 ? -1 : n;
}

static int pack_path(struct packing *p, const struct tree_entry *x, struct err *e)
{
	AUTO_CLOSE int fd = file_open_beneath(x->content.fd, x->content.path,
	                                      O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);
	struct stat st;
	ssize_t n;

	if (fd < 0 && (errno == ENOENT || errno == ELOOP))
		return err_set(e, ERR_CHANGED, "%s vanished while it was packed",
		               x->content.path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "open %s", x->content.path);
	if (!S_ISREG(st.st_mode) || st.st_size != x->toc.size)
		return err_set(e, ERR_CHANGED, "%s changed while it was packed",
		               x->content.path);
	n = pack_cached(p, fd, x->toc.size, e);
	if (n >= 0 && pack_fd(p, fd, n, x->toc.size - n, x->content.path, e) == 0)
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
		tell(p, (size_t)x->toc.size);
		return packer_data(p->packer, x->content.memory, (size_t)x->toc.size, e);
	case CONTENT_NONE: break;
	}
	return x->opaque ? packer_entry(p->packer, &mark, e) : 0;
}

int shard_pack(const struct shard *s, const struct pack_options *o, struct layer *out,
               struct err *e)
{
	struct packing p = { .shard = s, .meter = o->meter };
	int rc = 0;

	if (packer_open(&p.packer, o->store, o->codec, o->pool, e) < 0)
		return -1;
	for (; rc == 0 && p.at < s->n; p.at++)
		rc = pack_entry(&p, s->at[p.at], e);
	if (rc == 0)
		rc = packer_finish(p.packer, out, e);
	packer_close(p.packer);
	return rc;
}

#include "store/scratch.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/map.h"
#include "os/fd.h"

enum { DOCUMENT_MAX = 16 << 20 };

struct scratch {
	pthread_mutex_t lock;
	struct map blobs; /* hex → struct buf * */
};

struct scratch *scratch_new(void)
{
	struct scratch *s = mem_alloc(sizeof(*s));

	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void scratch_free(struct scratch *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->blobs.len; i++) {
		buf_fini(s->blobs.at[i].value);
		free(s->blobs.at[i].value);
	}
	map_fini(&s->blobs);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* A blob stays as it is once it is there. */
static const struct buf *find(struct scratch *s, const struct digest *d)
{
	char hex[DIGEST_HEX + 1];
	const struct buf *b;

	pthread_mutex_lock(&s->lock);
	b = map_get(&s->blobs, digest_hex(d, hex));
	pthread_mutex_unlock(&s->lock);
	return b;
}

bool scratch_has(struct scratch *s, const struct digest *d, int64_t *size)
{
	const struct buf *b = find(s, d);

	if (b && size)
		*size = (int64_t)b->len;
	return b != NULL;
}

int scratch_begin(struct err *e)
{
	int fd = memfd_create("imgmake", MFD_CLOEXEC);

	return fd < 0 ? err_sys(e, "create a file in memory") : fd;
}

/* False: it was there. */
static bool keep(struct scratch *s, const struct digest *d, struct buf *b)
{
	char hex[DIGEST_HEX + 1];
	bool new;

	pthread_mutex_lock(&s->lock);
	new = !map_get(&s->blobs, digest_hex(d, hex));
	if (new)
		map_put(&s->blobs, hex, b);
	pthread_mutex_unlock(&s->lock);
	return new;
}

int scratch_add(struct scratch *s, const struct digest *d, int fd, struct err *e)
{
	struct buf *b = mem_alloc(sizeof(*b));
	int rc;

	*b = (struct buf)BUF_INIT;
	rc = lseek(fd, 0, SEEK_SET) < 0
	             ? err_sys(e, "rewind a file in memory")
	             : fd_read_all(fd, b, DOCUMENT_MAX, "a document", e);
	if (rc == 0 && keep(s, d, b))
		return 0;
	buf_fini(b);
	free(b);
	return rc;
}

int scratch_get(struct scratch *s, const struct digest *d, struct err *e)
{
	const struct buf *b = find(s, d);
	AUTO_CLOSE int fd = -1;
	int rc;

	if (!b)
		return err_set(e, ERR_NOT_FOUND, "blob %s is not in the store",
		               DIGEST_STR(d));
	fd = scratch_begin(e);
	if (fd < 0 || fd_write(fd, b->s, b->len, "a file in memory", e) < 0)
		return -1;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, "rewind a file in memory");
	rc = fd;
	fd = -1;
	return rc;
}

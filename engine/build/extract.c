#include "build/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "image/tar_reader.h"
#include "os/fd.h"
#include "store/blobs.h"

enum { CHUNK = 128 * 1024, LINKS_MAX = 16 };

void spool_init(struct spool *s, struct store *store)
{
	*s = (struct spool){ .fd = -1, .store = store };
}

void spool_fini(struct spool *s)
{
	fd_close(&s->fd);
}

/* O_TMPFILE where the file system has it, else a name that is taken away at once. */
static int spool_open(struct spool *s, struct err *e)
{
	char name[64];

	s->fd = openat(s->store->dir, "tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd >= 0)
		return 0;
	snprintf(name, sizeof(name), "tmp/spool.%d.%p", (int)getpid(), (void *)s);
	s->fd = openat(s->store->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (s->fd < 0)
		return err_sys(e, "create a temporary file in the store");
	unlinkat(s->store->dir, name, 0);
	return 0;
}

int spool_write(struct spool *s, const void *data, size_t n, struct err *e)
{
	if (s->fd < 0 && spool_open(s, e) < 0)
		return -1;
	if (fd_write(s->fd, data, n, "a temporary file in the store", e) < 0)
		return -1;
	s->size += (int64_t)n;
	return 0;
}

int spool_tar_file(struct spool *s, struct tar_reader *in, struct digest *digest,
                   int64_t *size, struct err *e)
{
	AUTO_FREE char *chunk = mem_alloc(CHUNK);
	int64_t start = s->size;
	struct digest d;
	struct hasher h;
	ssize_t n;
	int rc = 0;

	hasher_init(&h);
	while (rc == 0 && (n = tar_reader_data(in, chunk, CHUNK, e)) != 0) {
		rc = n < 0 ? -1 : spool_write(s, chunk, (size_t)n, e);
		if (rc == 0)
			hasher_add(&h, chunk, (size_t)n);
	}
	hasher_end(&h, digest ? digest : &d);
	if (size)
		*size = s->size - start;
	return rc;
}

static int by_place(const void *a, const void *b)
{
	const struct want *x = a, *y = b;

	if (x->layer != y->layer)
		return x->layer < y->layer ? -1 : 1;
	return strcmp(x->path, y->path);
}

/* Wants of one layer with this path: a run, since several may want the same file. */
static struct want *find_want(struct want *wants, size_t n, const char *path)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(wants[mid].path, path) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && !strcmp(wants[lo].path, path) ? &wants[lo] : NULL;
}

static int stream(struct tar_reader *in, struct want *wants, size_t n, struct spool *out,
                  struct err *e)
{
	struct toc_entry entry;
	size_t left = n;
	int more = 1;

	while (left && (more = tar_reader_next(in, &entry, e)) > 0) {
		struct want *w =
			entry.type == TOC_FILE ? find_want(wants, n, entry.path) : NULL;
		int64_t offset = out->size;

		if (!w)
			continue;
		if (spool_tar_file(out, in, NULL, NULL, e) < 0)
			return -1;
		for (; w < wants + n && !strcmp(w->path, entry.path); w++) {
			*w->offset = offset;
			left--;
		}
	}
	if (more < 0)
		return -1;
	if (left)
		return err_set(e, ERR_CORRUPT,
		               "%s is not in the layer that should have it",
		               wants[0].path);
	return 0;
}

static int extract_layer(const struct node *n, const struct layer *l, struct want *wants,
                         size_t count, struct spool *out, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct fd_source in;
	struct decoder *d;
	struct tar_reader *t;
	enum codec codec;
	int rc;

	if (media_layer_codec(l->blob.media_type, &codec, e) < 0 ||
	    base_fetch_layer(n->build, n, l, e) < 0)
		return -1;
	fd = blobs_get(n->build->o.store->blobs, &l->blob.digest, NULL, e);
	if (fd < 0)
		return -1;
	fd_source_init(&in, fd, "a layer");
	d = decoder_new(codec, &in.source, NULL);
	t = tar_reader_new(decoder_source(d), true, NULL);
	rc = stream(t, wants, count, out, e);
	tar_reader_free(t);
	decoder_free(d);
	return rc < 0 ? err_wrap(e, "layer %s", DIGEST_STR(&l->blob.digest)) : 0;
}

static void take_own_names(const struct map *moved, struct want *wants, size_t n)
{
	if (!moved)
		return;
	for (size_t i = 0; i < n; i++) {
		const char *own = map_get(moved, wants[i].path);

		wants[i].path = own ? own : wants[i].path;
	}
	qsort(wants, n, sizeof(*wants), by_place);
}

int extract_files(const struct node *n, const struct result *r, struct want *wants,
                  size_t count, struct spool *out, struct err *e)
{
	if (count)
		qsort(wants, count, sizeof(*wants), by_place);
	for (size_t i = 0, j; i < count; i = j) {
		for (j = i; j < count && wants[j].layer == wants[i].layer;)
			j++;
		take_own_names(node_moved(n, r, wants[i].layer), wants + i, j - i);
		if (extract_layer(n, &r->layers.at[wants[i].layer], wants + i, j - i, out,
		                  e) < 0)
			return -1;
	}
	return 0;
}

const struct toc_entry *link_target(const struct toc_view *v,
                                    const struct toc_entry *entry, size_t *layer)
{
	for (int i = 0; entry && entry->type == TOC_HARDLINK; i++) {
		struct toc_view upto = { v->layers, *layer + 1 };

		if (i == LINKS_MAX)
			return NULL;
		entry = toc_view_find(&upto, entry->link, layer);
	}
	return entry && entry->type != TOC_DIR ? entry : NULL;
}

int extract_to(const struct node *n, const struct result *r, const struct toc_view *v,
               const char *path, struct spool *out, struct err *e)
{
	AUTO_BUF at = BUF_INIT;
	const struct toc_entry *entry;
	struct want want;
	int64_t offset;
	size_t layer;

	if (toc_view_resolve(v, path, true, &at, NULL, e) < 0)
		return -1;
	entry = toc_view_find(v, at.s, &layer);
	if (entry)
		entry = link_target(v, entry, &layer);
	if (!entry || entry->type != TOC_FILE)
		return err_set(e, ERR_NOT_FOUND, "%s: no such file in the image", path);
	want = (struct want){ layer, entry->path, &offset };
	return extract_files(n, r, &want, 1, out, e);
}

int extract_read(const struct node *n, const struct result *r, const struct toc_view *v,
                 const char *path, size_t limit, struct buf *out, struct err *e)
{
	AUTO(spool_fini) struct spool spool;

	spool_init(&spool, n->build->o.store);
	if (extract_to(n, r, v, path, &spool, e) < 0)
		return -1;
	if (spool.fd < 0)
		return 0; /* empty */
	if (lseek(spool.fd, 0, SEEK_SET) < 0)
		return err_sys(e, "read %s", path);
	return fd_read_all(spool.fd, out, limit, path, e);
}

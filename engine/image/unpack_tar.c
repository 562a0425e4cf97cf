/* Where each header and each file's bytes stand in the tar is known from the tables
 * alone. So all headers are written first, and the bytes where they belong, in the order
 * in which the layers have them: each layer is streamed once, and nothing is kept
 * elsewhere meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/path.h"
#include "image/merged.h"
#include "image/tar_writer.h"
#include "image/unpack.h"
#include "os/fd.h"

enum { CHUNK = 128 * 1024, HEADERS = 64 * 1024 };

struct taring {
	struct merged m;
	int fd;
	const char *path;
	int64_t *data; /* where each file's bytes begin */
	char *chunk;
};

static int write_at(const struct taring *w, int64_t at, const char *data, size_t n,
                    struct err *e)
{
	while (n) {
		ssize_t done = pwrite(w->fd, data, n, at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return err_sys(e, "write %s", w->path);
		data += done;
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

/* As the tar has it: the first name of a file has the bytes, the others are hard links to
 * it. */
static struct toc_entry tar_entry(const struct merged *m, size_t i)
{
	const struct merged_entry *entry = &m->list.at[i];
	struct toc_entry t = *entry->node;

	t.path = entry->path;
	if (entry->first == i)
		return t;
	t.type = TOC_HARDLINK;
	t.link = m->list.at[entry->first].path;
	t.size = 0;
	t.n_xattrs = 0;
	return t;
}

static int write_headers(struct taring *w, struct err *e)
{
	AUTO_BUF head = BUF_INIT;
	int64_t start = 0; /* of `head` in the file */

	for (size_t i = 0; i < w->m.list.len; i++) {
		struct toc_entry t = tar_entry(&w->m, i);

		if (tar_write_header(&head, &t, e) < 0)
			return -1;
		w->data[i] = start + (int64_t)head.len;
		if (!t.size && head.len < HEADERS)
			continue;
		if (write_at(w, start, head.s, head.len, e) < 0)
			return -1;
		start = w->data[i] + t.size + (int64_t)tar_write_padding(t.size);
		buf_reset(&head);
	}
	if (write_at(w, start, head.s, head.len, e) < 0)
		return -1;
	/* What is not written is zeros: padding, and the end of the archive. */
	if (ftruncate(w->fd, start + (int64_t)head.len + TAR_WRITE_END) < 0)
		return err_sys(e, "write %s", w->path);
	return 0;
}

static int write_file(void *self, size_t i, struct merged_file *in, struct err *e)
{
	struct taring *w = self;
	int64_t at = w->data[i], end = at + w->m.list.at[i].node->size;
	ssize_t n;

	while ((n = merged_file_read(in, w->chunk, CHUNK, e)) > 0) {
		if (n > end - at)
			return err_set(e, ERR_CORRUPT, "'%.300s' is larger than before",
			               w->m.list.at[i].path);
		if (write_at(w, at, w->chunk, (size_t)n, e) < 0)
			return -1;
		at += n;
	}
	return n < 0 ? -1 : 0;
}

static int write_tar(struct taring *w, struct blobs *store, const struct image *im,
                     struct err *e)
{
	int rc;

	w->data = mem_alloc((w->m.list.len + 1) * sizeof(*w->data));
	w->chunk = mem_alloc(CHUNK);
	rc = write_headers(w, e);
	if (rc == 0)
		rc = merged_files(&w->m, store, im, write_file, w, e);
	free(w->data);
	free(w->chunk);
	return rc < 0 ? -1 : fd_sync(w->fd, w->path, e);
}

static int sync_directory(int dir, const char *path, struct err *e)
{
	AUTO_FREE char *parent = path_dir(path);
	AUTO_CLOSE int fd = openat(dir, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open the directory of %s", path);
	return fd_sync(fd, path, e);
}

static int write_and_name(struct taring *w, struct blobs *store, const struct image *im,
                          int dir, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	AUTO_BUF tmp = BUF_INIT;
	int rc;

	/* The pid keeps processes apart; what a killed one left is overwritten. */
	buf_addf(&tmp, "%s.tmp.%d", w->path, (int)getpid());
	fd = openat(dir, tmp.s, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
	            0644);
	if (fd < 0)
		return err_sys(e, "create %s", tmp.s);
	w->fd = fd;
	rc = write_tar(w, store, im, e);
	if (rc == 0 && renameat(dir, tmp.s, dir, w->path) < 0)
		rc = err_sys(e, "name %s", w->path);
	if (rc == 0)
		return sync_directory(dir, w->path, e);
	unlinkat(dir, tmp.s, 0);
	return -1;
}

int unpack_tar(struct blobs *store, const struct image *im, int dir, const char *path,
               struct err *e)
{
	struct taring w = { .path = path };
	int rc = merged_open(&w.m, store, im, e);

	if (rc == 0)
		rc = write_and_name(&w, store, im, dir, e);
	merged_fini(&w.m);
	return rc < 0 ? err_wrap(e, "export to %s", path) : 0;
}

#include "image/layout_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "image/limits.h"
#include "image/reference.h"
#include "image/tar_reader.h"
#include "os/fd.h"
#include "os/file.h"

enum { CHUNK = 256 * 1024, LINKS_MAX = 8, ENTRIES_MAX = 100000 };

struct layout_file {
	char *link; /* of a link: the name of what it stands for; else NULL */
	int64_t offset, size;
};

/* A link's target, seen from the archive's root. */
static char *link_target(const struct toc_entry *entry)
{
	AUTO_BUF name = BUF_INIT;

	if (entry->type == TOC_HARDLINK) {
		path_clean(&name, entry->link);
	} else {
		AUTO_FREE char *dir = path_dir(entry->path);

		path_join(&name, dir, entry->link);
	}
	return buf_take(&name);
}

static int add_entry(struct layout_files *f, const struct toc_entry *entry, struct err *e)
{
	struct layout_file *file;

	if (entry->type == TOC_DIR)
		return 0;
	if (entry->type != TOC_FILE && entry->type != TOC_SYMLINK &&
	    entry->type != TOC_HARDLINK)
		return err_set(e, ERR_INVALID,
		               "%s: '%.200s' is neither a file nor a link", f->what,
		               entry->path);
	if (entry->offset < 0)
		return err_set(e, ERR_INVALID, "%s: '%.200s' is a sparse file", f->what,
		               entry->path);
	/* Which of two would be meant, readers do not agree upon. */
	if (map_get(&f->names, entry->path))
		return err_set(e, ERR_INVALID, "%s: '%.200s' is in it twice", f->what,
		               entry->path);
	file = mem_alloc(sizeof(*file));
	file->offset = entry->offset;
	file->size = entry->size;
	if (entry->type != TOC_FILE)
		file->link = link_target(entry);
	map_put(&f->names, entry->path, file);
	return 0;
}

static int list_archive(struct layout_files *f, struct err *e)
{
	struct image_limits limits = *image_limits();
	struct toc_entry entry;
	struct tar_reader *tar;
	struct fd_source in;
	int rc;

	/* The limit is meant for a layer; here are all of several images. */
	limits.unpacked *= 64;
	limits.entries = ENTRIES_MAX;
	fd_source_init(&in, f->archive, f->what);
	tar = tar_reader_new(&in.source, false, &limits);
	while ((rc = tar_reader_next(tar, &entry, e)) > 0) {
		if (add_entry(f, &entry, e) == 0)
			continue;
		tar_reader_free(tar);
		return -1;
	}
	tar_reader_free(tar);
	return rc < 0 ? err_wrap(e, "%s", f->what) : 0;
}

int layout_files_open(struct layout_files *f, int dir, bool archive, const char *path,
                      struct err *e)
{
	*f = (struct layout_files){ -1, -1, mem_strdup(path), MAP_INIT };
	if (!*path) {
		err_set(e, ERR_INVALID, "the path of the image is empty");
	} else if (archive) {
		f->archive = file_open_regular(dir, path, NULL, e);
		if (f->archive >= 0 && list_archive(f, e) == 0)
			return 0;
	} else {
		f->dir = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (f->dir >= 0)
			return 0;
		if (errno == ENOENT)
			err_set(e, ERR_NOT_FOUND, "%s: no such directory", path);
		else
			err_sys(e, "open %s", path);
	}
	layout_files_close(f);
	return -1;
}

void layout_files_close(struct layout_files *f)
{
	fd_close(&f->dir);
	fd_close(&f->archive);
	free(f->what);
	f->what = NULL;
	for (size_t i = 0; i < f->names.len; i++) {
		struct layout_file *file = f->names.at[i].value;

		free(file->link);
		free(file);
	}
	map_fini(&f->names);
}

static int missing(const struct layout_files *f, const char *name, struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, "%s: '%.200s' is missing", f->what, name);
}

/* Opens `name` below `dir`, no component being a symbolic link; -1 with errno. */
static int open_no_links(int dir, const char *name)
{
	AUTO_CLOSE int at = -1;
	const char *slash;

	while ((slash = strchr(name, '/'))) {
		AUTO_FREE char *part = mem_strndup(name, (size_t)(slash - name));
		int next = openat(at < 0 ? dir : at, part,
		                  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		fd_close(&at);
		if (next < 0)
			return -1;
		at = next;
		name = slash + 1;
	}
	return openat(at < 0 ? dir : at, name,
	              O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static int get_from_dir(struct layout_files *f, const char *name,
                        struct layout_extent *out, struct err *e)
{
	AUTO_CLOSE int fd = open_no_links(f->dir, name);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return missing(f, name, e);
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return err_set(e, ERR_INVALID,
		               "%s: '%.200s' is or lies below a symbolic link", f->what,
		               name);
	if (fd < 0)
		return err_sys(e, "open %s/%.200s", f->what, name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_INVALID, "%s: '%.200s' is not a regular file",
		               f->what, name);
	*out = (struct layout_extent){ fd, 0, st.st_size };
	fd = -1;
	return 0;
}

static int get_from_archive(struct layout_files *f, const char *name,
                            struct layout_extent *out, struct err *e)
{
	const struct layout_file *file = map_get(&f->names, name);
	int links = 0;

	while (file && file->link && links++ < LINKS_MAX)
		file = map_get(&f->names, file->link);
	if (!file)
		return missing(f, name, e);
	if (file->link)
		return err_set(e, ERR_INVALID, "%s: '%.200s' is a chain of links",
		               f->what, name);
	*out = (struct layout_extent){ fcntl(f->archive, F_DUPFD_CLOEXEC, 0),
		                       file->offset, file->size };
	return out->fd < 0 ? err_sys(e, "read %s", f->what) : 0;
}

int layout_files_get(struct layout_files *f, const char *name, struct layout_extent *out,
                     struct err *e)
{
	AUTO_BUF clean = BUF_INIT;

	path_clean(&clean, name);
	if (*name == '/' || path_escapes(clean.s))
		return err_set(e, ERR_INVALID, "%s: '%.200s' points out of the image",
		               f->what, name);
	return f->dir >= 0 ? get_from_dir(f, clean.s, out, e)
	                   : get_from_archive(f, clean.s, out, e);
}

void layout_extent_close(struct layout_extent *x)
{
	fd_close(&x->fd);
}

ssize_t layout_extent_read(const struct layout_extent *x, int64_t at, void *data,
                           size_t n, struct err *e)
{
	size_t done = 0;

	if ((int64_t)n > x->size - at)
		n = (size_t)(x->size - at);
	while (done < n) {
		ssize_t k = pread(x->fd, (char *)data + done, n - done,
		                  x->offset + at + (int64_t)done);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_sys(e, "read an image's file");
		if (k == 0)
			return err_set(e, ERR_CORRUPT,
			               "a file of the image became shorter");
		done += (size_t)k;
	}
	return (ssize_t)n;
}

int layout_files_read(struct layout_files *f, const char *name, int64_t limit,
                      struct buf *out, struct err *e)
{
	AUTO(layout_extent_close) struct layout_extent x = { -1, 0, 0 };
	ssize_t n;

	if (layout_files_get(f, name, &x, e) < 0)
		return -1;
	if (x.size > limit)
		return err_set(e, ERR_LIMIT, "%s: '%.200s' is larger than %lld bytes",
		               f->what, name, (long long)limit);
	buf_reserve(out, (size_t)x.size);
	n = layout_extent_read(&x, 0, out->s + out->len, (size_t)x.size, e);
	if (n < 0)
		return err_wrap(e, "%s: '%.200s'", f->what, name);
	buf_truncate(out, out->len + (size_t)n);
	return 0;
}

/* Every byte to the hasher. */
static int hash_extent(const struct layout_extent *x, struct hasher *h, struct err *e)
{
	AUTO_FREE char *chunk = mem_alloc(CHUNK);
	int64_t at = 0;
	ssize_t n;

	while ((n = layout_extent_read(x, at, chunk, CHUNK, e)) > 0) {
		hasher_add(h, chunk, (size_t)n);
		at += n;
	}
	return n < 0 ? -1 : 0;
}

int layout_files_digest(struct layout_files *f, const char *name, struct digest *d,
                        struct err *e)
{
	AUTO(layout_extent_close) struct layout_extent x = { -1, 0, 0 };
	struct hasher h;
	int rc;

	if (layout_files_get(f, name, &x, e) < 0)
		return -1;
	hasher_init(&h);
	rc = hash_extent(&x, &h, e);
	hasher_end(&h, d);
	return rc < 0 ? err_wrap(e, "%s: '%.200s'", f->what, name) : 0;
}

static int copy_extent(const struct layout_extent *x, const struct digest *expect,
                       struct blobs *store, struct err *e)
{
	AUTO_FREE char *chunk = mem_alloc(CHUNK);
	struct blob_writer w;
	int64_t at = 0;
	ssize_t n;

	if (blob_begin(&w, store, e) < 0)
		return -1;
	while ((n = layout_extent_read(x, at, chunk, CHUNK, e)) > 0) {
		if (blob_write(&w, chunk, (size_t)n, e) < 0)
			break;
		at += n;
	}
	if (n == 0)
		return blob_commit(&w, expect, NULL, e);
	blob_abort(&w);
	return -1;
}

int layout_files_store(struct layout_files *f, const char *name,
                       const struct descriptor *expect, struct blobs *store,
                       struct err *e)
{
	AUTO(layout_extent_close) struct layout_extent x = { -1, 0, 0 };
	int64_t size;

	if (blobs_has(store, &expect->digest, &size) && size == expect->size)
		return 0;
	if (layout_files_get(f, name, &x, e) < 0)
		return -1;
	if (x.size != expect->size)
		return err_set(e, ERR_CORRUPT,
		               "%s: '%.200s' has %lld bytes, but was said to have %lld",
		               f->what, name, (long long)x.size, (long long)expect->size);
	if (copy_extent(&x, &expect->digest, store, e) < 0)
		return err_wrap(e, "%s: '%.200s'", f->what, name);
	return 0;
}

bool layout_same_name(const char *a, const char *b)
{
	AUTO_FREE char *x = NULL;
	AUTO_FREE char *y = NULL;
	struct reference r, s;
	struct err e;

	if (!strcmp(a, b))
		return true;
	if (reference_parse(&r, a, &e) < 0 || reference_parse(&s, b, &e) < 0)
		return false;
	x = reference_text(&r);
	y = reference_text(&s);
	return !strcmp(x, y);
}

#include "image/tree_tar.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "image/place.h"
#include "image/tar_reader.h"
#include "image/tar_writer.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/walk.h"

enum { CHUNK = 256 * 1024 };

/* --- Writing ----------------------------------------------------------------------- */

struct writing {
	int out;
	struct buf ahead; /* not written yet */
	int64_t size;     /* of the stream so far */
	int64_t entries;
	int64_t *newest;
	char *chunk;
	struct map inodes; /* with several names: "dev:ino" → the first of them */
	struct arena arena;
};

static int flush(struct writing *w, struct err *e)
{
	if (fd_write(w->out, w->ahead.s, w->ahead.len, "a tree", e) < 0)
		return -1;
	buf_reset(&w->ahead);
	return 0;
}

static int emit(struct writing *w, const void *data, size_t n, struct err *e)
{
	w->size += (int64_t)n;
	if (w->size > image_limits()->unpacked)
		return err_set(e, ERR_LIMIT,
		               "it is larger than %lld GiB" IMAGE_LIMIT_HINT("unpacked"),
		               (long long)(image_limits()->unpacked >> 30));
	buf_add(&w->ahead, data, n);
	return w->ahead.len < CHUNK ? 0 : flush(w, e);
}

static int emit_header(struct writing *w, const struct toc_entry *t,
                       const struct stat *st, struct err *e)
{
	AUTO_BUF head = BUF_INIT;

	if (++w->entries > image_limits()->entries)
		return err_set(e, ERR_LIMIT,
		               "it has more than %lld files" IMAGE_LIMIT_HINT("entries"),
		               (long long)image_limits()->entries);
	if (tar_write_header_at(&head, t, (int32_t)st->st_mtim.tv_nsec, e) < 0)
		return -1;
	return emit(w, head.s, head.len, e);
}

static int emit_data(struct writing *w, const struct walk_entry *at, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	int64_t left = at->st.st_size;
	struct stat st;
	ssize_t n = 1;

	fd = file_open_regular(at->dir, at->name, &st, e);
	if (fd < 0)
		return -1;
	while (left > 0 && n > 0) {
		n = fd_read(fd, w->chunk, CHUNK, at->path, e);
		if (n < 0)
			return -1;
		n = n > left ? (ssize_t)left : n;
		left -= n;
		if (emit(w, w->chunk, (size_t)n, e) < 0)
			return -1;
	}
	if (left || st.st_ino != at->st.st_ino || st.st_size != at->st.st_size)
		return err_set(e, ERR_CHANGED, "%s changed while it was read", at->path);
	memset(w->chunk, 0, TAR_WRITE_BLOCK);
	return emit(w, w->chunk, tar_write_padding(at->st.st_size), e);
}

static int read_symlink(struct writing *w, const struct walk_entry *at,
                        struct toc_entry *t, struct err *e)
{
	ssize_t n = readlinkat(at->dir, at->name, w->chunk, CHUNK);

	if (n < 0)
		return err_sys(e, "read the link %s", at->path);
	t->link = arena_strndup(&w->arena, w->chunk, (size_t)n);
	return 0;
}

/* The name under which the file has come before; or NULL, and this is it. */
static const char *first_name(struct writing *w, const struct walk_entry *at)
{
	char key[64];
	char *first;

	if (at->st.st_nlink < 2)
		return NULL;
	snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)at->st.st_dev,
	         (unsigned long long)at->st.st_ino);
	first = map_get(&w->inodes, key);
	if (!first)
		map_put(&w->inodes, key, arena_strdup(&w->arena, at->path));
	return first;
}

static struct toc_entry entry_of(const char *path, const struct stat *st)
{
	return (struct toc_entry){ .path = path,
		                   .mode = st->st_mode & 07777,
		                   .uid = st->st_uid,
		                   .gid = st->st_gid,
		                   .mtime = st->st_mtim.tv_sec };
}

static void see_time(struct writing *w, const struct stat *st)
{
	int64_t t = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;

	if (t > *w->newest)
		*w->newest = t;
}

static int write_entry(struct writing *w, const struct walk_entry *at, struct err *e)
{
	struct toc_entry t = entry_of(at->path, &at->st);

	see_time(w, &at->st);
	switch (at->st.st_mode & S_IFMT) {
	case S_IFDIR: t.type = TOC_DIR; return emit_header(w, &t, &at->st, e);
	case S_IFLNK:
		t.type = TOC_SYMLINK;
		if (read_symlink(w, at, &t, e) < 0)
			return -1;
		return emit_header(w, &t, &at->st, e);
	case S_IFREG: break;
	default: return 0;
	}
	t.link = first_name(w, at);
	t.type = t.link ? TOC_HARDLINK : TOC_FILE;
	t.size = t.link ? 0 : at->st.st_size;
	if (emit_header(w, &t, &at->st, e) < 0)
		return -1;
	return t.link ? 0 : emit_data(w, at, e);
}

static enum walk_next visit(void *self, const struct walk_entry *at, struct err *e)
{
	return write_entry(self, at, e) < 0 ? WALK_ERROR : WALK_ON;
}

static int write_root(struct writing *w, int dir, struct err *e)
{
	struct toc_entry t;
	struct stat st;

	if (fstat(dir, &st) < 0)
		return err_sys(e, "stat it");
	if (!st.st_nlink)
		return err_set(e, ERR_CHANGED, "it was removed");
	t = entry_of("", &st);
	t.type = TOC_DIR;
	see_time(w, &st);
	return emit_header(w, &t, &st, e);
}

static int write_all(struct writing *w, int dir, struct err *e)
{
	struct walk_options o = { .visit = visit, .self = w };
	static const char end[TAR_WRITE_END];

	if (write_root(w, dir, e) < 0 || walk(dir, ".", &o, e) < 0 ||
	    emit(w, end, sizeof(end), e) < 0)
		return -1;
	return flush(w, e);
}

int tree_tar_write(int dir, int out, int64_t *newest, struct err *e)
{
	struct writing w = { .out = out,
		             .ahead = BUF_INIT,
		             .newest = newest,
		             .chunk = mem_alloc(CHUNK),
		             .arena = ARENA_INIT };
	int rc = write_all(&w, dir, e);

	buf_fini(&w.ahead);
	map_fini(&w.inodes);
	arena_fini(&w.arena);
	free(w.chunk);
	return rc;
}

/* --- Reading ----------------------------------------------------------------------- */

struct placed_dir {
	struct toc_entry t;
	int32_t nsec;
};

struct reading {
	struct place place;
	struct unpack_report report;
	VEC(struct placed_dir) dirs;
	char *chunk;
	struct arena arena;
};

static int read_file(struct reading *r, struct tar_reader *in, const struct toc_entry *t,
                     struct err *e)
{
	int fd = place_file(&r->place, t, e), rc = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	while (rc == 0 && (n = tar_reader_data(in, r->chunk, CHUNK, e)) != 0)
		rc = n < 0 ? -1 : fd_write(fd, r->chunk, (size_t)n, t->path, e);
	if (rc == 0)
		return place_file_end(&r->place, fd, t, e);
	close(fd);
	return -1;
}

static int read_entry(struct reading *r, struct tar_reader *in, struct toc_entry *t,
                      struct err *e)
{
	struct placed_dir d = { *t, tar_reader_nsec(in) };

	r->place.nsec = d.nsec;
	t->xattrs = NULL;
	t->n_xattrs = 0;
	switch (t->type) {
	case TOC_DIR:
		d.t.path = arena_strdup(&r->arena, t->path);
		d.t.xattrs = NULL;
		d.t.n_xattrs = 0;
		vec_push(&r->dirs, d);
		return place_entry(&r->place, t, e);
	case TOC_SYMLINK: return place_entry(&r->place, t, e);
	case TOC_HARDLINK: return place_link(&r->place, t->path, t->link, e);
	case TOC_FILE: return read_file(r, in, t, e);
	default:
		return err_set(e, ERR_INVALID, "'%.400s' is nothing that belongs there",
		               t->path);
	}
}

/* From the last to the first, so that none is closed to us while there is more to do in
 * it. */
static int end_dirs(struct reading *r, struct err *e)
{
	for (size_t i = r->dirs.len; i-- > 0;) {
		r->place.nsec = r->dirs.at[i].nsec;
		if (place_dir_end(&r->place, &r->dirs.at[i].t, e) < 0)
			return -1;
	}
	return 0;
}

/* An owner that could not be set would make it another tree. */
static int read_all(struct reading *r, struct tar_reader *in, struct err *e)
{
	struct toc_entry t;
	int more;

	while ((more = tar_reader_next(in, &t, e)) > 0)
		if (read_entry(r, in, &t, e) < 0)
			return -1;
	if (more < 0 || end_dirs(r, e) < 0)
		return -1;
	return r->report.owners_skipped
	               ? err_set(e, ERR_DENIED, "its owners cannot be set here")
	               : 0;
}

int tree_tar_read(struct source *in, enum codec codec, int root, struct err *e)
{
	struct decoder *d = decoder_new(codec, in, NULL);
	struct tar_reader *tar = tar_reader_new(decoder_source(d), false, NULL);
	struct reading r = { .place = { .root = root },
		             .chunk = mem_alloc(CHUNK),
		             .arena = ARENA_INIT };
	int rc;

	r.place.report = &r.report;
	rc = read_all(&r, tar, e);
	vec_fini(&r.dirs);
	arena_fini(&r.arena);
	free(r.chunk);
	tar_reader_free(tar);
	decoder_free(d);
	return rc;
}

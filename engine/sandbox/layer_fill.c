#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "image/layer_files.h"
#include "image/merged.h"
#include "image/place.h"
#include "image/place_meta.h"
#include "image/tar_reader.h"
#include "os/fd.h"
#include "os/file.h"
#include "sandbox/layer_plan.h"

enum { CHUNK = 128 * 1024 };

struct filling {
	struct place place;
	struct blobs *blobs;
	const struct layer_plan *const *plans, *plan;
	size_t which;
	size_t from;    /* the layer whose stream is read */
	size_t *wanted; /* by index in its table: 1 + index of the name that gets the file
	                 */
	size_t left;    /* so many of them */
	bool moved;     /* what the scan put beside is here, all of it */
	char *chunk;
};

/* Passes a stream on and hashes it. */
struct tee {
	struct source source;
	struct source *from;
	struct hasher hash;
};

static ssize_t tee_read(struct source *self, void *data, size_t n, struct err *e)
{
	struct tee *t = (struct tee *)self;
	ssize_t got = t->from->read(t->from, data, n, e);

	if (got > 0)
		hasher_add(&t->hash, data, (size_t)got);
	return got;
}

/* Names are settled: there is no symlink above one. */
static int open_parent(int root, const char *path, const char **name, struct err *e)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *dir = mem_strndup(path, slash ? (size_t)(slash - path) : 0);
	int fd = file_open_beneath(root, dir, O_PATH | O_DIRECTORY, 0);

	*name = slash ? slash + 1 : path;
	return fd < 0 ? err_sys(e, "open /%s", dir) : fd;
}

/* A file system that is itself an overlay (that of a container) takes no whiteouts.
 * Overlayfs cannot have its upper directory there either; fuse-overlayfs and copies know
 * these names too, which no layer can hold as a file. */
static int make_named_whiteout(int parent, const char *name, const char *path,
                               struct err *e)
{
	AUTO_BUF mark = BUF_INIT;
	AUTO_CLOSE int fd = -1;

	buf_addf(&mark, ".wh.%s", name);
	fd = openat(parent, mark.s, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(e, "create the whiteout /%s", path) : 0;
}

static int make_whiteout(int root, const char *path, struct err *e)
{
	const char *name;
	AUTO_CLOSE int parent = open_parent(root, path, &name, e);

	if (parent < 0)
		return -1;
	if (mknodat(parent, name, S_IFCHR, 0) == 0)
		return 0;
	if (errno == EPERM)
		return make_named_whiteout(parent, name, path, e);
	return err_sys(e, "create the whiteout /%s", path);
}

/* While the directory is still ours. */
static int make_opaque(int root, const char *path, struct err *e)
{
	AUTO_CLOSE int fd =
		file_open_beneath(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

	if (fd < 0)
		return err_sys(e, "open /%s", path);
	if (fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) == 0 ||
	    ((errno == EPERM || errno == EOPNOTSUPP) &&
	     fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) == 0))
		return 0;
	if (errno != EOPNOTSUPP)
		return err_sys(e, "mark /%s as opaque", path);
	return err_set(
		e, ERR_INVALID,
		"the store's file system has no extended attributes, which overlayfs needs; "
		"choose another place with --store DIR");
}

static bool is_moved_dir(const struct filling *f, const char *path)
{
	const struct toc_entry *t = toc_find(f->plan->item.toc, path);

	return t && t->type == TOC_DIR;
}

/* Directories come before what is in them. */
static int make_nodes(struct filling *f, struct err *e)
{
	for (size_t i = 0; i < f->plan->names.len; i++) {
		const struct toc_entry *t = &f->plan->names.at[i].t;
		int rc = 0;

		if (t->type == TOC_DIR && f->moved && is_moved_dir(f, t->path))
			continue;
		if (t->type == TOC_WHITEOUT)
			rc = make_whiteout(f->place.root, t->path, e);
		else if (t->type != TOC_FILE)
			rc = place_entry(&f->place, t, e);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* Which of a file's names it was written under. */
static const char *written_as(const struct filling *f, const struct layer_name *name)
{
	const struct toc *table = f->plan->item.toc;

	if (f->moved && name->t.type == TOC_FILE && name->layer == f->which &&
	    table->at[name->index].offset >= 0)
		return table->at[name->index].path;
	return f->plan->names.at[name->first].t.path;
}

static int make_links(struct filling *f, struct err *e)
{
	for (size_t i = 0; i < f->plan->names.len; i++) {
		const struct layer_name *name = &f->plan->names.at[i];
		const char *there = written_as(f, name);

		if (strcmp(there, name->t.path) != 0 &&
		    place_link(&f->place, name->t.path, there, e) < 0)
			return -1;
	}
	return 0;
}

/* From the last to the first, so that none is closed to us while there is more to do in
 * it. */
static int end_dirs(struct filling *f, struct err *e)
{
	for (size_t i = 0; i < f->plan->opaque.len; i++)
		if (make_opaque(f->place.root, f->plan->opaque.at[i], e) < 0)
			return -1;
	for (size_t i = f->plan->names.len; i-- > 0;) {
		const struct toc_entry *t = &f->plan->names.at[i].t;

		if (t->type == TOC_DIR && place_dir_end(&f->place, t, e) < 0)
			return -1;
	}
	return 0;
}

/* The first names of files whose bytes are in the layer. */
static void want_files(struct filling *f, size_t from)
{
	size_t n = f->plans[from]->item.toc->n;

	free(f->wanted);
	f->wanted = mem_alloc((n ? n : 1) * sizeof(*f->wanted));
	f->left = 0;
	f->from = from;
	for (size_t i = 0; i < f->plan->names.len; i++) {
		const struct layer_name *name = &f->plan->names.at[i];

		if (name->t.type != TOC_FILE || name->layer != from || name->first != i)
			continue;
		f->wanted[name->index] = i + 1;
		f->left++;
	}
}

/* Of two entries with the same path the offset says which one the table means. */
static const struct toc_entry *known_file(const struct toc *table,
                                          const struct toc_entry *t)
{
	const struct toc_entry *known =
		t->type == TOC_FILE ? toc_find(table, t->path) : NULL;

	return known && known->type == TOC_FILE && known->offset == t->offset ? known
	                                                                      : NULL;
}

static int write_file(struct filling *f, struct tar_reader *in, const struct toc_entry *t,
                      struct err *e)
{
	int fd = place_file(&f->place, t, e), rc = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	while (rc == 0 && (n = tar_reader_data(in, f->chunk, CHUNK, e)) != 0)
		rc = n < 0 ? -1 : fd_write(fd, f->chunk, (size_t)n, t->path, e);
	if (rc == 0)
		return place_file_end(&f->place, fd, t, e);
	close(fd);
	return -1;
}

/* `seen` gets what the stream has. */
static int write_files(struct filling *f, struct tar_reader *in, struct toc *seen,
                       struct err *e)
{
	const struct toc *table = f->plans[f->from]->item.toc;
	struct toc_entry t;
	int more;

	while ((more = tar_reader_next(in, &t, e)) > 0) {
		const struct toc_entry *known = known_file(table, &t);
		size_t *wanted = known ? &f->wanted[known - table->at] : NULL;

		if (known)
			t.digest = known->digest;
		toc_add(seen, &t);
		if (!wanted || !*wanted)
			continue;
		if (write_file(f, in, &f->plan->names.at[*wanted - 1].t, e) < 0)
			return -1;
		*wanted = 0;
		f->left--;
	}
	seen->tar_size = tar_reader_offset(in);
	return more;
}

/* That the table, which may come from a cache, tells what the stream has. Digests of
 * files are not looked at: the diff ID covers the bytes. */
static int check_table(const struct filling *f, struct toc *seen, struct err *e)
{
	AUTO_BUF ours = BUF_INIT;
	AUTO_BUF told = BUF_INIT;

	toc_sort(seen);
	toc_encode(seen, &ours);
	toc_encode(f->plans[f->from]->item.toc, &told);
	if (f->left || ours.len != told.len || memcmp(ours.s, told.s, ours.len) != 0)
		return err_set(e, ERR_CORRUPT,
		               "its table of contents is not that of its bytes");
	return 0;
}

static int check_end(struct source *in, struct err *e)
{
	char byte;
	ssize_t n = in->read(in, &byte, 1, e);

	if (n > 0)
		return err_set(e, ERR_CORRUPT,
		               "data after the end of the compressed layer");
	return (int)n;
}

static int read_plain(struct filling *f, struct source *plain, struct err *e)
{
	const struct digest *want = &f->plans[f->from]->item.diff_id;
	struct tee tee = { .source = { tee_read }, .from = plain };
	struct tar_reader *in = tar_reader_new(&tee.source, true, NULL);
	struct toc seen = TOC_INIT;
	struct digest got;
	int rc;

	hasher_init(&tee.hash);
	rc = write_files(f, in, &seen, e);
	hasher_end(&tee.hash, &got);
	tar_reader_free(in);
	if (rc == 0 && !digest_equal(&got, want))
		rc = err_set(e, ERR_CORRUPT, "it holds %s instead of %s",
		             DIGEST_STR(&got), DIGEST_STR(want));
	if (rc == 0)
		rc = check_table(f, &seen, e);
	toc_fini(&seen);
	return rc;
}

static int read_layer(void *self, struct source *in, enum codec codec, struct err *e)
{
	struct decoder *d = decoder_new(codec, in, NULL);
	int rc = read_plain(self, decoder_source(d), e);

	decoder_free(d);
	return rc < 0 ? -1 : check_end(in, e);
}

/* No name is elsewhere than the table says. */
static bool is_unmoved(const struct layer_plan *p)
{
	const struct toc *table = p->item.toc;

	for (size_t i = 0; i < p->real.n; i++) {
		const struct toc_entry *t = &p->real.at[i];

		if (strcmp(t->path, table->at[t->offset].path) != 0)
			return false;
	}
	return p->real.n == table->n;
}

/* All at once, where the layer's names are what they become. */
static int move_all(struct filling *f, const struct layers_item *item, struct err *e)
{
	int rc;

	if (!layer_files_mirror(item->files, item->toc) || !is_unmoved(f->plan))
		return 0;
	rc = layer_files_move(item->files, f->place.root, e);
	f->moved = rc > 0;
	return rc < 0 ? -1 : 0;
}

/* 1: it has its place and metadata. `ours` has the owner of files that we make. */
static int take_file(struct filling *f, const struct toc_entry *raw,
                     const struct stat *ours, struct err *e)
{
	const struct toc_entry *t =
		&f->plan->names.at[f->wanted[raw - f->plan->item.toc->at] - 1].t;
	struct toc_entry here = *t;

	if (!f->moved)
		return place_moved(&f->place, layer_files_dir(f->plan->item.files),
		                   raw->path, t, e);
	here.path = raw->path;
	if (layer_file_plain(t) && t->uid == ours->st_uid && t->gid == ours->st_gid)
		return 1;
	return place_settle(&f->place, &here, e) < 0 ? -1 : 1;
}

/* What the scan put beside is moved here: it is what the table and the diff ID, which the
 * scan has checked, were made of. */
static int take_files(struct filling *f, const struct layers_item *item, struct err *e)
{
	int dir = layer_files_dir(item->files);
	struct stat ours;

	if (dir < 0)
		return 0;
	if (fstat(dir, &ours) < 0)
		return err_sys(e, "stat a directory of the store");
	for (size_t i = 0; i < item->toc->n; i++) {
		int rc;

		if (!f->wanted[i] || item->toc->at[i].offset < 0)
			continue;
		rc = take_file(f, &item->toc->at[i], &ours, e);
		if (rc < 0)
			return -1;
		if (rc == 0)
			continue;
		f->wanted[i] = 0;
		f->left--;
	}
	return 0;
}

static int stream(struct filling *f, size_t from, struct err *e)
{
	const struct layers_item *item = &f->plans[from]->item;
	struct descriptor blob = item->blob;
	struct image one = { .manifest = { .layers = &blob, .n_layers = 1 } };

	if (from != f->which && !f->plan->borrows)
		return 0;
	want_files(f, from);
	if (from == f->which && item->files && take_files(f, item, e) < 0)
		return -1;
	if (!f->left && (from != f->which || item->files))
		return 0;
	return merged_stream(f->blobs, &one, 0, read_layer, f, e);
}

int layer_fill(int root, struct blobs *blobs, const struct layer_plan *const *plans,
               size_t which, struct unpack_report *report, struct err *e)
{
	struct filling f = { .place = { .root = root, .report = report },
		             .blobs = blobs,
		             .plans = plans,
		             .plan = plans[which],
		             .which = which };
	const struct layers_item *item = &plans[which]->item;
	int rc = item->files ? move_all(&f, item, e) : 0;

	if (rc == 0)
		rc = make_nodes(&f, e);
	f.chunk = mem_alloc(CHUNK);
	for (size_t i = 0; rc == 0 && i <= which; i++)
		rc = stream(&f, i, e);
	if (rc == 0 && make_links(&f, e) < 0)
		rc = -1;
	if (rc == 0)
		rc = end_dirs(&f, e);
	free(f.wanted);
	free(f.chunk);
	return rc;
}

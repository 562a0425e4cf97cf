#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/merged.h"
#include "image/place.h"
#include "image/unpack.h"
#include "os/fd.h"

enum { CHUNK = 128 * 1024 };

struct filling {
	struct place place;
	struct merged m;
	char *chunk;
};

static int check_empty(int fd, const char *path, struct err *e)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *ent;
	int rc = 0;

	if (!d) {
		err_sys(e, "list %s", path);
		fd_close(&copy);
		return -1;
	}
	while (rc == 0 && (ent = readdir(d)))
		if (strcmp(ent->d_name, ".") != 0 && strcmp(ent->d_name, "..") != 0)
			rc = err_set(
				e, ERR_EXISTS,
				"%s is not empty; name a directory that is, or does not exist",
				path);
	closedir(d);
	return rc;
}

/* The fd, or -1. *made: it was not there. */
static int open_target(int dir, const char *path, bool *made, struct err *e)
{
	int fd;

	*made = mkdirat(dir, path, 0700) == 0;
	if (!*made && errno != EEXIST)
		return err_sys(e, "create %s", path);
	fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOTDIR)
		return err_set(e, ERR_EXISTS, "%s is there already, and is no directory",
		               path);
	if (fd < 0)
		return err_sys(e, "open %s", path);
	if (check_empty(fd, path, e) < 0)
		fd_close(&fd);
	return fd;
}

static struct toc_entry entry_at(const struct merged *m, size_t i)
{
	struct toc_entry t = *m->list.at[i].node;

	t.path = m->list.at[i].path;
	return t;
}

static int write_file(void *self, size_t i, struct merged_file *in, struct err *e)
{
	struct filling *f = self;
	struct toc_entry t = entry_at(&f->m, i);
	int fd = place_file(&f->place, &t, e), rc = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	while (rc == 0 && (n = merged_file_read(in, f->chunk, CHUNK, e)) != 0)
		rc = n < 0 ? -1 : fd_write(fd, f->chunk, (size_t)n, t.path, e);
	if (rc == 0)
		return place_file_end(&f->place, fd, &t, e);
	close(fd);
	return -1;
}

/* Directories come before what is in them. */
static int make_nodes(struct filling *f, struct err *e)
{
	for (size_t i = 0; i < f->m.list.len; i++) {
		struct toc_entry t = entry_at(&f->m, i);

		if (t.type != TOC_FILE && place_entry(&f->place, &t, e) < 0)
			return -1;
	}
	return 0;
}

static int make_links(struct filling *f, struct err *e)
{
	for (size_t i = 0; i < f->m.list.len; i++) {
		const struct merged_entry *t = &f->m.list.at[i];

		if (t->first != i &&
		    place_link(&f->place, t->path, f->m.list.at[t->first].path, e) < 0)
			return -1;
	}
	return 0;
}

/* From the last to the first, so that none is closed to us while there is more to do in
 * it. */
static int end_dirs(struct filling *f, struct err *e)
{
	for (size_t i = f->m.list.len; i-- > 0;) {
		struct toc_entry t = entry_at(&f->m, i);

		if (t.type == TOC_DIR && place_dir_end(&f->place, &t, e) < 0)
			return -1;
	}
	if (f->m.list.len && !*f->m.list.at[0].path)
		return 0;
	return fchmod(f->place.root, 0755) < 0 ? err_sys(e, "set the mode of /") : 0;
}

static int fill(struct filling *f, struct blobs *store, const struct image *im,
                struct err *e)
{
	if (make_nodes(f, e) < 0 || merged_files(&f->m, store, im, write_file, f, e) < 0)
		return -1;
	return make_links(f, e) < 0 ? -1 : end_dirs(f, e);
}

/* Goes by what we meant to make, so that no depth is too deep. */
static void empty_again(struct filling *f, struct err *e)
{
	struct err why;

	for (size_t i = 0; i < f->m.list.len; i++)
		if (f->m.list.at[i].node->type == TOC_DIR)
			place_dir_reopen(&f->place, f->m.list.at[i].path);
	for (size_t i = f->m.list.len; i-- > 0;) {
		const char *path = f->m.list.at[i].path;

		if (*path && place_remove(&f->place, path, &why) < 0) {
			err_wrap(e, "%.200s (and some of it could not be removed)",
			         why.msg);
			return;
		}
	}
}

static int unpack_into(int root, struct blobs *store, const struct image *im,
                       struct unpack_report *report, struct err *e)
{
	struct filling f = { .place = { .root = root, .report = report } };
	int rc = merged_open(&f.m, store, im, e);

	if (rc == 0) {
		f.chunk = mem_alloc(CHUNK);
		rc = fill(&f, store, im, e);
		free(f.chunk);
		if (rc < 0)
			empty_again(&f, e);
	}
	merged_fini(&f.m);
	return rc;
}

int unpack_dir(struct blobs *store, const struct image *im, int dir, const char *path,
               struct unpack_report *report, struct err *e)
{
	struct unpack_report unused;
	AUTO_CLOSE int root = -1;
	bool made;

	report = report ? report : &unused;
	*report = (struct unpack_report){ 0 };
	root = open_target(dir, path, &made, e);
	if (root < 0)
		return -1;
	if (unpack_into(root, store, im, report, e) == 0)
		return 0;
	if (made)
		unlinkat(dir, path, AT_REMOVEDIR);
	return err_wrap(e, "export to %s", path);
}

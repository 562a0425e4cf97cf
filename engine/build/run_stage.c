/* Files of the project as a step finds them: copies, of what its key is of. The project
 * itself may change while the step runs, has files that the ignore file hides, and modes
 * and times that are of this machine. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/run_times.h"
#include "os/fd.h"
#include "os/file.h"

enum { CHUNK = 128 * 1024 };

struct staging {
	struct run_mounts *m;
	struct work *w;
	int root; /* what names are relative to */
	char *chunk;
	struct strlist *made; /* directories that are not of the set themselves */
};

static int copy_checked(const struct staging *s, int in, int out,
                        const struct project_file *f, struct err *e)
{
	struct digest got;
	struct hasher h;
	ssize_t n;
	int rc = 0;

	hasher_init(&h);
	while (rc == 0 && (n = fd_read(in, s->chunk, CHUNK, f->path, e)) != 0) {
		hasher_add(&h, s->chunk, n > 0 ? (size_t)n : 0);
		rc = n < 0 ? -1 : fd_write(out, s->chunk, (size_t)n, f->path, e);
	}
	hasher_end(&h, &got);
	if (rc < 0)
		return -1;
	if (!digest_equal(&got, &f->digest))
		return err_set(e, ERR_CHANGED, "%s changed while it was used", f->path);
	return 0;
}

static int set_time(const struct staging *s, int fd, const struct project_file *f,
                    struct err *e)
{
	const struct timespec time = { .tv_sec = build_epoch(s->w->node->build) };

	if (futimens(fd, (struct timespec[]){ time, time }) < 0)
		return err_sys(e, "stage %s", f->path);
	return 0;
}

static int stage_file(const struct staging *s, const struct project_file *f,
                      const char *name, int *out, struct err *e)
{
	AUTO_CLOSE int in = file_open_beneath(s->w->node->context->fd, f->path,
	                                      O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);

	if (in < 0)
		return err_sys(e, "open %s", f->path);
	*out = file_open_beneath(s->root, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW,
	                         0600);
	if (*out < 0)
		return err_sys(e, "stage %s", f->path);
	if (copy_checked(s, in, *out, f, e) < 0)
		return -1;
	if (fchmod(*out, f->executable ? 0755 : 0644) < 0)
		return err_sys(e, "stage %s", f->path);
	return set_time(s, *out, f, e);
}

static struct project_file with_content(const struct fileset *set,
                                        const struct project_file *f)
{
	struct project_file out = *f;

	out.digest = fileset_first_name(set, f)->digest;
	return out;
}

/* It has the times of a copied file, as far as caches go. */
static void note_time(const struct staging *s, const struct project_file *f,
                      const char *inside, const char *staged)
{
	run_times_stage(s->m, s->w, inside, staged,
	                &(struct toc_entry){ .digest = f->digest,
	                                     .mtime = build_epoch(s->w->node->build) });
}

int run_stage_file(struct run_mounts *m, struct work *w, const struct staged_file *file,
                   int *fd, struct err *e)
{
	const struct project_file f = with_content(file->set, file->file);
	const struct staged_as *as = &file->as;
	AUTO_FREE char *chunk = mem_alloc(CHUNK);
	struct staging s = { m, w, w->node->build->o.store->dir, chunk, NULL };

	*fd = -1;
	if (stage_file(&s, &f, as->staged, fd, e) < 0) {
		fd_close(fd);
		return -1;
	}
	note_time(&s, &f, as->inside, as->staged);
	return 0;
}

static int stage_link(const struct staging *s, const struct project_file *f,
                      const char *name, struct err *e)
{
	const struct timespec time = { .tv_sec = build_epoch(s->w->node->build) };
	const char *slash = strrchr(name, '/');
	AUTO_FREE char *dir = mem_strndup(name, slash ? (size_t)(slash - name) : 0);
	AUTO_CLOSE int parent = file_open_beneath(s->root, dir, O_PATH | O_DIRECTORY, 0);

	name = slash ? slash + 1 : name;
	if (parent < 0 || symlinkat(f->link, parent, name) < 0 ||
	    utimensat(parent, name, (struct timespec[]){ time, time },
	              AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "stage %s", f->path);
	return 0;
}

static int stage_one(const struct staging *s, const struct project_file *f,
                     const char *name, const struct staged_as *as, struct err *e)
{
	const char *inside, *staged;
	int fd = -1, rc;

	if (f->type == TOC_DIR)
		return file_mkdirs(s->root, name, 0755, e);
	if (f->type == TOC_SYMLINK)
		return stage_link(s, f, name, e);
	rc = stage_file(s, f, name, &fd, e);
	fd_close(&fd);
	inside = arena_printf(&s->m->arena, "%s/%s", as->inside, name);
	staged = arena_printf(&s->m->arena, "%s/%s", as->staged, name);
	if (rc == 0)
		note_time(s, f, inside, staged);
	return rc;
}

/* When all is in it. */
static int end_dir(const struct staging *s, const struct project_file *f,
                   const char *name, struct err *e)
{
	AUTO_CLOSE int fd = file_open_beneath(s->root, name, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0 || fchmod(fd, 0755) < 0)
		return err_sys(e, "stage %s", f->path);
	return set_time(s, fd, f, e);
}

/* The ignore file may hide a directory, and not all that is in it. */
static int make_parents(const struct staging *s, const char *name, struct err *e)
{
	const char *slash = strrchr(name, '/');
	AUTO_FREE char *dir = mem_strndup(name, slash ? (size_t)(slash - name) : 0);

	if (!slash || file_exists(s->root, dir))
		return 0;
	if (make_parents(s, dir, e) < 0 || file_mkdirs(s->root, dir, 0755, e) < 0)
		return -1;
	strlist_add(s->made, dir);
	return 0;
}

static int stage_all(const struct staging *s, const struct fileset *set, size_t keep,
                     const struct staged_as *as, struct err *e)
{
	for (size_t i = 0; i < set->files.len; i++) {
		const struct project_file f = with_content(set, &set->files.at[i]);

		if (strlen(f.path) > keep && (make_parents(s, f.path + keep, e) < 0 ||
		                              stage_one(s, &f, f.path + keep, as, e) < 0))
			return -1;
	}
	for (size_t i = set->files.len; i-- > 0;) {
		const struct project_file *f = &set->files.at[i];

		if (f->type == TOC_DIR && strlen(f->path) > keep &&
		    end_dir(s, f, f->path + keep, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < s->made->len; i++)
		if (end_dir(s, &(struct project_file){ .path = s->made->at[i] },
		            s->made->at[i], e) < 0)
			return -1;
	return 0;
}

int run_stage_dir(struct run_mounts *m, struct work *w, const struct staged_dir *d,
                  int *fd, struct err *e)
{
	int store = w->node->build->o.store->dir;
	const struct project_file whole = { .path = d->source };
	AUTO_FREE char *chunk = mem_alloc(CHUNK);
	AUTO_STRLIST made = STRLIST_INIT;
	struct staging s = { m, w, -1, chunk, &made };
	size_t keep = *d->source ? strlen(d->source) + 1 : 0;

	*fd = -1;
	if (file_mkdirs(store, d->as.staged, 0755, e) < 0)
		return -1;
	s.root = openat(store, d->as.staged,
	                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	*fd = s.root;
	if (s.root < 0)
		return err_sys(e, "open %s", d->as.staged);
	if (stage_all(&s, d->set, keep, &d->as, e) < 0 ||
	    end_dir(&s, &whole, ".", e) < 0) {
		fd_close(fd);
		return -1;
	}
	return 0;
}

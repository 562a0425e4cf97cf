#include "image/layer_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/file.h"

struct layer_files {
	int parent, dir;
	char *name;
	atomic_size_t n_files, n_dirs; /* of entries; directories without are not counted
	                                */
	atomic_bool useless, taken;
};

int layer_files_new(struct layer_files **out, int dir, const char *name, struct err *e)
{
	struct layer_files *f = mem_alloc(sizeof(*f));

	*f = (struct layer_files){ .parent = dir, .dir = -1, .name = mem_strdup(name) };
	*out = f;
	if (mkdirat(dir, name, 0700) == 0)
		f->dir = openat(dir, name,
		                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (f->dir >= 0)
		return 0;
	err_sys(e, "create %s in the store", name);
	layer_files_free(f);
	*out = NULL;
	return -1;
}

void layer_files_free(struct layer_files *f)
{
	struct err ignored;

	if (!f)
		return;
	if (f->dir >= 0) /* tmp/ is swept: what cannot be removed is in nobody's way */
		(void)!file_remove_tree(f->parent, f->name, &ignored);
	fd_close(&f->dir);
	free(f->name);
	free(f);
}

/* There are only directories and files of ours here, so that no name leads away. -1:
 * errno. */
static int make_parents(const struct layer_files *f, const char *path)
{
	AUTO_FREE char *dir = mem_strdup(path);

	for (char *slash = strchr(dir, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(f->dir, dir, 0700) < 0 && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	return 0;
}

static bool is_dir(int dir, const char *path)
{
	struct stat st;

	return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

void layer_files_add_dir(struct layer_files *f, const char *path)
{
	int rc;

	if (!*path || f->useless)
		return;
	rc = mkdirat(f->dir, path, 0700);
	if (rc < 0 && errno == ENOENT && make_parents(f, path) == 0)
		rc = mkdirat(f->dir, path, 0700);
	if (rc == 0 || (errno == EEXIST && is_dir(f->dir, path)))
		f->n_dirs++;
	else
		f->useless = true;
}

static int create(const struct layer_files *f, const char *path)
{
	return openat(f->dir, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	              0600);
}

/* What the layer says, not what the disk does. */
static bool is_odd_name(int sys)
{
	return sys == EEXIST || sys == ENOTDIR || sys == EISDIR || sys == ENAMETOOLONG;
}

int layer_files_create(struct layer_files *f, const char *path, int *fd, struct err *e)
{
	*fd = -1;
	if (f->useless)
		return 0;
	*fd = create(f, path);
	if (*fd < 0 && errno == ENOENT && make_parents(f, path) == 0)
		*fd = create(f, path);
	if (*fd >= 0) {
		f->n_files++;
		return 0;
	}
	if (!is_odd_name(errno))
		return err_sys(e, "create a file in %s", f->name);
	f->useless = true;
	return 0;
}

bool layer_files_take(struct layer_files *f)
{
	return !atomic_exchange(&f->taken, true);
}

bool layer_file_plain(const struct toc_entry *t)
{
	return !t->n_xattrs && !(t->mode & 07000);
}

int layer_files_end(struct layer_files *f, int *fd, const struct toc_entry *t,
                    struct err *e)
{
	const struct timespec times[2] = { { .tv_sec = t->mtime },
		                           { .tv_sec = t->mtime } };
	int rc;

	/* Here it costs least. */
	if (layer_file_plain(t) &&
	    (fchmod(*fd, t->mode & 0777) < 0 || futimens(*fd, times) < 0))
		f->useless = true;
	rc = close(*fd);
	*fd = -1;
	/* Some file systems only tell now that there was no room. */
	return rc < 0 ? err_sys(e, "write a layer's file") : 0;
}

int layer_files_dir(const struct layer_files *f)
{
	return f->useless ? -1 : f->dir;
}

bool layer_files_mirror(const struct layer_files *f, const struct toc *table)
{
	size_t files = 0, dirs = 0;

	for (size_t i = 0; i < table->n; i++) {
		const struct toc_entry *t = &table->at[i];

		files += t->type == TOC_FILE && t->offset >= 0;
		dirs += t->type == TOC_DIR && *t->path;
	}
	return !f->useless && files == f->n_files && dirs == f->n_dirs;
}

static bool cannot_move(int sys)
{
	return sys == ENOENT || sys == EINVAL || sys == ENOSYS || sys == EXDEV;
}

static int move_names(DIR *d, int to, struct err *e)
{
	struct dirent *ent;
	int moved = 0;

	while (errno = 0, (ent = readdir(d))) {
		if (!strcmp(ent->d_name, ".") || !strcmp(ent->d_name, ".."))
			continue;
		if (renameat2(dirfd(d), ent->d_name, to, ent->d_name, RENAME_NOREPLACE) <
		    0)
			return !moved && cannot_move(errno)
			               ? 0
			               : err_sys(e, "move /%s into place", ent->d_name);
		moved = 1;
	}
	return errno ? err_sys(e, "list the files of a layer") : moved;
}

int layer_files_move(const struct layer_files *f, int to, struct err *e)
{
	int copy = openat(f->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	int rc;

	if (!d) {
		err_sys(e, "list %s", f->name);
		fd_close(&copy);
		return -1;
	}
	rc = move_names(d, to, e);
	closedir(d);
	return rc;
}

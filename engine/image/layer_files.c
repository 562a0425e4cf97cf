#include "image/layer_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/file.h"

/* A directory takes one new name at a time: each has the files of every 16th MiB. */
enum { DIRS = 16, DIR_SHIFT = 20 };

struct layer_files {
	int parent, dir;
	char *name;
};

static int make_dirs(int dir)
{
	for (unsigned i = 0; i < DIRS; i++) {
		char name[LAYER_FILE_NAME];

		snprintf(name, sizeof(name), "%x", i);
		if (mkdirat(dir, name, 0700) < 0)
			return -1;
	}
	return 0;
}

int layer_files_new(struct layer_files **out, int dir, const char *name, struct err *e)
{
	struct layer_files *f = mem_alloc(sizeof(*f));

	*f = (struct layer_files){ dir, -1, mem_strdup(name) };
	*out = f;
	if (mkdirat(dir, name, 0700) == 0)
		f->dir = openat(dir, name,
		                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (f->dir >= 0 && make_dirs(f->dir) == 0)
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

const char *layer_file_name(char out[LAYER_FILE_NAME], int64_t offset)
{
	snprintf(out, LAYER_FILE_NAME, "%x/%llx", (unsigned)(offset >> DIR_SHIFT) % DIRS,
	         (unsigned long long)offset);
	return out;
}

int layer_files_create(const struct layer_files *f, int64_t offset, struct err *e)
{
	char name[LAYER_FILE_NAME];
	int fd = openat(f->dir, layer_file_name(name, offset),
	                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? err_sys(e, "create a file in %s", f->name) : fd;
}

int layer_files_dir(const struct layer_files *f)
{
	return f->dir;
}

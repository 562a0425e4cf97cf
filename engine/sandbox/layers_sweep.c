#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/file.h"
#include "os/lock.h"
#include "sandbox/layer_plan.h"

enum { FILE_MAX = 160 };

static int lock_name(char out[FILE_MAX], const char *name, struct err *e)
{
	if (snprintf(out, FILE_MAX, "%s.lock", name) >= FILE_MAX)
		return err_set(e, ERR_INVALID, "the name %.100s is too long", name);
	return 0;
}

/* The lock file may have been removed with what it locks while we waited for it. */
int layer_lock(int dir, const char *name, bool exclusive, bool wait, struct err *e)
{
	char file[FILE_MAX];

	if (lock_name(file, name, e) < 0)
		return -1;
	for (;;) {
		int fd = wait ? lock_take(dir, file, exclusive, e)
		              : lock_try(dir, file, exclusive, e);
		struct stat st;

		if (fd < 0)
			return -1;
		if (fstat(fd, &st) == 0 && st.st_nlink > 0)
			return fd;
		close(fd);
	}
}

struct sweeping {
	int dir;
	const struct layers_choice *c;
	int result;
	size_t removed;
};

/* With the lock, so that nobody uses it or will. */
static int sweep_one(struct sweeping *s, const char *name, struct err *e)
{
	char file[FILE_MAX];
	AUTO_CLOSE int lock = layer_lock(s->dir, name, true, false, e);
	struct stat st;

	if (lock < 0)
		return e->code == ERR_EXISTS ? 0 : -1;
	if (fstat(lock, &st) < 0 || st.st_ctime > s->c->before ||
	    lock_name(file, name, e) < 0)
		return 0;
	/* From here on it is not whole, whatever happens. */
	if (ftruncate(lock, 0) < 0)
		return err_sys(e, "mark rootfs/%s", name);
	if (file_remove_tree(s->dir, name, e) < 0)
		return -1;
	if (unlinkat(s->dir, file, 0) < 0)
		return err_sys(e, "remove rootfs/%s", file);
	s->removed++;
	return 0;
}

static int sweep_listed(struct sweeping *s, DIR *d, struct err *e)
{
	struct dirent *ent;
	int rc = 0;

	while (rc == 0 && (ent = readdir(d))) {
		size_t n = strlen(ent->d_name);

		if (n > 5 && !strcmp(ent->d_name + n - 5, ".lock")) {
			AUTO_FREE char *name = mem_strndup(ent->d_name, n - 5);

			rc = sweep_one(s, name, e);
		}
	}
	return rc;
}

static int sweep_all(struct sweeping *s, struct err *e)
{
	int copy = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	int rc;

	if (!d) {
		err_sys(e, "list rootfs/");
		fd_close(&copy);
		return -1;
	}
	rc = sweep_listed(s, d, e);
	closedir(d);
	return rc;
}

static int sweep(void *arg, struct err *e)
{
	struct sweeping *s = arg;
	const struct strlist *only = s->c->only;
	int rc = only ? 0 : sweep_all(s, e);

	for (size_t i = 0; only && rc == 0 && i < only->len; i++)
		rc = sweep_one(s, only->at[i], e);
	if (rc == 0 && pwrite(s->result, &s->removed, sizeof(s->removed), 0) < 0)
		return err_sys(e, "report on removing");
	return rc;
}

int layers_sweep(struct store *store, const struct layers_choice *c, size_t *removed,
                 struct err *e)
{
	AUTO_CLOSE int dir =
		openat(store->dir, "rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int result = memfd_create("report", MFD_CLOEXEC);
	struct sweeping s = { dir, c, result, 0 };

	if (dir < 0 && errno == ENOENT) {
		if (removed)
			*removed = 0;
		return 0;
	}
	if (dir < 0 || result < 0)
		return err_sys(e, "open rootfs/");
	if (inside_call(c->inside, sweep, &s, e) < 0)
		return err_wrap(e, "remove unpacked layers");
	if (removed && pread(result, removed, sizeof(*removed), 0) != sizeof(*removed))
		return err_set(e, ERR_FAILED, "removing gave no report");
	return 0;
}

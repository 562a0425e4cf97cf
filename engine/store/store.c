#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/lock.h"
#include "store/blobs.h"
#include "store/state.h"

static int default_path(struct buf *out, struct err *e)
{
	const char *own = getenv("IMGMAKE_STORE");
	const char *data = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");

	if (own && *own)
		buf_adds(out, own);
	else if (data && *data == '/')
		buf_addf(out, "%s/imgmake", data);
	else if (home && *home == '/')
		buf_addf(out, "%s/.local/share/imgmake", home);
	else
		return err_set(
			e, ERR_INVALID,
			"no place for the store: set HOME or IMGMAKE_STORE, or give --store DIR");
	return 0;
}

/* Locks and mmap of LMDB do not hold across machines. */
static int refuse_network(int dir, const char *path, struct err *e)
{
	enum { CIFS_MAGIC = (int)0xff534d42, SMB2_MAGIC = (int)0xfe534d42 };
	struct statfs fs;
	unsigned type;

	if (fstatfs(dir, &fs) < 0)
		return err_sys(e, "stat the store %s", path);
	type = (unsigned)fs.f_type;
	if (type == NFS_SUPER_MAGIC || type == (unsigned)CIFS_MAGIC ||
	    type == (unsigned)SMB2_MAGIC)
		return err_set(
			e, ERR_INVALID,
			"the store %s is on a network file system; choose a local disk with "
			"--store DIR or IMGMAKE_STORE",
			path);
	return 0;
}

/* A shared lock for as long as the store is open. Whoever finds itself alone first sweeps
 * away what killed processes left in tmp/. */
static int take_lease(struct store *s, struct err *e)
{
	struct err ignored;

	s->lease = lock_try(s->dir, "lease", true, e);
	if (s->lease < 0 && e->code != ERR_EXISTS)
		return -1;
	if (s->lease < 0) {
		s->lease = lock_take(s->dir, "lease", false, e);
		return s->lease < 0 ? -1 : 0;
	}
	/* What cannot be removed (files of a killed run step, owned by other ids) is in
	 * nobody's way: no name in it is used twice. */
	(void)!file_remove_tree(s->dir, "tmp", &ignored);
	return lock_share(s->lease, e);
}

/* What is read only has a lease where others have had one: it writes nothing. */
static int join(struct store *s, struct err *e)
{
	int64_t now = clock_wall_s();

	s->opened = now > 0 ? now : 0;
	if (s->read_only)
		s->lease = s->dir < 0 ? -1 : lock_existing(s->dir, "lease");
	else if (take_lease(s, e) < 0)
		return -1;
	return s->lease < 0 ? 0 : lock_show(s->lease, s->opened, e);
}

static int open_parts(struct store *s, struct err *e)
{
	if (s->dir >= 0 && refuse_network(s->dir, s->path, e) < 0)
		return -1;
	if (join(s, e) < 0)
		return -1;
	if (blobs_open(&s->blobs, s->dir, s->read_only, e) < 0)
		return -1;
	return state_open(&s->state, s->dir, s->read_only, e);
}

/* The path goes to other processes, and to kernels, that have another current directory.
 */
static void make_absolute(struct store *s)
{
	char *real = s->dir < 0 ? NULL : realpath(s->path, NULL);

	if (!real)
		return;
	free(s->path);
	s->path = real;
}

static int find_path(const char *path, struct buf *out, struct err *e)
{
	if (!path)
		return default_path(out, e);
	buf_adds(out, path);
	return 0;
}

int store_open(struct store *s, const char *path, bool read_only, struct err *e)
{
	AUTO_BUF where = BUF_INIT;

	*s = (struct store){ .dir = -1, .lease = -1, .read_only = read_only };
	if (find_path(path, &where, e) < 0)
		return -1;
	s->path = buf_take(&where);
	if (!read_only && file_mkdirs(AT_FDCWD, s->path, 0700, e) < 0) {
		err_wrap(e, "store %s", s->path);
		store_close(s);
		return -1;
	}
	s->dir = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0 && (!read_only || errno != ENOENT)) {
		err_sys(e, "open the store %s", s->path);
		store_close(s);
		return -1;
	}
	make_absolute(s);
	if (open_parts(s, e) < 0) {
		err_wrap(e, "store %s", s->path);
		store_close(s);
		return -1;
	}
	return 0;
}

void store_close(struct store *s)
{
	state_close(s->state);
	blobs_close(s->blobs);
	fd_close(&s->lease);
	fd_close(&s->dir);
	free(s->path);
	*s = (struct store){ .dir = -1, .lease = -1 };
}

int store_try_state(const char *path, struct err *e)
{
	AUTO_BUF where = BUF_INIT;
	AUTO_CLOSE int dir = -1;
	struct state *s;
	int rc;

	if (find_path(path, &where, e) < 0)
		return -1;
	dir = open(where.s, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : err_sys(e, "open the store %s", where.s);
	if (state_open(&s, dir, false, e) < 0)
		return err_wrap(e, "store %s", where.s);
	rc = state_try(s, e);
	state_close(s);
	return rc < 0 ? err_wrap(e, "store %s", where.s) : 0;
}

int store_reset_state(const char *path, struct err *e)
{
	AUTO_BUF where = BUF_INIT;
	AUTO_CLOSE int dir = -1, lease = -1;

	if (find_path(path, &where, e) < 0)
		return -1;
	dir = open(where.s, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "open the store %s", where.s);
	lease = lock_try(dir, "lease", true, e);
	if (lease < 0 || file_mkdirs(dir, "rotten", 0700, e) < 0)
		return -1;
	if (renameat(dir, "state.mdb", dir, "rotten/state.mdb") < 0)
		return err_sys(e, "put state.mdb aside");
	if (unlinkat(dir, "state.mdb-lock", 0) < 0 && errno != ENOENT)
		return err_sys(e, "remove state.mdb-lock");
	return 0;
}

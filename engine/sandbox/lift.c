#include "sandbox/lift.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "image/place.h"
#include "image/place_meta.h"
#include "os/fd.h"
#include "os/file.h"

enum { CHUNK = 128 * 1024, ONCE = 1 << 30 };

static int open_lowers(struct lifting *l, struct err *e)
{
	while (l->lower.len < l->layers->paths.len) {
		int fd = open(l->layers->paths.at[l->lower.len],
		              O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0)
			return err_sys(e, "open %s", l->layers->paths.at[l->lower.len]);
		vec_push(&l->lower, fd);
	}
	return 0;
}

/* What can be seen is in the uppermost layer that has the name. */
static int open_lower(struct lifting *l, const struct toc_entry *entry, struct err *e)
{
	if (open_lowers(l, e) < 0)
		return -1;
	for (size_t i = l->lower.len; i-- > 0;) {
		int fd = file_open_beneath(l->lower.at[i], entry->path,
		                           O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);
		struct stat st;

		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
			continue;
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		    st.st_size == entry->size)
			return fd;
		if (fd < 0)
			return err_sys(e, "open /%s of a layer", entry->path);
		close(fd);
		break;
	}
	return err_set(e, ERR_CORRUPT,
	               "/%s is not in the unpacked layers as it should be", entry->path);
}

int lift_bytes(int from, int to, const char *path, struct err *e)
{
	AUTO_FREE char *chunk = NULL;
	ssize_t n;

	/* Shares the blocks where the file system can. */
	while ((n = copy_file_range(from, NULL, to, NULL, ONCE, 0)) > 0 ||
	       (n < 0 && errno == EINTR))
		;
	if (n == 0)
		return 0;
	chunk = mem_alloc(CHUNK);
	while ((n = fd_read(from, chunk, CHUNK, path, e)) > 0)
		if (fd_write(to, chunk, (size_t)n, path, e) < 0)
			return -1;
	return (int)n;
}

static int make_dir(struct lifting *l, const char *path, size_t n, struct err *e)
{
	struct place p = { .root = l->to, .report = &l->report };
	const char *dir = arena_strndup(&l->arena, path, n);
	struct toc_entry t;

	if (map_get(&l->made, dir))
		return 0;
	map_put(&l->made, dir, l);
	t = *toc_view_find(&l->view, dir, NULL);
	t.path = dir;
	if (place_entry(&p, &t, e) < 0)
		return -1;
	vec_push(&l->dirs, t);
	return 0;
}

static int set_time(int fd, const char *path, int64_t time, struct err *e)
{
	struct timespec t = { .tv_sec = time / 1000000000, .tv_nsec = time % 1000000000 };

	if (t.tv_nsec < 0) {
		t.tv_nsec += 1000000000;
		t.tv_sec--;
	}
	if (futimens(fd, (struct timespec[]){ t, t }) < 0)
		return err_sys(e, "set the time of /%s", path);
	return 0;
}

int lift_file(struct lifting *l, const struct toc_entry *entry, int64_t time,
              struct err *e)
{
	struct place p = { .root = l->to, .report = &l->report };
	AUTO_CLOSE int from = open_lower(l, entry, e);
	AUTO_CLOSE int again = -1;
	int to;

	if (from < 0)
		return -1;
	for (const char *s = strchr(entry->path, '/'); s; s = strchr(s + 1, '/'))
		if (make_dir(l, entry->path, (size_t)(s - entry->path), e) < 0)
			return -1;
	to = place_file(&p, entry, e);
	if (to < 0)
		return -1;
	again = fcntl(to, F_DUPFD_CLOEXEC, 0);
	if (again < 0 || lift_bytes(from, to, entry->path, e) < 0) {
		if (again < 0)
			err_sys(e, "copy /%s", entry->path);
		close(to);
		return -1;
	}
	if (place_file_end(&p, to, entry, e) < 0)
		return -1;
	return set_time(again, entry->path, time, e);
}

/* From the last to the first, so that none is closed to us while there is more to do in
 * it. */
int lift_end(struct lifting *l, struct err *e)
{
	struct place p = { .root = l->to, .report = &l->report };

	for (size_t i = l->dirs.len; i-- > 0;)
		if (place_dir_end(&p, &l->dirs.at[i], e) < 0)
			return -1;
	return 0;
}

void lift_fini(struct lifting *l)
{
	for (size_t i = 0; i < l->lower.len; i++)
		fd_close(&l->lower.at[i]);
	vec_fini(&l->lower);
	vec_fini(&l->dirs);
	map_fini(&l->made);
	arena_fini(&l->arena);
}

static int write_file(struct place *p, const struct lift_entry *x, int spool,
                      struct err *e)
{
	AUTO_FREE char *chunk = mem_alloc(CHUNK);
	int fd = place_file(p, &x->t, e), rc = fd < 0 ? -1 : 0;

	for (int64_t done = 0; rc == 0 && done < x->t.size;) {
		size_t want =
			x->t.size - done < CHUNK ? (size_t)(x->t.size - done) : CHUNK;
		ssize_t n = pread(spool, chunk, want, x->offset + done);

		if (n <= 0)
			rc = err_sys(e, "read /%s", x->t.path);
		else
			rc = fd_write(fd, chunk, (size_t)n, x->t.path, e);
		done += n;
	}
	if (rc == 0)
		return place_file_end(p, fd, &x->t, e);
	fd_close(&fd);
	return -1;
}

int lift_all(int to, const struct lift_entry *at, size_t n, int spool, struct err *e)
{
	struct unpack_report report = { 0 };
	struct place p = { .root = to, .report = &report };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (at[i].first)
			rc = place_link(&p, at[i].t.path, at[i].first, e);
		else if (at[i].t.type == TOC_FILE)
			rc = write_file(&p, &at[i], spool, e);
		else
			rc = place_entry(&p, &at[i].t, e);
	}
	for (size_t i = n; rc == 0 && i-- > 0;)
		if (at[i].t.type == TOC_DIR)
			rc = place_dir_end(&p, &at[i].t, e);
	return rc;
}

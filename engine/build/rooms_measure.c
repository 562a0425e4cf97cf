/* Sizes and removal of directories whose files may belong to ids that only a sandbox has.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "build/rooms_own.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/walk.h"

struct measuring {
	int dir;
	const struct strlist *paths;
	int result; /* memory file: an int64_t each */
	int64_t deadline, size;
};

/* A file with several names is counted once in sum. */
static enum walk_next add_size(void *self, const struct walk_entry *w, struct err *e)
{
	struct measuring *m = self;

	if (m->deadline && clock_ns() > m->deadline) {
		err_set(e, ERR_CANCELLED, "time is up");
		return WALK_ERROR;
	}
	m->size += (int64_t)w->st.st_blocks * 512 /
	           (S_ISDIR(w->st.st_mode) ? 1 : (int64_t)w->st.st_nlink);
	return WALK_ON;
}

static int measure(void *arg, struct err *e)
{
	struct measuring *m = arg;
	struct walk_options o = { .visit = add_size, .self = m };

	for (size_t i = 0; i < m->paths->len; i++) {
		struct err ignored;

		m->size = 0;
		if (walk(m->dir, m->paths->at[i], &o, &ignored) < 0)
			m->size = -1;
		if (pwrite(m->result, &m->size, sizeof(m->size),
		           (off_t)(i * sizeof(m->size))) != sizeof(m->size))
			return err_sys(e, "report on sizes");
	}
	return 0;
}

int rooms_measure(struct rooms *r, const struct strlist *paths, int64_t *sizes,
                  struct err *e)
{
	AUTO_CLOSE int result = memfd_create("sizes", MFD_CLOEXEC);
	struct measuring m = { r->store->dir, paths, result, r->deadline, 0 };
	size_t bytes = paths->len * sizeof(*sizes);
	const struct inside *inside;

	if (!paths->len)
		return 0;
	if (result < 0)
		return err_sys(e, "create a memory file");
	if (rooms_inside(r, &inside, e) < 0 || inside_call(inside, measure, &m, e) < 0)
		return -1;
	if (pread(result, sizes, bytes, 0) != (ssize_t)bytes)
		return err_set(e, ERR_FAILED, "measuring gave no report");
	return 0;
}

static int remove_all(void *arg, struct err *e)
{
	struct measuring *m = arg;
	struct err other;
	int rc = 0;

	for (size_t i = 0; i < m->paths->len; i++)
		if (file_remove_tree(m->dir, m->paths->at[i], rc ? &other : e) < 0)
			rc = -1;
	return rc;
}

int rooms_remove(struct rooms *r, const struct strlist *paths, struct err *e)
{
	struct measuring m = { r->store->dir, paths, -1, 0, 0 };
	const struct inside *inside;

	if (!paths->len)
		return 0;
	return rooms_inside(r, &inside, e) < 0 ? -1
	                                       : inside_call(inside, remove_all, &m, e);
}

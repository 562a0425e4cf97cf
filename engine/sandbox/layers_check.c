/* Unpacked layers beside their tables of contents. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/walk.h"
#include "sandbox/layer_plan.h"

enum { PATH_LIMIT = 8192 };

struct checking {
	int dir;
	const char *name;
	const struct toc *toc;
	int result; /* memory file: the path */
	bool *seen; /* by index in the table */
	struct buf differs;
};

static bool same_kind(const struct toc_entry *t, const struct stat *st)
{
	switch (t->type) {
	case TOC_FILE: return S_ISREG(st->st_mode) && st->st_size == t->size;
	case TOC_DIR: return S_ISDIR(st->st_mode);
	case TOC_SYMLINK: return S_ISLNK(st->st_mode);
	case TOC_HARDLINK: return !S_ISDIR(st->st_mode);
	case TOC_CHAR: return S_ISCHR(st->st_mode);
	case TOC_BLOCK: return S_ISBLK(st->st_mode);
	case TOC_FIFO: return S_ISFIFO(st->st_mode);
	case TOC_WHITEOUT:
	case TOC_OPAQUE: break;
	}
	return true;
}

static enum walk_next look(void *self, const struct walk_entry *w, struct err *e)
{
	struct checking *c = self;
	const struct toc_entry *t = toc_find(c->toc, w->path);
	bool whiteout = S_ISCHR(w->st.st_mode) || !strncmp(w->name, ".wh.", 4);

	if (t && same_kind(t, &w->st)) {
		c->seen[t - c->toc->at] = true;
		return WALK_ON;
	}
	/* Directories may have no entry of their own. */
	if (!t && (whiteout || S_ISDIR(w->st.st_mode)))
		return WALK_ON;
	buf_adds(&c->differs, w->path);
	err_set(e, ERR_CORRUPT, "%s is not as it was unpacked", w->path);
	return WALK_ERROR;
}

/* Devices are not there where we may not make them. */
static bool must_be_there(const struct toc_entry *t)
{
	return *t->path && (t->type == TOC_FILE || t->type == TOC_DIR ||
	                    t->type == TOC_SYMLINK || t->type == TOC_HARDLINK);
}

static int report(const struct checking *c, const char *path, struct err *e)
{
	size_t n = strnlen(path, PATH_LIMIT);

	if (pwrite(c->result, path, n, 0) != (ssize_t)n)
		return err_sys(e, "report on rootfs/%s", c->name);
	return 0;
}

static int check(void *arg, struct err *e)
{
	struct checking *c = arg;
	struct walk_options o = { .visit = look, .self = c };

	c->seen = mem_alloc(c->toc->n + 1);
	if (walk(c->dir, c->name, &o, e) < 0)
		return c->differs.len ? report(c, c->differs.s, e) : -1;
	for (size_t i = 0; i < c->toc->n; i++)
		if (must_be_there(&c->toc->at[i]) && !c->seen[i])
			return report(c, c->toc->at[i].path, e);
	return 0;
}

int layers_check(struct store *store, const struct layers_suspect *s,
                 const struct inside *inside, struct buf *bad, struct err *e)
{
	AUTO_CLOSE int dir =
		openat(store->dir, "rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int result = memfd_create("report", MFD_CLOEXEC);
	AUTO_CLOSE int lock = -1;
	struct checking c = { dir, s->name, s->toc, result, NULL, BUF_INIT };
	struct stat st;
	int rc;

	if (dir < 0 || result < 0)
		return err_sys(e, "open rootfs/");
	lock = layer_lock(dir, s->name, false, false, e);
	if (lock < 0)
		return e->code == ERR_EXISTS ? 0 : -1;
	if (fstat(lock, &st) < 0 || !st.st_size)
		return 0; /* not whole, and known not to be */
	rc = inside_call(inside, check, &c, e);
	free(c.seen); /* unless it was in another process */
	buf_fini(&c.differs);
	return rc < 0 ? -1 : fd_read_all(result, bad, PATH_LIMIT, "a report", e);
}

#include "sandbox/diff_entry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "os/fd.h"

enum {
	CHUNK = 256 * 1024,
	XATTRS_MAX = 65536, /* XATTR_LIST_MAX and XATTR_SIZE_MAX of the kernel */
	PROC_MAX = 32 + 256,
};

static bool starts_with(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

/* What follows the prefix of a mark of overlayfs, or NULL. *by: who believes it. */
static const char *mark_of(const char *name, unsigned *by)
{
	static const struct {
		const char *prefix;
		unsigned by;
	} marks[] = {
		{ "trusted.overlay.", DIFF_TRUSTED },
		{ "user.overlay.", DIFF_USER },
		{ "user.fuseoverlayfs.", DIFF_FUSE },
		{ "security.fuseoverlayfs.", DIFF_FUSE },
	};

	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		*by = marks[i].by;
		if (starts_with(name, marks[i].prefix))
			return name + strlen(marks[i].prefix);
	}
	return NULL;
}

/* Others are of this machine (security.selinux), or could not be had by every user
 * (trusted.*). */
bool diff_xattr_kept(const char *name)
{
	unsigned by;

	if (mark_of(name, &by) || starts_with(name, "user.containers."))
		return false;
	return starts_with(name, "user.") || !strcmp(name, "security.capability");
}

static unsigned mark_bits(const char *mark, const char *value, size_t n)
{
	if (!strcmp(mark, "opaque")) /* "x": there are xattr whiteouts in it */
		return n == 1 && value[0] == 'y' ? DIFF_OPAQUE : 0;
	if (!strcmp(mark, "whiteout"))
		return DIFF_WHITEOUT;
	if (!strcmp(mark, "redirect") || !strcmp(mark, "metacopy"))
		return DIFF_REDIRECT;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct toc_xattr *)a)->name,
	              ((const struct toc_xattr *)b)->name);
}

static ssize_t get_xattr(const struct toc_entry *t, const char *at, const char *name,
                         char *value, struct err *e)
{
	ssize_t n = lgetxattr(at, name, value, XATTRS_MAX);

	return n < 0 ? err_sys(e, "read %s of /%s", name, t->path) : n;
}

static int read_xattrs(struct toc_entry *t, const char *at, const struct diff_reader *r,
                       unsigned *marks, struct err *e)
{
	AUTO_FREE char *names = NULL, *value = NULL;
	AUTO_FREE struct toc_xattr *kept = NULL;
	ssize_t n = llistxattr(at, NULL, 0), size;

	if (n == 0 || (n < 0 && errno == EOPNOTSUPP))
		return 0;
	names = mem_grow(NULL, XATTRS_MAX, 1);
	value = mem_grow(NULL, XATTRS_MAX, 1);
	n = llistxattr(at, names, XATTRS_MAX);
	if (n < 0)
		return err_sys(e, "list the attributes of /%s", t->path);
	for (const char *name = names; name < names + n; name += strlen(name) + 1) {
		unsigned by = 0;
		const char *mark = mark_of(name, &by);

		if (mark ? !(by & r->believe) : !diff_xattr_kept(name))
			continue;
		size = get_xattr(t, at, name, value, e);
		if (size < 0)
			return -1;
		if (mark) {
			*marks |= mark_bits(mark, value, (size_t)size);
			continue;
		}
		kept = mem_grow(kept, t->n_xattrs + 1, sizeof(*kept));
		kept[t->n_xattrs++] = (struct toc_xattr){
			arena_strdup(r->arena, name),
			arena_memdup(r->arena, value, (size_t)size),
			(size_t)size,
		};
	}
	if (!kept)
		return 0;
	qsort(kept, t->n_xattrs, sizeof(*kept), by_name);
	t->xattrs = arena_memdup(r->arena, kept, t->n_xattrs * sizeof(*kept));
	return 0;
}

static enum toc_type type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR: return TOC_DIR;
	case S_IFREG: return TOC_FILE;
	case S_IFLNK: return TOC_SYMLINK;
	case S_IFCHR: return TOC_CHAR;
	case S_IFBLK: return TOC_BLOCK;
	case S_IFIFO: return TOC_FIFO;
	default: return 0;
	}
}

static int read_link(struct toc_entry *t, int dir, const char *name, struct arena *a,
                     struct err *e)
{
	char text[4096];
	ssize_t n = readlinkat(dir, name, text, sizeof(text));

	if (n < 0)
		return err_sys(e, "read the symlink /%s", t->path);
	if (n == sizeof(text))
		return err_set(e, ERR_LIMIT, "the text of the symlink /%s is too long",
		               t->path);
	t->link = arena_strndup(a, text, (size_t)n);
	return 0;
}

int diff_entry_read(struct toc_entry *t, int dir, const char *name, const struct stat *st,
                    const struct diff_reader *r, unsigned *marks, struct err *e)
{
	char at[PROC_MAX];

	t->type = type_of(st->st_mode);
	t->mode = t->type == TOC_SYMLINK ? 0777 : st->st_mode & 07777;
	t->uid = st->st_uid;
	t->gid = st->st_gid;
	t->offset = -1;
	if (t->type == TOC_CHAR || t->type == TOC_BLOCK) {
		t->dev_major = major(st->st_rdev);
		t->dev_minor = minor(st->st_rdev);
	}
	*marks = 0;
	if (t->type == TOC_SYMLINK && read_link(t, dir, name, r->arena, e) < 0)
		return -1;
	if (t->type != TOC_FILE && t->type != TOC_DIR)
		return 0; /* others have none that are kept */
	snprintf(at, sizeof(at), "/proc/self/fd/%d/%s", dir, name);
	return read_xattrs(t, at, r, marks, e);
}

int diff_entry_hash(struct toc_entry *t, int dir, const char *name, struct err *e)
{
	AUTO_CLOSE int fd =
		openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	AUTO_FREE char *chunk = NULL;
	struct hasher h;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "open /%s", t->path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_CHANGED, "/%s changed while it was read", t->path);
	chunk = mem_grow(NULL, CHUNK, 1);
	t->size = 0;
	hasher_init(&h);
	while ((n = fd_read(fd, chunk, CHUNK, t->path, e)) > 0) {
		hasher_add(&h, chunk, (size_t)n);
		t->size += n;
	}
	hasher_end(&h, &t->digest);
	return n < 0 ? -1 : 0;
}

static const struct toc_xattr *next_kept(const struct toc_entry *t, size_t *i)
{
	while (*i < t->n_xattrs) {
		const struct toc_xattr *x = &t->xattrs[(*i)++];

		if (diff_xattr_kept(x->name))
			return x;
	}
	return NULL;
}

static bool same_xattrs(const struct toc_entry *a, const struct toc_entry *b)
{
	size_t i = 0, k = 0;

	if (a->type != TOC_FILE && a->type != TOC_DIR)
		return true;
	for (;;) {
		const struct toc_xattr *x = next_kept(a, &i), *y = next_kept(b, &k);

		if (!x || !y)
			return !x && !y;
		if (strcmp(x->name, y->name) != 0 || x->size != y->size ||
		    memcmp(x->value, y->value, x->size) != 0)
			return false;
	}
}

bool diff_entry_same(const struct toc_entry *now, const struct toc_entry *before)
{
	if (now->type != before->type || now->uid != before->uid ||
	    now->gid != before->gid)
		return false;
	if (now->type == TOC_SYMLINK)
		return !strcmp(now->link, before->link);
	if (now->type == TOC_FILE &&
	    (now->size != before->size || !digest_equal(&now->digest, &before->digest)))
		return false;
	return now->mode == before->mode && now->dev_major == before->dev_major &&
	       now->dev_minor == before->dev_minor && same_xattrs(now, before);
}

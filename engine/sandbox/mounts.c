/* What the recipe mounts, and the files that we put in place. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fd.h"
#include "sandbox/mount_call.h"
#include "sandbox/setup.h"
#include "sandbox/target.h"

static void made(void *self, const char *path)
{
	setup_stub(self, path);
}

static struct target target_of(const struct setup *s, int root, enum target_kind kind)
{
	return (struct target){ root, kind, made, (void *)s };
}

/* A mount of another namespace cannot be copied, so a source is looked for again under
 * the name it has, and must be the very same. */
static int take_source(const struct setup *s, size_t i, struct err *e)
{
	const struct sandbox_mount *m = &s->spec->mounts[i];
	const char *name = s->source_names[i];
	AUTO_CLOSE int fd = open(name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat want, found;
	unsigned flags = m->writable ? 0 : ATTACH_READ_ONLY;

	if (fstat(m->source, &want) < 0)
		return err_sys(e, "mount %s", m->target);
	if (fd < 0 || fstat(fd, &found) < 0)
		return err_sys(e, "mount %s: open %s", m->target, name);
	if (want.st_dev != found.st_dev || want.st_ino != found.st_ino)
		return err_set(e, ERR_INVALID, "mount %s: %s was replaced meanwhile",
		               m->target, name);
	if (S_ISBLK(found.st_mode) || S_ISCHR(found.st_mode) || S_ISLNK(found.st_mode))
		return err_set(e, ERR_INVALID,
		               "mount %s: %s is no directory, file or socket", m->target,
		               name);
	if (S_ISDIR(found.st_mode))
		flags |= ATTACH_RECURSIVE;
	s->trees[i] = mount_clone(fd, "", flags, e);
	return s->trees[i] < 0 ? err_wrap(e, "mount %s on %s", name, m->target) : 0;
}

int mounts_take_sources(struct setup *s, struct err *e)
{
	for (size_t i = 0; i < s->spec->n_mounts; i++)
		if (s->spec->mounts[i].kind == SANDBOX_BIND && take_source(s, i, e) < 0)
			return -1;
	return 0;
}

/* ramfs is never written to swap, and its one weakness, that it has no limit, needs
 * someone who may write. Over the upper directory: overlayfs holds on to that by itself.
 */
int mounts_stage(const struct setup *s, struct err *e)
{
	static const char *const options[] = { "mode", "0700", NULL };
	AUTO_CLOSE int tree = mount_new("ramfs", options, ATTACH_NOEXEC, e);
	AUTO_CLOSE int over = -1;
	int stage;

	if (tree < 0)
		return -1;
	over = open(s->spec->upper, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (over < 0)
		return err_sys(e, "open %s", s->spec->upper);
	if (mount_attach(tree, over, "a memory file system", e) < 0)
		return -1;
	if (mkdirat(tree, "empty", 0555) < 0)
		return err_sys(e, "make a directory in memory");
	stage = tree;
	tree = -1;
	return stage;
}

struct content {
	const char *target;
	const void *data;
	size_t len;
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

static int write_staged(int stage, const char *name, const struct content *c,
                        struct err *e)
{
	AUTO_CLOSE int fd =
		openat(stage, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, "make %s in memory", c->target);
	if (fd_write(fd, c->data, c->len, c->target, e) < 0)
		return -1;
	if (fchown(fd, c->uid, c->gid) < 0)
		return err_sys(e, "give %s to %u:%u", c->target, c->uid, c->gid);
	if (fchmod(fd, c->mode & 07777) < 0)
		return err_sys(e, "set the mode of %s", c->target);
	return 0;
}

static int put_file(const struct setup *s, int root, int stage, const struct content *c,
                    struct err *e)
{
	struct target t = target_of(s, root, TARGET_FILE);
	AUTO_CLOSE int target = target_open(&t, c->target, e);
	AUTO_CLOSE int tree = -1;

	if (target < 0 || write_staged(stage, "file", c, e) < 0)
		return -1;
	tree = mount_clone(stage, "file", ATTACH_READ_ONLY | ATTACH_NOEXEC, e);
	if (tree < 0 || mount_attach(tree, target, c->target, e) < 0)
		return -1;
	/* The name is free for the next one; the file lives on in its mount. */
	return unlinkat(stage, "file", 0) < 0 ? err_sys(e, "put %s in place", c->target)
	                                      : 0;
}

int mounts_files(const struct setup *s, int root, int stage, struct err *e)
{
	for (size_t i = 0; i < s->n_files; i++) {
		struct content c = {
			s->files[i].target, s->files[i].data, s->files[i].len, 0644, 0, 0
		};

		if (put_file(s, root, stage, &c, e) < 0)
			return -1;
	}
	return 0;
}

static int put_tmpfs(const struct setup *s, int root, const struct sandbox_mount *m,
                     struct err *e)
{
	struct target t = target_of(s, root, TARGET_DIRECTORY);
	AUTO_CLOSE int target = target_open(&t, m->target, e);
	AUTO_CLOSE int tree = -1;
	char size[24];
	const char *options[] = { "mode", "1777", m->size ? "size" : NULL, size, NULL };

	if (target < 0)
		return -1;
	snprintf(size, sizeof(size), "%lld", (long long)m->size);
	tree = mount_new("tmpfs", options, 0, e);
	return tree < 0 ? -1 : mount_attach(tree, target, m->target, e);
}

static int put_bind(const struct setup *s, int root, size_t i, struct err *e)
{
	const char *path = s->spec->mounts[i].target;
	struct target t = target_of(s, root, TARGET_FILE);
	AUTO_CLOSE int target = -1;
	struct stat st;

	if (fstat(s->trees[i], &st) < 0)
		return err_sys(e, "mount %s", path);
	if (S_ISDIR(st.st_mode))
		t.kind = TARGET_DIRECTORY;
	target = target_open(&t, path, e);
	return target < 0 ? -1 : mount_attach(s->trees[i], target, path, e);
}

static int put(const struct setup *s, int root, int stage, size_t i, struct err *e)
{
	const struct sandbox_mount *m = &s->spec->mounts[i];
	struct content c = { m->target, m->data, m->data_len, m->mode, m->uid, m->gid };

	switch (m->kind) {
	case SANDBOX_BIND: return put_bind(s, root, i, e);
	case SANDBOX_TMPFS: return put_tmpfs(s, root, m, e);
	case SANDBOX_FILE: return put_file(s, root, stage, &c, e);
	}
	return err_set(e, ERR_INVALID, "mount %s: of no known kind", m->target);
}

int mounts_user(const struct setup *s, int root, int stage, struct err *e)
{
	for (size_t i = 0; i < s->spec->n_mounts; i++)
		if (put(s, root, stage, i, e) < 0)
			return err_wrap(e, "mount %s", s->spec->mounts[i].target);
	return 0;
}

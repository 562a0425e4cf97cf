/* What the links among the deps of a host rule lead to. Its commands see through them, so
 * that is as much an input as the link itself. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "base/path.h"
#include "build/finder.h"
#include "os/fd.h"
#include "os/file.h"

static bool contains_path(const char *dir, const char *path)
{
	return !strcmp(dir, ".") || path_below(path, dir);
}

static bool is_taken(const struct finder *f, const char *dir)
{
	for (size_t i = 0; i < f->dirs.len; i++)
		if (contains_path(f->dirs.at[i], dir))
			return true;
	return false;
}

static bool is_named(const struct strings *sources, const char *path)
{
	bool named = false;

	for (size_t i = 0; i < sources->n && !named; i++) {
		AUTO_BUF clean = BUF_INIT;

		path_clean(&clean, sources->at[i]);
		named = !strcmp(clean.s, path);
	}
	return named;
}

/* `dir` is absolute. */
static int digest_directory(const struct finder *f, const char *dir, struct digest *out,
                            struct err *e)
{
	struct context there = { .dir = dir,
		                 .path = (char *)dir,
		                 .cache = f->context->cache,
		                 .pool = f->context->pool };
	struct strings all = { &(const char *){ "." }, 1 };
	AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct fileset *set;
	int rc;

	there.fd = fd;
	if (fd < 0)
		return err_sys(e, "open %s", dir);
	if (fileset_glob(&set, &there, &all, e) < 0)
		return err_wrap(e, "%s", dir);
	rc = fileset_hash(set, &there, e);
	if (rc == 0)
		fileset_digest(set, false, out);
	fileset_free(set);
	return rc < 0 ? err_wrap(e, "%s", dir) : 0;
}

static int digest_file(const struct finder *f, const char *path, struct digest *out,
                       struct err *e)
{
	AUTO_FREE char *dir = path_dir(path);
	struct context there = { .dir = dir, .path = dir, .cache = f->context->cache };
	AUTO_CLOSE int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	there.fd = fd;
	if (fd < 0)
		return err_sys(e, "open %s", dir);
	return file_digest(&there, path_base(path), out, e);
}

/* Of directories only if the link is named itself: others may lead to half a disk. What
 * we may not read, the commands may not read either. */
static int digest_outside(const struct finder *f, const char *path, bool named,
                          struct digest *out, struct err *e)
{
	AUTO(arena_fini) struct arena a = ARENA_INIT;
	AUTO_FREE char *real = realpath(context_path(f->context, path, &a), NULL);
	struct stat st;

	if (!real || stat(real, &st) < 0 || access(real, R_OK) < 0)
		return 0;
	if (S_ISDIR(st.st_mode))
		return named ? digest_directory(f, real, out, e) : 0;
	return S_ISREG(st.st_mode) ? digest_file(f, real, out, e) : 0;
}

static int follow(struct finder *f, struct project_file *link, bool named, struct err *e)
{
	AUTO_CLOSE int fd = file_open_beneath(f->context->fd, link->path, O_PATH, 0);
	AUTO_BUF real = BUF_INIT;
	struct stat st;

	if (fd < 0 && errno == EXDEV)
		return digest_outside(f, link->path, named, &link->digest, e);
	if (fd < 0)
		return 0; /* it leads nowhere: its text is all that there is */
	if (fstat(fd, &st) < 0)
		return err_sys(e, "open %s", link->path);
	f->source = link->path;
	if (finder_path(f, fd, &real, e) < 0)
		return -1;
	if (S_ISDIR(st.st_mode) ? is_taken(f, real.s) || contains_path(real.s, link->path)
	                        : !S_ISREG(st.st_mode))
		return 0;
	/* No rule is waited for because of a link, so what others make meanwhile would
	 * seem to change. */
	f->spare_outputs = !context_in_output(f->context, real.s);
	return finder_add(f, real.s, real.s, &st, e);
}

int finder_follow(struct finder *f, const struct strings *sources, struct err *e)
{
	AUTO(map_fini) struct map seen = MAP_INIT;
	int rc = 0;

	f->strip = 0;
	for (size_t i = 0; rc == 0 && i < f->set->files.len; i++) {
		struct project_file x = f->set->files.at[i]; /* they move as they grow */

		if (x.type != TOC_SYMLINK || map_get(&seen, x.path))
			continue;
		map_put(&seen, x.path, f);
		rc = follow(f, &x, is_named(sources, x.path), e);
		f->set->files.at[i].digest = x.digest;
	}
	return rc;
}

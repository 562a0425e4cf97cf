#include "recipe/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "base/pattern.h"
#include "os/fd.h"
#include "os/file.h"
#include "recipe/lockfile.h"

enum { DEPTH_MAX = 256 };

static bool is_root(const char *dir)
{
	static const char *const marks[] = { LOCKFILE_NAME, ".git" };

	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		AUTO_BUF path = BUF_INIT;

		path_join(&path, dir, marks[i]);
		if (access(path.s, F_OK) == 0)
			return true;
	}
	return false;
}

char *source_root(const char *dir)
{
	AUTO_FREE char *at = mem_strdup(dir);

	for (;;) {
		char *up;

		if (is_root(at))
			return STEAL(at);
		if (!strcmp(at, "/"))
			return mem_strdup(dir);
		up = path_dir(at);
		free(at);
		at = up;
	}
}

/* A path as recipes may write it: relative, and lexically beneath. */
static int check_beneath(const char *path, struct err *e)
{
	AUTO_BUF clean = BUF_INIT;

	if (!*path)
		return err_set(e, ERR_INVALID, "the path is empty");
	if (*path == '/')
		return err_set(e, ERR_INVALID, "%s: paths are relative to the Imagefile",
		               path);
	path_clean(&clean, path);
	if (path_escapes(clean.s))
		return err_set(e, ERR_INVALID, "%s is above the Imagefile's directory",
		               path);
	return 0;
}

int source_read(int dir, const char *path, struct buf *out, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (check_beneath(path, e) < 0)
		return -1;
	fd = file_open_beneath(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, "%s: no such file", path);
	if (fd < 0 && errno == EXDEV)
		return err_set(
			e, ERR_DENIED,
			"%s: a symbolic link leads out of the Imagefile's directory",
			path);
	if (fd < 0)
		return err_sys(e, "open %s", path);
	if (fstat(fd, &st) < 0)
		return err_sys(e, "stat %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INVALID, "%s is not a regular file", path);
	return fd_read_all(fd, out, SOURCE_FILE_MAX, path, e);
}

struct walk {
	const struct pattern *pattern;
	const struct strlist *hidden;
	struct strlist *out;
	struct buf path; /* of the entry looked at */
	int depth;
};

static bool is_hidden(const struct walk *w)
{
	for (size_t i = 0; i < w->hidden->len; i++)
		if (path_below(w->path.s, w->hidden->at[i]))
			return true;
	return false;
}

static int walk_directory(struct walk *w, int parent, const char *name, struct err *e);

/* `path` names the entry; `d` is its directory. */
static int walk_entry(struct walk *w, int d, const struct dirent *ent, struct err *e)
{
	struct stat st;
	bool directory = ent->d_type == DT_DIR;

	if (ent->d_type == DT_UNKNOWN) {
		if (fstatat(d, ent->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return errno == ENOENT ? 0 : err_sys(e, "stat %s", w->path.s);
		directory = S_ISDIR(st.st_mode);
	}
	if (is_hidden(w))
		return 0;
	if (pattern_match(w->pattern, w->path.s))
		strlist_add(w->out, w->path.s);
	if (directory && pattern_may_match_below(w->pattern, w->path.s))
		return walk_directory(w, d, ent->d_name, e);
	return 0;
}

static void close_directory(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int walk_directory(struct walk *w, int parent, const char *name, struct err *e)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO(close_directory) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	size_t len = w->path.len;
	struct dirent *ent;
	int rc = 0;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return err_sys(e, "list %s", len ? w->path.s : ".");
	}
	if (++w->depth > DEPTH_MAX)
		return err_set(e, ERR_LIMIT, "%s: directories deeper than %d", w->path.s,
		               DEPTH_MAX);
	while (rc == 0 && (errno = 0, ent = readdir(d))) {
		if (!strcmp(ent->d_name, ".") || !strcmp(ent->d_name, "..") ||
		    !strcmp(ent->d_name, ".git"))
			continue;
		if (len)
			buf_addc(&w->path, '/');
		buf_adds(&w->path, ent->d_name);
		rc = walk_entry(w, dirfd(d), ent, e);
		buf_truncate(&w->path, len);
	}
	if (rc == 0 && errno)
		rc = err_sys(e, "list %s", len ? w->path.s : ".");
	w->depth--;
	return rc;
}

static void free_pattern(struct pattern **p)
{
	if (*p)
		pattern_free(*p);
}

int source_glob(int dir, const char *pattern, const struct strlist *hidden,
                struct strlist *out, struct err *e)
{
	AUTO(free_pattern) struct pattern *p = NULL;
	struct walk w = { .hidden = hidden, .out = out, .path = BUF_INIT };
	int rc;

	if (check_beneath(pattern, e) < 0 || pattern_new(&p, pattern, e) < 0)
		return -1;
	w.pattern = p;
	rc = walk_directory(&w, dir, ".", e);
	buf_fini(&w.path);
	if (rc == 0)
		strlist_sort(out);
	return rc;
}

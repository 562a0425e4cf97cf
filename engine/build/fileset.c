#include "build/fileset.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/walk.h"

/* One collection under way. */
struct finder {
	struct fileset *set;
	const struct context *context;
	struct ignore *exclude; /* relative to the source directory */
	bool parents;
	size_t found;
	/* of the source being looked at: */
	const char *source;      /* as written, for messages */
	struct pattern *pattern; /* NULL: literal */
	size_t keep;             /* bytes of the path in front of what `dest` keeps */
	bool deep;               /* the pattern has `**` */
};

/* Outputs of host rules are sources even where the ignore file hides them. */
static bool ignored(const struct context *c, const char *path)
{
	if (!ignore_matches(c->ignore, path))
		return false;
	for (size_t i = 0; i < c->outputs.len; i++)
		if (path_below(path, c->outputs.at[i]) ||
		    path_below(c->outputs.at[i], path))
			return false;
	return true;
}

static bool skipped_directory(const struct context *c, const char *path)
{
	if (!ignore_skips_directory(c->ignore, path))
		return false;
	for (size_t i = 0; i < c->outputs.len; i++)
		if (path_below(path, c->outputs.at[i]) ||
		    path_below(c->outputs.at[i], path))
			return false;
	return true;
}

static int read_link(const struct context *c, const char *path, struct arena *a,
                     const char **out, struct err *e)
{
	AUTO_CLOSE int fd = file_open_beneath(c->fd, path, O_PATH | O_NOFOLLOW, 0);
	char text[PATH_MAX];
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", text, sizeof(text));

	if (n < 0)
		return err_sys(e, "read the link %s", path);
	if ((size_t)n >= sizeof(text))
		return err_set(e, ERR_LIMIT, "the link %s is too long", path);
	*out = arena_strndup(a, text, (size_t)n);
	return 0;
}

static int classify(struct finder *f, struct project_file *s, const struct stat *st,
                    struct err *e)
{
	s->mtime = st->st_mtim.tv_sec;
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		s->type = TOC_FILE;
		s->size = st->st_size;
		s->executable = (st->st_mode & 0111) != 0;
		if (st->st_nlink > 1) {
			s->dev = st->st_dev;
			s->ino = st->st_ino;
		}
		return 0;
	case S_IFDIR: s->type = TOC_DIR; return 0;
	case S_IFLNK:
		s->type = TOC_SYMLINK;
		return read_link(f->context, s->path, &f->set->arena, &s->link, e);
	default:
		return err_set(
			e, ERR_INVALID,
			"%s is a socket, FIFO or device, which an image cannot take from a "
			"project; exclude it in .imgmakeignore",
			s->path);
	}
}

static int add(struct finder *f, const char *path, const char *dest,
               const struct stat *st, struct err *e)
{
	struct project_file s = { .path = arena_strdup(&f->set->arena, path),
		                  .dest = arena_strdup(&f->set->arena, dest) };

	if (!strncmp(path_base(path), ".wh.", 4))
		return err_set(
			e, ERR_INVALID,
			"%s: a name that begins with .wh. would delete a file in the image; "
			"rename or exclude it",
			path);
	if (classify(f, &s, st, e) < 0)
		return -1;
	f->found++;
	vec_push(&f->set->files, s);
	return 0;
}

/* A walk below one directory of the context. */
struct walking {
	struct finder *f;
	const char *dir;
	/* Returns 1 to go into a directory, 0 not to, -1 to fail. */
	int (*visit)(struct finder *f, const char *path, const struct stat *st,
	             struct err *e);
	struct buf path; /* of the entry, relative to the context */
};

static const char *path_of(struct walking *w, const char *below)
{
	buf_reset(&w->path);
	if (strcmp(w->dir, ".") != 0)
		buf_addf(&w->path, "%s/", w->dir);
	buf_adds(&w->path, below);
	return w->path.s;
}

/* An ignored directory is entered all the same where an exception may bring something
 * below it back. */
static bool want(void *self, const char *below, bool is_dir)
{
	struct walking *w = self;
	const char *path = path_of(w, below);

	return !ignored(w->f->context, path) ||
	       (is_dir && !skipped_directory(w->f->context, path));
}

static enum walk_next visit_entry(void *self, const struct walk_entry *entry,
                                  struct err *e)
{
	struct walking *w = self;
	const char *path = path_of(w, entry->path);
	int into;

	if (ignored(w->f->context, path))
		return WALK_ON;
	into = w->visit(w->f, path, &entry->st, e);
	return into < 0 ? WALK_ERROR : into ? WALK_ON : WALK_SKIP;
}

/* Calls visit for everything below `dir` that the ignore file leaves, a directory before
 * its content. */
static int walk_below(struct finder *f, const char *dir,
                      int (*visit)(struct finder *f, const char *path,
                                   const struct stat *st, struct err *e),
                      struct err *e)
{
	struct walking w = { .f = f, .dir = dir, .visit = visit, .path = BUF_INIT };
	struct walk_options o = { .visit = visit_entry, .self = &w };
	AUTO_CLOSE int fd = file_open_beneath(f->context->fd, dir,
	                                      O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	int rc;

	if (fd < 0)
		return err_sys(e, "list %s", dir);
	if (f->context->ignore)
		o.want = want;
	rc = walk(fd, ".", &o, e);
	buf_fini(&w.path);
	return rc;
}

static int visit_all(struct finder *f, const char *path, const struct stat *st,
                     struct err *e)
{
	const char *below = path + f->keep;

	if (f->exclude && ignore_matches(f->exclude, below))
		return S_ISDIR(st->st_mode) ? !ignore_skips_directory(f->exclude, below)
		                            : 0;
	return add(f, path, f->parents ? path : below, st, e) < 0 ? -1 : 1;
}

/* A directory's content goes into `to`. */
static int add_directory(struct finder *f, const char *path, const struct stat *st,
                         struct err *e)
{
	size_t keep = strcmp(path, ".") ? strlen(path) + 1 : 0, before = f->keep;
	int rc = 0;

	f->keep = keep;
	f->found++;
	if (keep && f->parents)
		rc = add(f, path, path, st, e);
	else
		rc = add(f, path, ".", st, e);
	if (rc == 0)
		rc = walk_below(f, path, visit_all, e);
	f->keep = before;
	return rc;
}

static int visit_match(struct finder *f, const char *path, const struct stat *st,
                       struct err *e)
{
	bool is_dir = S_ISDIR(st->st_mode);

	if (!pattern_match(f->pattern, path) || (is_dir && f->deep))
		return is_dir && pattern_may_match_below(f->pattern, path);
	if (f->exclude &&
	    ignore_matches(f->exclude, f->deep ? path + f->keep : path_base(path)))
		return 0;
	if (is_dir)
		return add_directory(f, path, st, e) < 0 ? -1 : 0;
	if (f->parents)
		return add(f, path, path, st, e);
	return add(f, path, f->deep ? path + f->keep : path_base(path), st, e);
}

static int find_pattern(struct finder *f, const char *text, struct err *e)
{
	AUTO_FREE char *dir = mem_strndup(text, fileset_fixed_part(text));
	size_t before = f->found, n = strlen(dir);
	int rc;

	if (pattern_new(&f->pattern, text, e) < 0)
		return err_wrap(e, "%s", f->source);
	f->keep = n;
	f->deep = strstr(text, "**") != NULL;
	if (n)
		dir[n - 1] = '\0';
	rc = file_exists(f->context->fd, n ? dir : ".")
	             ? walk_below(f, n ? dir : ".", visit_match, e)
	             : 0;
	pattern_free(f->pattern);
	f->pattern = NULL;
	if (rc == 0 && f->found == before)
		return err_set(e, ERR_NOT_FOUND, "%s: nothing matches", f->source);
	return rc;
}

static int find_literal(struct finder *f, const char *path, struct err *e)
{
	AUTO_CLOSE int fd =
		file_open_beneath(f->context->fd, path, O_PATH | O_NOFOLLOW, 0);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(e, ERR_NOT_FOUND, "%s: no such file", f->source);
	if (fd < 0 && (errno == EXDEV || errno == ELOOP))
		return err_set(e, ERR_INVALID,
		               "%s leads out of the Imagefile's directory", f->source);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "open %s", path);
	if (strcmp(path, ".") && ignored(f->context, path) &&
	    !(S_ISDIR(st.st_mode) && !skipped_directory(f->context, path)))
		return err_set(e, ERR_NOT_FOUND, "%s is excluded by %s", f->source,
		               f->context->ignore_name);
	if (S_ISDIR(st.st_mode))
		return add_directory(f, path, &st, e);
	f->set->single = true; /* if it stays alone */
	return add(f, path, f->parents ? path : path_base(path), &st, e);
}

static int find_source(struct finder *f, const char *text, struct err *e)
{
	AUTO_BUF clean = BUF_INIT;

	f->source = text;
	path_clean(&clean, text);
	if (clean.s[0] == '/' || path_escapes(clean.s))
		return err_set(
			e, ERR_INVALID,
			"%s: sources are relative to the Imagefile's directory and stay in it",
			text);
	if (pattern_is_literal(clean.s))
		return find_literal(f, clean.s, e);
	return find_pattern(f, clean.s, e);
}

static int collect(struct fileset **out, struct finder *f, const struct strings *sources,
                   bool optional, struct err *e)
{
	struct fileset *set = mem_alloc(sizeof(*set));
	int rc = 0;

	f->set = set;
	for (size_t i = 0; rc == 0 && i < sources->n; i++) {
		rc = find_source(f, sources->at[i], e);
		if (rc < 0 && optional && e->code == ERR_NOT_FOUND)
			rc = 0;
	}
	set->single = set->single && sources->n == 1;
	if (rc == 0)
		rc = fileset_settle(set, e);
	if (rc < 0) {
		fileset_free(set);
		return -1;
	}
	*out = set;
	return 0;
}

int fileset_collect(struct fileset **out, const struct context *c,
                    const struct step_copy *copy, struct err *e)
{
	struct finder f = { .context = c, .parents = copy->parents };
	int rc;

	if (copy->exclude.n && ignore_from_list(&f.exclude, copy->exclude.at,
	                                        copy->exclude.n, "exclude", e) < 0)
		return -1;
	rc = collect(out, &f, &copy->sources, copy->optional, e);
	ignore_free(f.exclude);
	return rc;
}

int fileset_glob(struct fileset **out, const struct context *c,
                 const struct strings *patterns, struct err *e)
{
	struct finder f = { .context = c, .parents = true };

	return collect(out, &f, patterns, false, e);
}

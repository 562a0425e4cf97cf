#include "build/finder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/scan.h"
#include "recipe/lockfile.h"
#include "store/stat_cache.h"

/* A file that was found. */
struct found {
	const struct scan_entry *entry;
	const struct stat_dir *dir;    /* what is remembered of its directory */
	const struct stat_file *known; /* and of it; or NULL */
	const struct stat_place *place;
};

/* Outputs of host rules are sources even where the ignore file hides them. */
static bool ignored(const struct finder *f, const char *path)
{
	const struct context *c = f->context;

	if (f->sees_all || !ignore_matches(c->ignore, path))
		return false;
	for (size_t i = 0; i < c->outputs.len; i++)
		if (path_below(path, c->outputs.at[i]) ||
		    path_below(c->outputs.at[i], path))
			return false;
	return true;
}

static bool skipped_directory(const struct finder *f, const char *path)
{
	const struct context *c = f->context;

	if (f->sees_all || !ignore_skips_directory(c->ignore, path))
		return false;
	for (size_t i = 0; i < c->outputs.len; i++)
		if (path_below(path, c->outputs.at[i]) ||
		    path_below(c->outputs.at[i], path))
			return false;
	return true;
}

bool context_in_output(const struct context *c, const char *path)
{
	for (size_t i = 0; i < c->outputs.len; i++)
		if (path_below(path, c->outputs.at[i]))
			return true;
	return false;
}

static int read_link(struct finder *f, const char *path, const struct stat_place *place,
                     const char **out, struct err *e)
{
	AUTO_CLOSE int fd =
		file_open_beneath(f->context->fd, path, O_PATH | O_NOFOLLOW, 0);
	struct stat_news news = { .name = path_base(path) };
	char text[PATH_MAX];
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", text, sizeof(text));
	struct stat st;

	if (n < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "read the link %s", path);
	if ((size_t)n >= sizeof(text))
		return err_set(e, ERR_LIMIT, "the link %s is too long", path);
	*out = news.link = arena_strndup(&f->set->arena, text, (size_t)n);
	stamp_of(&news.stamp, &st);
	if (stat_cache_wants(f->context->cache, place, &news.stamp))
		stat_cache_learn(f->context->cache, place, &news);
	return 0;
}

static int classify(struct finder *f, struct project_file *s, const struct found *x,
                    struct err *e)
{
	const char *link = x->known ? stat_file_link(x->dir, x->known) : NULL;

	s->mtime = x->entry->mtime;
	switch (x->entry->mode & S_IFMT) {
	case S_IFREG:
		s->type = TOC_FILE;
		s->size = x->entry->stamp.size;
		s->executable = (x->entry->mode & 0111) != 0;
		s->known = x->known != NULL;
		if (s->known)
			s->digest = stat_file_digest(x->known);
		if (x->entry->linked) {
			s->dev = x->entry->stamp.dev;
			s->ino = x->entry->stamp.ino;
		}
		return 0;
	case S_IFDIR: s->type = TOC_DIR; return 0;
	case S_IFLNK:
		s->type = TOC_SYMLINK;
		if (!link)
			return read_link(f, s->path, x->place, &s->link, e);
		s->link = arena_strdup(&f->set->arena, link);
		return 0;
	default:
		return err_set(
			e, ERR_INVALID,
			"%s is a socket, FIFO or device, which an image cannot take from a "
			"project; exclude it in .imgmakeignore",
			s->path);
	}
}

static bool has_content(mode_t mode)
{
	return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode);
}

/* `dest` is the end of the path, or a text of its own. */
static int add(struct finder *f, const struct found *x, const char *dest, struct err *e)
{
	const char *path = x->entry->path;
	size_t n = strlen(path);
	struct project_file s = { .path = arena_strndup(&f->set->arena, path, n),
		                  .place = x->place };

	s.dest = dest >= path && dest <= path + n ? s.path + (dest - path)
	                                          : arena_strdup(&f->set->arena, dest);
	f->found++;
	if (f->of_rule && !has_content(x->entry->mode))
		return 0;
	if (!strncmp(x->entry->name, ".wh.", 4) && !f->of_rule)
		return err_set(
			e, ERR_INVALID,
			"%s: a name that begins with .wh. would delete a file in the image; "
			"rename or exclude it",
			path);
	if (classify(f, &s, x, e) < 0)
		return -1;
	vec_push(&f->set->files, s);
	return 0;
}

static void recall_dir(void *self, int fd, struct scan_dir *dir)
{
	const struct finder *f = self;
	struct stat_place at = { dir->dev, dir->ino, NULL };

	dir->note = stat_cache_dir(f->context->cache, fd, &at);
}

static void recall_file(void *self, const struct scan_dir *dir, struct scan_entry *entry)
{
	(void)self;
	entry->note = stat_dir_find(dir->note, entry->name, &entry->stamp);
}

/* Our own lock is only taken by who names it: it is written by the first build, which
 * would make the second one stale, and by each --lock=update. */
static bool is_own_lock(const struct context *c, const char *path)
{
	return !*c->dir && !strcmp(path, LOCKFILE_NAME);
}

/* An ignored directory is entered all the same where an exception may bring something
 * below it back. */
static unsigned choose_ignored(const struct finder *f, const char *path, bool is_dir)
{
	return is_dir && !skipped_directory(f, path) ? SCAN_ENTER : 0;
}

/* All below a directory that the ignore file leaves. */
static unsigned choose_all(const void *self, const char *path, bool is_dir)
{
	const struct finder *f = self;
	const char *below = path + f->keep;

	if (is_own_lock(f->context, path) ||
	    (f->spare_outputs && context_in_output(f->context, path)))
		return 0;
	if (ignored(f, path))
		return choose_ignored(f, path, is_dir);
	if (!f->exclude || !ignore_matches(f->exclude, below))
		return SCAN_TAKE | (is_dir ? SCAN_ENTER : 0);
	return is_dir && !ignore_skips_directory(f->exclude, below) ? SCAN_ENTER : 0;
}

/* What matches a pattern. */
static unsigned choose_match(const void *self, const char *path, bool is_dir)
{
	const struct finder *f = self;

	if (is_own_lock(f->context, path))
		return 0;
	if (ignored(f, path))
		return choose_ignored(f, path, is_dir);
	if (!pattern_match(f->pattern, path) || (is_dir && f->deep))
		return is_dir && pattern_may_match_below(f->pattern, path) ? SCAN_ENTER
		                                                           : 0;
	if (f->exclude &&
	    ignore_matches(f->exclude, f->deep ? path + f->keep : path_base(path)))
		return 0;
	return SCAN_TAKE;
}

/* Where its files would be remembered; of many files one after another the same. */
static const struct stat_place *place_of(struct finder *f, const struct scan_dir *d)
{
	struct stat_place *at;

	if (f->dir == d)
		return f->place;
	at = arena_alloc(&f->set->arena, sizeof(*at));
	*at = (struct stat_place){ d->dev, d->ino,
		                   context_path(f->context, d->path, &f->set->arena) };
	f->dir = d;
	f->place = at;
	return at;
}

/* Where in a directory a walk is. */
struct step_down {
	const struct scan_dir *d;
	size_t next;
};

/* Calls take for what was chosen below `d`, a directory before its content. */
static int take_all(struct finder *f, const struct scan_dir *d,
                    int (*take)(struct finder *f, const struct found *x, struct err *e),
                    struct err *e)
{
	VEC(struct step_down) levels = { 0 };
	struct step_down first = { d, 0 };
	int rc = 0;

	vec_push(&levels, first);
	while (rc == 0 && levels.len) {
		struct step_down *l = &levels.at[levels.len - 1];
		const struct scan_entry *entry = &l->d->at[l->next];
		struct found x = { .entry = entry };
		struct step_down below = { .next = 0 };

		if (l->next++ == l->d->n) {
			levels.len--;
			continue;
		}
		if (entry->taken) {
			x.dir = l->d->note;
			x.known = entry->note;
			x.place = x.known ? NULL : place_of(f, l->d);
			rc = take(f, &x, e);
		}
		below.d = entry->below;
		if (below.d)
			vec_push(&levels, below);
	}
	vec_fini(&levels);
	return rc;
}

static int scan_below(struct finder *f, const char *dir,
                      unsigned (*choose)(const void *self, const char *path, bool is_dir),
                      int (*take)(struct finder *f, const struct found *x, struct err *e),
                      struct err *e)
{
	struct scan_options o = { .choose = choose,
		                  .open = recall_dir,
		                  .look = recall_file,
		                  .self = f,
		                  .pool = f->context->pool };
	struct scan_dir *d;
	int rc;

	if (scan(&d, f->context->fd, dir, &o, e) < 0)
		return -1;
	rc = take_all(f, d, take, e);
	f->dir = NULL;
	scan_free(d);
	return rc;
}

static int take_below(struct finder *f, const struct found *x, struct err *e)
{
	const char *path = x->entry->path;

	return add(f, x, f->parents ? path + f->strip : path + f->keep, e);
}

/* A directory's content goes into `to`. */
static int add_directory(struct finder *f, const struct found *x, struct err *e)
{
	const char *path = x->entry->path;
	size_t keep = strcmp(path, ".") ? strlen(path) + 1 : 0, before = f->keep;
	int rc;

	f->keep = keep;
	f->found++;
	if (f->of_rule)
		strlist_add(&f->dirs, path);
	rc = add(f, x, keep > f->strip && f->parents ? path + f->strip : ".", e);
	if (rc == 0)
		rc = scan_below(f, path, choose_all, take_below, e);
	f->keep = before;
	return rc;
}

int finder_add(struct finder *f, const char *path, const char *dest,
               const struct stat *st, struct err *e)
{
	struct scan_entry entry = { .path = path,
		                    .name = path_base(path),
		                    .mtime = st->st_mtim.tv_sec,
		                    .mode = st->st_mode,
		                    .linked = S_ISREG(st->st_mode) && st->st_nlink > 1 };
	struct found x = { .entry = &entry };
	struct stat_place *place = arena_alloc(&f->set->arena, sizeof(*place));

	stamp_of(&entry.stamp, st);
	if (S_ISDIR(st->st_mode))
		return add_directory(f, &x, e);
	if (!context_recall(f->context, path, &f->set->arena, place, &x.dir))
		return err_sys(e, "open %s", path);
	x.place = place;
	x.known = stat_dir_find(x.dir, entry.name, &entry.stamp);
	return add(f, &x, dest, e);
}

/* A file that is named itself. */
static int add_named(struct finder *f, const char *path, const struct stat *st,
                     struct err *e)
{
	if (!S_ISDIR(st->st_mode))
		f->set->single = true; /* if it stays alone */
	return finder_add(f, path, f->parents ? path + f->strip : path_base(path), st, e);
}

int finder_path(const struct finder *f, int fd, struct buf *out, struct err *e)
{
	AUTO_FREE char *top = realpath(f->context->path, NULL);
	char link[64], text[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, text, sizeof(text) - 1);
	if (!top || n < 0)
		return err_sys(e, "follow the link %s", f->source);
	text[n] = '\0';
	if (!strcmp(text, top))
		buf_adds(out, ".");
	else if (path_below(text, top))
		buf_adds(out, text + strlen(top) + 1);
	else
		return err_set(e, ERR_INVALID, "%s leads out of the context", f->source);
	return 0;
}

/* A link that a pattern matches is what it leads to, under the link's name, as Docker has
 * it. */
static int take_followed(struct finder *f, const char *path, struct err *e)
{
	AUTO_CLOSE int fd = file_open_beneath(f->context->fd, path, O_PATH, 0);
	AUTO_BUF real = BUF_INIT;
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, "%s: the link leads nowhere", path);
	if (fd < 0 && (errno == EXDEV || errno == ELOOP))
		return err_set(e, ERR_INVALID,
		               "%s leads out of the Imagefile's directory", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "open %s", path);
	if (finder_path(f, fd, &real, e) < 0)
		return -1;
	return finder_add(f, real.s, path_base(path), &st, e);
}

static int take_match(struct finder *f, const struct found *x, struct err *e)
{
	const char *path = x->entry->path;

	if (S_ISDIR(x->entry->mode))
		return add_directory(f, x, e);
	if (S_ISLNK(x->entry->mode) && f->as_docker && !f->parents && !f->deep)
		return take_followed(f, path, e);
	if (f->parents)
		return add(f, x, path + f->strip, e);
	return add(f, x, f->deep ? path + f->keep : x->entry->name, e);
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
	             ? scan_below(f, n ? dir : ".", choose_match, take_match, e)
	             : 0;
	pattern_free(f->pattern);
	f->pattern = NULL;
	if (rc == 0 && f->found == before && !f->as_docker)
		return err_set(e, ERR_NOT_FOUND, "%s: nothing matches", f->source);
	if (f->as_docker && f->found == before + 1 && !f->parents)
		f->set->single = true;
	return rc;
}

static int find_literal(struct finder *f, const char *path, struct err *e)
{
	AUTO_CLOSE int fd = file_open_beneath(
		f->context->fd, path, f->as_docker ? O_PATH : O_PATH | O_NOFOLLOW, 0);
	AUTO_BUF real = BUF_INIT;
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(e, ERR_NOT_FOUND, "%s: no such file", f->source);
	if (fd < 0 && (errno == EXDEV || errno == ELOOP))
		return err_set(e, ERR_INVALID,
		               "%s leads out of the Imagefile's directory", f->source);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "open %s", path);
	if (strcmp(path, ".") && ignored(f, path) &&
	    !(S_ISDIR(st.st_mode) && !skipped_directory(f, path)))
		return err_set(e, ERR_NOT_FOUND, "%s is excluded by %s", f->source,
		               f->context->ignore_name);
	if (f->as_docker && finder_path(f, fd, &real, e) < 0)
		return -1;
	return add_named(f, f->as_docker && !f->parents ? real.s : path, &st, e);
}

/* "a/./b/c" keeps "b/c". */
static void find_pivot(struct finder *f, const char *text)
{
	const char *pivot = f->parents ? strstr(text, "/./") : NULL;
	AUTO_FREE char *before = NULL;
	AUTO_BUF clean = BUF_INIT;

	f->strip = 0;
	if (!pivot)
		return;
	before = mem_strndup(text, (size_t)(pivot - text));
	path_clean(&clean, before + strspn(before, "/"));
	f->strip = strcmp(clean.s, ".") ? clean.len + 1 : 0;
}

static int find_source(struct finder *f, const char *text, struct err *e)
{
	AUTO_BUF clean = BUF_INIT;

	f->source = text;
	find_pivot(f, text);
	path_clean(&clean, f->as_docker ? text + strspn(text, "/") : text);
	if (f->as_docker && !clean.len)
		buf_adds(&clean, ".");
	/* The project as a whole is what the ignore file leaves of it. */
	f->sees_all = f->of_rule && strcmp(clean.s, ".") != 0;
	if (clean.s[0] == '/' || path_escapes(clean.s))
		return err_set(
			e, ERR_INVALID,
			"%s: sources are relative to the Imagefile's directory and stay in it",
			text);
	if (f->named || pattern_is_literal(clean.s))
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
	if (rc == 0 && f->of_rule)
		rc = finder_follow(f, sources, e);
	strlist_fini(&f->dirs);
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
	struct finder f = { .context = c,
		            .parents = copy->parents,
		            .as_docker = copy->as_docker };
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
	struct finder f = { .context = c, .parents = true, .of_rule = true };

	return collect(out, &f, patterns, false, e);
}

int fileset_made(struct fileset **out, const struct context *c, const char *path,
                 struct err *e)
{
	struct finder f = {
		.context = c, .parents = true, .named = true, .of_rule = true
	};

	return collect(out, &f, &(struct strings){ &path, 1 }, false, e);
}

int fileset_named(struct fileset **out, const struct context *c, const char *path,
                  struct err *e)
{
	struct finder f = { .context = c, .parents = true, .named = true };

	return collect(out, &f, &(struct strings){ &path, 1 }, false, e);
}

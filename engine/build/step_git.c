/* Repositories of git: which commit, and its files in an image. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "build/git.h"
#include "build/work.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/walk.h"

/* --- Which commit ----------------------------------------------------------------------
 */

/* What another copy of the lock may have been given by hand. */
static int check_locked(const struct git_commit *c, const char *name, struct err *e)
{
	if (git_is_hash(c->hash) && (!*c->tag || git_is_hash(c->tag)))
		return 1;
	return err_set(e, ERR_INVALID, "Imagefile.lock: '%s': no commit's full hash",
	               name);
}

static int find_locked(struct node *n, const char *name, struct git_commit *out,
                       struct err *e)
{
	const char *hash = "", *tag = "", *ref = "";
	struct build *b = n->build;
	int found = 0;

	pthread_mutex_lock(&b->lock);
	if (!b->o.lock_update || map_get(&b->resolved, name)) {
		found = lockfile_get_text(b->o.lock, LOCK_GIT, name, "commit", &hash, e);
		if (found > 0)
			found = lockfile_get_text(b->o.lock, LOCK_GIT, name, "tag", &tag,
			                          e);
		if (found > 0)
			found = lockfile_get_text(b->o.lock, LOCK_GIT, name, "ref", &ref,
			                          e);
	}
	if (found > 0) {
		snprintf(out->hash, sizeof(out->hash), "%s", hash);
		snprintf(out->tag, sizeof(out->tag), "%s", tag);
		out->name = arena_strdup(&n->arena, ref);
	}
	pthread_mutex_unlock(&b->lock);
	return found > 0 ? check_locked(out, name, e) : found;
}

/* Two images may ask for one name at once, just while it moves: the first answer is
 * everybody's. */
static void keep_locked(struct build *b, const char *name, const struct git_commit *c)
{
	pthread_mutex_lock(&b->lock);
	if (!map_get(&b->resolved, name)) {
		lockfile_set_text(b->o.lock, LOCK_GIT, name, "commit", c->hash);
		lockfile_set_text(b->o.lock, LOCK_GIT, name, "ref", c->name);
		lockfile_set_text(b->o.lock, LOCK_GIT, name, "tag",
		                  *c->tag ? c->tag : NULL);
		map_put(&b->resolved, name, b);
	}
	pthread_mutex_unlock(&b->lock);
}

static int ask(struct node *n, const struct step_git *s, const char *name,
               struct git_commit *out, struct err *e)
{
	struct build *b = n->build;

	if (b->o.lock_strict)
		return err_set(
			e, ERR_INVALID,
			"%s is not in Imagefile.lock; give commit =, or build once "
			"without --lock=strict and commit the lock file",
			name);
	if (git_resolve(b, s, &n->arena, out, e) < 0)
		return -1;
	keep_locked(b, name, out);
	return find_locked(n, name, out, e) < 0 ? -1 : 0;
}

int git_plan(struct node *n, const struct step_git *s, struct git_commit *out,
             struct err *e)
{
	bool exact = git_is_hash(s->ref);
	const char *hash = exact && !*s->commit ? s->ref : s->commit, *name;
	int found;

	*out = (struct git_commit){ .name = "" };
	if (*hash && !git_is_hash(hash))
		return err_set(e, ERR_INVALID,
		               "%s: '%s' is no commit: write all the digits of its hash",
		               s->url, hash);
	/* A .git also says what the ref is. */
	if (*hash && !(s->keep_dir && *s->ref && !exact)) {
		strcpy(out->hash, hash);
		return 0;
	}
	name = arena_printf(&n->arena, "%s%s%s", s->url, *s->ref ? "#" : "", s->ref);
	found = find_locked(n, name, out, e);
	if (found < 0 || (!found && ask(n, s, name, out, e) < 0))
		return -1;
	if (*hash && strcmp(hash, out->hash) != 0)
		return err_set(e, ERR_CORRUPT,
		               "%s is the commit %s, but the recipe says %s", name,
		               out->hash, hash);
	return 0;
}

/* --- Its files -------------------------------------------------------------------------
 */

struct taking {
	struct work *w;
	struct fileset *set;
	struct ignore *exclude;
	bool keep_dir;
	char *chunk;
};

enum { CHUNK = 64 * 1024 };

static bool is_wanted(void *self, const char *path, bool is_dir)
{
	const struct taking *t = self;

	if (!t->keep_dir && !strcmp(path, ".git"))
		return false;
	if (!t->exclude || !ignore_matches(t->exclude, path))
		return true;
	return is_dir && !ignore_skips_directory(t->exclude, path);
}

static int take_content(struct taking *t, const struct walk_entry *x,
                        struct project_file *f, struct err *e)
{
	AUTO_CLOSE int fd = openat(x->dir, x->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct hasher h;
	ssize_t n;

	if (fd < 0)
		return err_sys(e, "open %s", x->path);
	f->offset = t->w->spool.size;
	hasher_init(&h);
	while ((n = fd_read(fd, t->chunk, CHUNK, x->path, e)) > 0) {
		if (spool_write(&t->w->spool, t->chunk, (size_t)n, e) < 0)
			return -1;
		hasher_add(&h, t->chunk, (size_t)n);
	}
	if (n < 0)
		return -1;
	hasher_end(&h, &f->digest);
	f->size = t->w->spool.size - f->offset;
	return 0;
}

static int take_link(struct taking *t, const struct walk_entry *x, struct project_file *f,
                     struct err *e)
{
	ssize_t n = readlinkat(x->dir, x->name, t->chunk, CHUNK);

	if (n < 0)
		return err_sys(e, "read the link %s", x->path);
	f->link = arena_strndup(&t->set->arena, t->chunk, (size_t)n);
	return 0;
}

static int take(struct taking *t, const struct walk_entry *x, struct err *e)
{
	struct toc_entry *own = arena_alloc(&t->set->arena, sizeof(*own));
	struct project_file f = { .entry = own };
	int rc = 0;

	f.path = f.dest = arena_strdup(&t->set->arena, x->path);
	if (!strncmp(x->name, ".wh.", 4))
		return err_set(
			e, ERR_INVALID,
			"%s: a name that begins with .wh. would delete a file in the "
			"image",
			x->path);
	*own = (struct toc_entry){ .path = f.path,
		                   .mode = x->st.st_mode & 0100 ? 0755 : 0644 };
	f.type = S_ISDIR(x->st.st_mode)   ? TOC_DIR
	         : S_ISLNK(x->st.st_mode) ? TOC_SYMLINK
	                                  : TOC_FILE;
	if (f.type == TOC_FILE)
		rc = take_content(t, x, &f, e);
	else if (f.type == TOC_SYMLINK)
		rc = take_link(t, x, &f, e);
	own->type = f.type;
	own->size = f.size;
	own->link = f.link;
	if (rc == 0)
		vec_push(&t->set->files, f);
	return rc;
}

static enum walk_next visit(void *self, const struct walk_entry *x, struct err *e)
{
	struct taking *t = self;

	if (t->exclude && ignore_matches(t->exclude, x->path))
		return WALK_ON; /* a directory, for what an exception brings back */
	return take(t, x, e) < 0 ? WALK_ERROR : WALK_ON;
}

/* The directory whose content is wanted; no link leads out of the repository. */
static int open_subdir(const struct work *w, const char *dir, const struct step_git *s,
                       struct err *e)
{
	AUTO_BUF path = BUF_INIT;
	int tree, fd;

	buf_addf(&path, "%s/tree", dir);
	tree = file_open_beneath(w->node->build->o.store->dir, path.s,
	                         O_RDONLY | O_DIRECTORY, 0);
	if (tree < 0 || !*s->subdir)
		return tree < 0 ? err_sys(e, "open %s", path.s) : tree;
	fd = file_open_beneath(tree, s->subdir, O_RDONLY | O_DIRECTORY, 0);
	close(tree);
	if (fd < 0)
		return err_set(e, ERR_NOT_FOUND, "%s has no directory %s", s->url,
		               s->subdir);
	return fd;
}

/* What makes `to` a directory of an empty repository. */
static void add_top(struct fileset *set)
{
	struct toc_entry *own = arena_alloc(&set->arena, sizeof(*own));
	struct project_file f = {
		.path = ".", .dest = ".", .type = TOC_DIR, .entry = own
	};

	*own = (struct toc_entry){ .path = ".", .type = TOC_DIR, .mode = 0755 };
	vec_push(&set->files, f);
}

static int collect(struct work *w, const char *dir, const struct step_git *s,
                   struct fileset *set, struct err *e)
{
	struct taking t = { .w = w, .set = set, .keep_dir = s->keep_dir && !*s->subdir };
	struct walk_options o = { .visit = visit, .want = is_wanted, .self = &t };
	AUTO_CLOSE int fd = open_subdir(w, dir, s, e);
	int rc;

	if (fd < 0 || (s->exclude.n && ignore_from_list(&t.exclude, s->exclude.at,
	                                                s->exclude.n, "exclude", e) < 0))
		return -1;
	add_top(set);
	t.chunk = mem_alloc(CHUNK);
	rc = walk(fd, ".", &o, e);
	free(t.chunk);
	ignore_free(t.exclude);
	return rc < 0 ? err_wrap(e, "%s", s->url) : fileset_settle(set, e);
}

int work_git(struct work *w, const struct step_git *s, const struct step_plan *p,
             struct err *e)
{
	struct placing placing = { .to = s->to,
		                   .mode = s->mode,
		                   .dir_mode = s->mode,
		                   .chmod = s->chmod,
		                   .dir_chmod = s->chmod,
		                   .below_to = true,
		                   .owner = s->owner };
	struct build *b = w->node->build;
	struct fileset *set = mem_alloc(sizeof(*set));
	AUTO_BUF dir = BUF_INIT;
	struct err other;
	int rc;

	vec_push(&w->sets, set);
	rc = git_check_out(b, s, p->git, &dir, e);
	if (rc == 0)
		rc = collect(w, dir.s, s, set, e);
	if (file_remove_tree(b->o.store->dir, dir.s, rc < 0 ? &other : e) < 0 || rc < 0)
		return -1;
	placing.spool = w->spool.fd;
	return work_place(w, set, &placing, e);
}

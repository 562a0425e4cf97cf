/* Where copied files go, and with which metadata. */
#include <string.h>

#include "base/mode.h"
#include "base/path.h"
#include "build/work.h"

/* One placing under way. */
struct place_work {
	struct work *w;
	const struct placing *p;
	struct fileset *set;
	struct owner owner; /* where one was given */
	const char *base; /* resolved `to`: a directory, or the name of the single file */
	bool base_exists;
	bool rename;     /* the single file is to be called `base` */
	struct map dirs; /* dest of a directory → resolved path */
	/* Files come directory by directory: the last one's dest up to its name, and what
	 * that has become. */
	const char *near, *near_path;
	size_t near_len;
};

static bool asks_for_directory(const char *to)
{
	const char *last = path_base(to);

	return !*last || !strcmp(last, ".") || !strcmp(last, "..");
}

static int find_base(struct place_work *pw, struct err *e)
{
	const struct toc_entry *entry = NULL;
	AUTO_BUF at = BUF_INIT;
	bool single = pw->set->single && pw->set->files.len == 1 &&
	              pw->set->files.at[0].type != TOC_DIR;
	bool is_dir;

	if (work_resolve(pw->w, pw->p->to, true, &at, &entry, e) < 0)
		return -1;
	is_dir = !at.len || (entry && entry->type == TOC_DIR);
	pw->base = work_keep(pw->w, at.s);
	pw->base_exists = is_dir;
	pw->rename = single && !is_dir && !asks_for_directory(pw->p->to);
	if (!pw->rename && entry && !is_dir)
		return err_set(e, ERR_INVALID,
		               "/%s is a file in the image, not a directory", at.s);
	return 0;
}

/* The resolved path of a directory of the set; links of the image on the way are
 * followed. */
static int resolve_dir(struct place_work *pw, const char *dest, const char **out,
                       struct err *e)
{
	AUTO_BUF whole = BUF_INIT, at = BUF_INIT;

	*out = map_get(&pw->dirs, dest);
	if (*out)
		return 0;
	buf_addf(&whole, "/%s/%s", pw->base, dest);
	if (tree_resolve(&pw->w->tree, whole.s, true, &at, NULL, e) < 0)
		return -1;
	*out = work_keep(pw->w, at.s);
	map_put(&pw->dirs, dest, (void *)*out);
	return 0;
}

/* For what is in the same directory as `dest`, the `n` bytes in front of its name. */
static int go_near(struct place_work *pw, const char *dest, size_t n, struct err *e)
{
	AUTO_FREE char *dir = NULL;
	const char *parent;

	if (pw->near && pw->near_len == n && !strncmp(pw->near, dest, n))
		return 0;
	dir = path_dir(dest);
	if (resolve_dir(pw, dir, &parent, e) < 0)
		return -1;
	pw->near = dest;
	pw->near_len = n;
	pw->near_path = arena_concat(&pw->w->arena, parent, *parent ? "/" : "");
	return 0;
}

static int path_for(struct place_work *pw, const char *dest, bool is_dir,
                    const char **out, struct err *e)
{
	const char *name = path_base(dest);

	if (pw->rename) {
		*out = pw->base;
		return 0;
	}
	if (is_dir)
		return resolve_dir(pw, dest, out, e);
	if (go_near(pw, dest, (size_t)(name - dest), e) < 0)
		return -1;
	*out = arena_concat(&pw->w->arena, pw->near_path, name);
	return 0;
}

/* What is given by a number or in letters, which evaluation has checked. */
static uint32_t changed_mode(int number, const char *letters, bool is_dir, uint32_t own)
{
	uint32_t out = own;

	if (number >= 0)
		return (uint32_t)number;
	if (letters && *letters && mode_change(letters, own, is_dir, &out) < 0)
		return own;
	return out;
}

static uint32_t new_dir_mode(const struct place_work *pw)
{
	return changed_mode(pw->p->dir_mode, pw->p->dir_chmod, true, 0755);
}

/* A directory that nobody copied: `to`, and what is above it. */
static void set_made_directory(const struct place_work *pw, struct toc_entry *x)
{
	x->mode = pw->p->below_to ? 0755 : new_dir_mode(pw);
	x->uid = pw->owner.uid; /* 0:0 where none was given */
	x->gid = pw->owner.gid;
}

/* Makes the directory that the files go into, if there is none: it and those above it are
 * not the source's. */
static int make_base(struct place_work *pw, struct err *e)
{
	struct toc_view v = tree_view(&pw->w->tree);
	AUTO_FREE char *parent = path_dir(pw->base);
	const char *dir = pw->rename ? parent : pw->base;
	struct toc_entry x = { .type = TOC_DIR,
		               .mtime = build_epoch(pw->w->node->build) };

	if (!*dir || !strcmp(dir, ".") || toc_view_find(&v, dir, NULL))
		return 0;
	x.path = work_keep(pw->w, dir);
	set_made_directory(pw, &x);
	return tree_put(&pw->w->tree, &x, NULL, x.mode, e);
}

static void set_owner(struct place_work *pw, struct toc_entry *x,
                      const struct toc_entry *own)
{
	if (*pw->p->owner || !own) {
		x->uid = pw->owner.uid;
		x->gid = pw->owner.gid;
	} else {
		x->uid = own->uid;
		x->gid = own->gid;
	}
}

/* A directory that the image has keeps what it is: a project's modes and owners say
 * nothing. What comes from an image or an archive does. */
static void set_directory(struct place_work *pw, struct toc_entry *x,
                          const struct project_file *f, const struct toc_entry *old)
{
	const struct toc_entry *own = f->entry ? f->entry : old;

	x->mode = changed_mode(pw->p->dir_mode, pw->p->dir_chmod, true,
	                       own ? own->mode : 0755);
	set_owner(pw, x, own);
	if (own) {
		x->xattrs = own->xattrs;
		x->n_xattrs = own->n_xattrs;
	}
}

static void set_file(struct place_work *pw, struct toc_entry *x,
                     const struct project_file *f)
{
	struct toc_xattr *cap;

	x->size = f->size;
	x->digest = f->digest;
	x->link = f->link;
	set_owner(pw, x, f->entry);
	if (f->entry) {
		x->mode = f->entry->mode;
		x->xattrs = f->entry->xattrs;
		x->n_xattrs = f->entry->n_xattrs;
		x->dev_major = f->entry->dev_major;
		x->dev_minor = f->entry->dev_minor;
	} else {
		x->mode = f->executable ? 0755 : 0644;
	}
	x->mode = changed_mode(pw->p->mode, pw->p->chmod, false, x->mode);
	if (f->type == TOC_SYMLINK)
		x->mode = 0777;
	if (f->capability) {
		cap = arena_alloc(&pw->w->arena, sizeof(*cap));
		*cap = (struct toc_xattr){ "security.capability", f->capability,
			                   f->capability_size };
		x->xattrs = cap;
		x->n_xattrs = 1;
	}
}

static struct content content_of(const struct place_work *pw,
                                 const struct project_file *f)
{
	if (f->type != TOC_FILE)
		return (struct content){ .kind = CONTENT_NONE };
	if (!f->entry)
		return (struct content){ .kind = CONTENT_PATH,
			                 .fd = pw->w->node->context->fd,
			                 .path = f->path };
	if (!pw->p->from)
		return (struct content){ .kind = CONTENT_FD,
			                 .fd = pw->p->spool,
			                 .offset = f->offset };
	return (struct content){ .kind = CONTENT_NONE };
}

static int put_file(struct place_work *pw, const struct project_file *name, struct err *e)
{
	const struct project_file *f = fileset_first_name(pw->set, name);
	struct toc_entry x = { .type = f->type };
	struct content c = content_of(pw, f);
	struct pending later = { .from = pw->p->from, .layer = f->layer };

	if (path_for(pw, name->dest, false, &x.path, e) < 0)
		return -1;
	set_file(pw, &x, f);
	x.mtime =
		work_mtime(pw->w, pw->p->mtime, pw->p->mtime_value, &f->digest, f->mtime);
	if (tree_put(&pw->w->tree, &x, &c, new_dir_mode(pw), e) < 0)
		return -1;
	later.to = tree_own(&pw->w->tree, x.path);
	later.to->inode = f->type == TOC_FILE && f->ino ? f : NULL;
	if (f->type == TOC_FILE && f->entry && pw->p->from) {
		later.in = &pw->p->from->result;
		later.source = f->entry->path;
		vec_push(&pw->w->pending, later);
	}
	return 0;
}

static int put_directory(struct place_work *pw, const struct project_file *f,
                         struct err *e)
{
	struct toc_view v = tree_view(&pw->w->tree);
	const struct toc_entry *old;
	struct toc_entry x = { .type = TOC_DIR };

	if (path_for(pw, f->dest, true, &x.path, e) < 0)
		return -1;
	/* `to` itself, where it exists, is not the source directory: it keeps what it is.
	 */
	if (!*x.path || (pw->base_exists && !strcmp(f->dest, ".")))
		return 0;
	old = toc_view_find(&v, x.path, NULL);
	if (!strcmp(f->dest, "."))
		set_made_directory(pw, &x);
	else
		set_directory(pw, &x, f, old && old->type == TOC_DIR ? old : NULL);
	x.mtime = work_mtime(pw->w,
	                     pw->p->mtime == MTIME_CONTENT ? MTIME_FIXED : pw->p->mtime,
	                     pw->p->mtime_value, &f->digest, f->mtime);
	return tree_put(&pw->w->tree, &x, NULL, new_dir_mode(pw), e);
}

int work_place(struct work *w, struct fileset *set, const struct placing *p,
               struct err *e)
{
	struct place_work pw = { .w = w, .p = p, .set = set, .dirs = MAP_INIT };
	int rc = work_owner(w, p->owner, &pw.owner, e);

	if (rc == 0)
		rc = find_base(&pw, e);
	if (rc == 0 && set->files.len)
		rc = make_base(&pw, e);
	for (size_t i = 0; rc == 0 && i < set->files.len; i++)
		rc = set->files.at[i].type == TOC_DIR
		             ? put_directory(&pw, &set->files.at[i], e)
		             : put_file(&pw, &set->files.at[i], e);
	map_fini(&pw.dirs);
	return rc;
}

int work_copy(struct work *w, const struct step_copy *c, const struct step_plan *p,
              struct err *e)
{
	struct placing placing = { .to = c->to,
		                   .mode = c->mode,
		                   .dir_mode = c->dir_mode,
		                   .chmod = c->chmod,
		                   .dir_chmod = c->dir_chmod,
		                   .owner = c->owner,
		                   .below_to = c->as_docker,
		                   .mtime = c->mtime,
		                   .mtime_value = c->mtime_value };
	AUTO_FREE const struct toc **tocs = NULL;
	struct fileset *set;
	struct toc_view v;

	if (!c->from)
		return work_place(w, p->files, &placing, e);
	placing.from = node_of(w->node, c->from);
	if (node_tocs(placing.from, &placing.from->result, &tocs, e) < 0)
		return -1;
	v = (struct toc_view){ tocs, placing.from->result.layers.len };
	if (fileset_collect_image(&set, &v, c, e) < 0)
		return -1;
	vec_push(&w->sets, set);
	return work_place(w, set, &placing, e);
}

/* What a copy names in another image: found in its tables of contents, nothing is
 * unpacked. */
#include <string.h>

#include "base/path.h"
#include "build/extract.h"
#include "build/fileset.h"

struct image_finder {
	struct fileset *set;
	const struct toc_view *view;
	struct ignore *exclude;
	struct pattern *pattern;
	bool parents, deep, as_docker;
	size_t strip;          /* with parents: bytes of the path that are left off */
	size_t keep;           /* as in fileset.c */
	const char *dest_root; /* where the directory being added goes; "." is `to` itself
	                        */
	const char *skip;      /* a directory that was excluded, or added whole; NULL */
	size_t found;
};

static int add(struct image_finder *f, const struct toc_entry *entry, size_t layer,
               const char *dest)
{
	struct project_file x = { .path = entry->path,
		                  .type = entry->type,
		                  .mtime = entry->mtime,
		                  .entry = entry,
		                  .layer = layer,
		                  .offset = -1 };

	switch (entry->type) {
	case TOC_FILE:
		x.size = entry->size;
		x.digest = entry->digest;
		break;
	case TOC_SYMLINK:
	case TOC_HARDLINK: x.link = entry->link; break;
	case TOC_DIR:
	case TOC_CHAR:
	case TOC_BLOCK:
	case TOC_FIFO: break;
	default: return 0;
	}
	x.dest = arena_strdup(&f->set->arena, dest);
	f->found++;
	vec_push(&f->set->files, x);
	return 0;
}

static bool excluded(struct image_finder *f, const struct toc_entry *entry,
                     const char *below)
{
	if (!f->exclude || !*below || !ignore_matches(f->exclude, below))
		return false;
	if (entry->type == TOC_DIR && ignore_skips_directory(f->exclude, below))
		f->skip = entry->path;
	return true;
}

static int visit_all(void *self, const struct toc_entry *entry, size_t layer)
{
	struct image_finder *f = self;
	const char *below = entry->path;
	AUTO_BUF dest = BUF_INIT;

	if (f->skip && path_below(entry->path, f->skip))
		return 0;
	below += strlen(below) < f->keep ? strlen(below) : f->keep;
	if (excluded(f, entry, below))
		return 0;
	path_join(&dest, f->dest_root, below);
	return add(f, entry, layer, dest.s);
}

static int add_directory(struct image_finder *f, const char *path)
{
	f->keep = *path ? strlen(path) + 1 : 0;
	f->dest_root = f->parents && strlen(path) > f->strip ? path + f->strip : ".";
	f->skip = NULL;
	return toc_view_walk(f->view, path, visit_all, f);
}

/* A link that a pattern matches is what it leads to, under the link's name, as Docker
 * has it. 1: it leads nowhere. */
static int add_followed(struct image_finder *f, const char *path)
{
	AUTO_BUF real = BUF_INIT;
	const struct toc_entry *entry = NULL;
	size_t keep = f->keep, layer;
	struct err ignored;
	int rc;

	if (toc_view_resolve(f->view, path, true, &real, NULL, &ignored) == 0)
		entry = toc_view_find(f->view, real.s, &layer);
	if (!entry)
		return 1;
	if (entry->type != TOC_DIR)
		return add(f, entry, layer, path_base(path));
	rc = add_directory(f, real.s);
	f->keep = keep;
	f->skip = NULL;
	return rc;
}

static int visit_match(void *self, const struct toc_entry *entry, size_t layer)
{
	struct image_finder *f = self;
	const char *path = entry->path,
		   *kept = f->parents ? path + f->strip : path + f->keep;

	if ((f->skip && path_below(path, f->skip)) || !*path ||
	    !pattern_match(f->pattern, path) || (f->deep && entry->type == TOC_DIR))
		return 0;
	if (excluded(f, entry, f->deep ? path + f->keep : path_base(path)))
		return 0;
	if (entry->type == TOC_DIR) {
		size_t keep = f->keep;
		int rc = add_directory(f, path);

		f->keep = keep;
		f->skip = path;
		return rc;
	}
	if (entry->type == TOC_SYMLINK && f->as_docker && !f->parents && !f->deep &&
	    add_followed(f, path) == 0)
		return 0;
	return add(f, entry, layer, f->parents || f->deep ? kept : path_base(path));
}

static int find_pattern(struct image_finder *f, const char *text, struct err *e)
{
	AUTO_FREE char *dir = mem_strndup(text, fileset_fixed_part(text));
	AUTO_BUF real = BUF_INIT, whole = BUF_INIT;
	size_t n = strlen(dir);
	int rc;

	if (n)
		dir[n - 1] = '\0';
	/* The directories in front may be links: the pattern is matched where they lead.
	 */
	if (toc_view_resolve(f->view, dir, true, &real, NULL, e) < 0)
		return -1;
	fileset_pattern(real.s, text + n, &whole);
	if (pattern_new(&f->pattern, whole.s, e) < 0)
		return -1;
	f->keep = real.len ? real.len + 1 : 0;
	f->deep = strstr(text, "**") != NULL;
	f->skip = NULL;
	rc = toc_view_walk(f->view, real.s, visit_match, f);
	pattern_free(f->pattern);
	return rc;
}

/* "a/./b/c" keeps "b/c". */
static void find_pivot(struct image_finder *f, const char *text)
{
	const char *pivot = f->parents ? strstr(text, "/./") : NULL;
	AUTO_FREE char *before = NULL;
	AUTO_BUF clean = BUF_INIT;

	f->strip = 0;
	if (!pivot)
		return;
	before = mem_strndup(text, (size_t)(pivot - text));
	path_join(&clean, "/", before);
	f->strip = clean.len > 1 ? clean.len : 0;
}

static int find_source(struct image_finder *f, const char *text, struct err *e)
{
	AUTO_BUF clean = BUF_INIT, real = BUF_INIT;
	const struct toc_entry *entry;
	size_t before = f->found, layer;
	const char *path;

	path_join(&clean, "/", text);
	path = clean.s + 1;
	find_pivot(f, text);
	if (!pattern_is_literal(path)) {
		if (find_pattern(f, path, e) < 0)
			return -1;
		if (f->as_docker && f->found == before)
			return 0;
		if (f->as_docker && f->found == before + 1 && !f->parents)
			f->set->single = true;
	} else {
		if (toc_view_resolve(f->view, path, true, &real, NULL, e) < 0)
			return -1;
		entry = toc_view_find(f->view, real.s, &layer);
		if (entry && entry->type == TOC_DIR)
			add_directory(f, real.s);
		else if (entry) {
			f->set->single = true;
			add(f, entry, layer,
			    f->parents ? path + f->strip : path_base(path));
		}
	}
	if (f->found == before)
		return err_set(e, ERR_NOT_FOUND, "%s: no such file in the image", text);
	return 0;
}

/* A hard link becomes a name of the file, or another of the symlink, that it stands for.
 */
static int follow_links(struct fileset *set, const struct toc_view *v, struct err *e)
{
	for (size_t i = 0; i < set->files.len; i++) {
		struct project_file *x = &set->files.at[i];

		if (x->type == TOC_HARDLINK) {
			x->entry = link_target(v, x->entry, &x->layer);
			if (!x->entry)
				return err_set(
					e, ERR_CORRUPT,
					"%s is a hard link to %s, which is not there",
					x->path, x->link);
			x->type = x->entry->type;
			x->size = x->entry->size;
			x->digest = x->entry->digest;
			x->link = x->entry->link;
		}
		if (x->type == TOC_FILE)
			x->ino = (uintptr_t)x->entry;
	}
	return 0;
}

int fileset_collect_image(struct fileset **out, const struct toc_view *v,
                          const struct step_copy *copy, struct err *e)
{
	struct fileset *set = mem_alloc(sizeof(*set));
	struct image_finder f = { .set = set,
		                  .view = v,
		                  .parents = copy->parents,
		                  .as_docker = copy->as_docker };
	int rc = 0;

	if (copy->exclude.n)
		rc = ignore_from_list(&f.exclude, copy->exclude.at, copy->exclude.n,
		                      "exclude", e);
	for (size_t i = 0; rc == 0 && i < copy->sources.n; i++) {
		rc = find_source(&f, copy->sources.at[i], e);
		if (rc < 0 && copy->optional && e->code == ERR_NOT_FOUND)
			rc = 0;
	}
	ignore_free(f.exclude);
	set->single = set->single && copy->sources.n == 1;
	if (rc == 0)
		rc = follow_links(set, v, e);
	if (rc == 0)
		rc = fileset_settle(set, e);
	if (rc < 0) {
		fileset_free(set);
		return -1;
	}
	*out = set;
	return 0;
}

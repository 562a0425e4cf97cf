#include "build/run.h"

#include <string.h>

#include "base/path.h"
#include "os/fd.h"
#include "os/file.h"

int64_t build_epoch(const struct build *b)
{
	return b->o.has_epoch ? b->o.epoch : MTIME_DEFAULT;
}

int work_init(struct work *w, struct node *n, const struct result *below, struct err *e)
{
	*w = (struct work){ .node = n, .below = below, .arena = ARENA_INIT };
	spool_init(&w->spool, n->build->o.store);
	if (node_tocs(n, below, &w->tocs, e) < 0)
		return -1;
	tree_init(&w->tree, &w->arena, w->tocs, below->layers.len, build_epoch(n->build));
	return 0;
}

void work_fini(struct work *w)
{
	work_run_fini(w);
	if (w->tocs)
		tree_fini(&w->tree);
	for (size_t i = 0; i < w->sets.len; i++)
		fileset_free(w->sets.at[i]);
	for (size_t i = 0; i < w->fds.len; i++)
		fd_close(&w->fds.at[i]);
	vec_fini(&w->sets);
	vec_fini(&w->fds);
	vec_fini(&w->pending);
	spool_fini(&w->spool);
	arena_fini(&w->arena);
	free(w->tocs);
}

const char *work_keep(struct work *w, const char *s)
{
	return arena_strdup(&w->arena, s);
}

int work_resolve(struct work *w, const char *path, bool last, struct buf *out,
                 const struct toc_entry **entry, struct err *e)
{
	AUTO_BUF whole = BUF_INIT;

	path_join(&whole, config_workdir(&w->below->config), path);
	return tree_resolve(&w->tree, whole.s, last, out, entry, e);
}

int64_t work_mtime(const struct work *w, enum mtime_kind kind, int64_t value,
                   const struct digest *content, int64_t own)
{
	int64_t t = 0;

	switch (kind) {
	case MTIME_FIXED: return build_epoch(w->node->build);
	case MTIME_NUMBER: return value;
	case MTIME_KEEP: return own;
	case MTIME_CONTENT:
		/* 34 years after 1980 in seconds: 30 bits of the digest, always in the
		 * past. */
		for (int i = 0; i < 4; i++)
			t = t << 8 | content->b[i];
		return MTIME_DEFAULT + (t & ((1 << 30) - 1));
	}
	return 0;
}

static uint32_t mode_or(int given, uint32_t otherwise)
{
	return given < 0 ? otherwise : (uint32_t)given;
}

/* Where a written file goes: below `path`, if that is a directory and the file has a name
 * of its own. */
static int resolve_written(struct work *w, const struct step_write *s, struct buf *out,
                           struct err *e)
{
	const struct toc_entry *there = NULL;
	AUTO_BUF inside = BUF_INIT;

	if (!s->name)
		return work_resolve(w, s->path, false, out, NULL, e);
	if (work_resolve(w, s->path, true, out, &there, e) < 0)
		return -1;
	if (out->len && *path_base(s->path) && !(there && there->type == TOC_DIR))
		return 0;
	buf_addf(&inside, "%s/%s", s->path, s->name);
	buf_reset(out);
	return work_resolve(w, inside.s, false, out, NULL, e);
}

static int do_write(struct work *w, const struct step_write *s, struct err *e)
{
	AUTO_BUF path = BUF_INIT;
	struct toc_entry x = { .type = TOC_FILE,
		               .mode = mode_or(s->mode, 0644),
		               .size = (int64_t)s->size,
		               .mtime = build_epoch(w->node->build) };
	struct content c = { .kind = CONTENT_MEMORY, .memory = s->text };
	struct owner o;

	if (work_owner(w, s->owner, &o, e) < 0 || resolve_written(w, s, &path, e) < 0)
		return -1;
	x.path = work_keep(w, path.s);
	x.uid = o.uid;
	x.gid = o.gid;
	digest_of(&x.digest, s->text, s->size);
	return tree_put(&w->tree, &x, &c, 0755, e);
}

/* A directory that may be there, which leaves it as it is. */
static int make_missing(struct work *w, const struct step_mkdir *s, const char *path,
                        const struct owner *o, struct err *e)
{
	AUTO_BUF at = BUF_INIT;
	const struct toc_entry *old = NULL;
	struct toc_entry x = { .type = TOC_DIR,
		               .mode = mode_or(s->mode, 0755),
		               .uid = o->uid,
		               .gid = o->gid,
		               .mtime = build_epoch(w->node->build) };

	if (work_resolve(w, path, true, &at, &old, e) < 0)
		return -1;
	if (!at.len || (old && old->type == TOC_DIR))
		return 0;
	x.path = work_keep(w, at.s);
	return tree_put(&w->tree, &x, NULL, x.mode, e);
}

static int do_mkdir(struct work *w, const struct step_mkdir *s, struct err *e)
{
	struct owner o;

	if (work_owner(w, s->owner, &o, e) < 0)
		return -1;
	for (size_t i = 0; i < s->paths.n; i++) {
		AUTO_BUF path = BUF_INIT;
		const struct toc_entry *old = NULL;
		struct toc_entry x = { .type = TOC_DIR,
			               .mode = mode_or(s->mode, 0755),
			               .uid = o.uid,
			               .gid = o.gid,
			               .mtime = build_epoch(w->node->build) };

		if (s->keep) {
			if (make_missing(w, s, s->paths.at[i], &o, e) < 0)
				return -1;
			continue;
		}
		if (work_resolve(w, s->paths.at[i], true, &path, &old, e) < 0)
			return -1;
		if (!path.len)
			continue; /* "/" is always there */
		x.path = work_keep(w, path.s);
		if (old && old->type == TOC_DIR) {
			x.mode = mode_or(s->mode, old->mode);
			if (!*s->owner) {
				x.uid = old->uid;
				x.gid = old->gid;
			}
			x.xattrs = old->xattrs;
			x.n_xattrs = old->n_xattrs;
			if (x.mode == old->mode && x.uid == old->uid && x.gid == old->gid)
				continue;
		}
		if (tree_put(&w->tree, &x, NULL, 0755, e) < 0)
			return -1;
	}
	return 0;
}

static int do_symlink(struct work *w, const struct step_symlink *s, struct err *e)
{
	AUTO_BUF path = BUF_INIT;
	struct toc_entry x = { .type = TOC_SYMLINK,
		               .mode = 0777,
		               .link = s->target,
		               .mtime = build_epoch(w->node->build) };
	struct owner o;

	if (work_owner(w, s->owner, &o, e) < 0 ||
	    work_resolve(w, s->path, false, &path, NULL, e) < 0)
		return -1;
	x.path = work_keep(w, path.s);
	x.uid = o.uid;
	x.gid = o.gid;
	return tree_put(&w->tree, &x, NULL, 0755, e);
}

struct matches {
	struct work *w;
	const struct pattern *pattern;
	VEC(const char *) paths;
};

static int note_match(void *self, const struct toc_entry *entry, size_t layer)
{
	struct matches *m = self;
	(void)layer;

	if (*entry->path && pattern_match(m->pattern, entry->path))
		vec_push(&m->paths, work_keep(m->w, entry->path));
	return 0;
}

/* A directory above `path` was removed, and `path` with it. */
static bool removed_above(struct work *w, const char *path)
{
	for (const char *s = strchr(path, '/'); s; s = strchr(s + 1, '/')) {
		AUTO_FREE char *dir = mem_strndup(path, (size_t)(s - path));
		const struct tree_entry *x = tree_own(&w->tree, dir);

		if (x && x->toc.type == TOC_WHITEOUT)
			return true;
	}
	return false;
}

/* The pattern with its fixed part as the image's links lead: "/bin/x*" is usr/bin/x*
 * where they say so. */
static int resolve_pattern(struct work *w, const char *text, struct buf *dir,
                           struct buf *out, struct err *e)
{
	size_t n = fileset_fixed_part(text);
	AUTO_FREE char *fixed = mem_strndup(text, n);

	if (work_resolve(w, fixed, true, dir, NULL, e) < 0)
		return -1;
	fileset_pattern(dir->s, text + n, out);
	return 0;
}

static int remove_matches(struct work *w, const char *text, size_t *removed,
                          struct err *e)
{
	struct matches m = { .w = w };
	struct toc_view v = tree_view(&w->tree);
	AUTO_BUF dir = BUF_INIT, whole = BUF_INIT;
	struct pattern *pattern;
	int rc = 0;

	if (resolve_pattern(w, text, &dir, &whole, e) < 0 ||
	    pattern_new(&pattern, whole.s, e) < 0)
		return -1;
	m.pattern = pattern;
	toc_view_walk(&v, dir.s, note_match, &m);
	for (size_t i = 0; rc == 0 && i < m.paths.len; i++)
		if (!removed_above(w, m.paths.at[i]))
			rc = tree_remove(&w->tree, m.paths.at[i], e);
	*removed = m.paths.len;
	vec_fini(&m.paths);
	pattern_free(pattern);
	return rc;
}

static int do_remove(struct work *w, const struct step_remove *s, struct err *e)
{
	for (size_t i = 0; i < s->paths.n; i++) {
		const char *text = s->paths.at[i];
		const struct toc_entry *old = NULL;
		AUTO_BUF path = BUF_INIT;
		size_t removed = 0;

		if (pattern_is_literal(text)) {
			if (work_resolve(w, text, false, &path, &old, e) < 0)
				return -1;
			if (old && tree_remove(&w->tree, work_keep(w, path.s), e) < 0)
				return -1;
			removed = old != NULL;
		} else {
			if (remove_matches(w, text, &removed, e) < 0)
				return -1;
		}
		if (!removed && !s->optional)
			return err_set(
				e, ERR_NOT_FOUND,
				"%s: no such file in the image (optional = true allows that)",
				text);
	}
	return 0;
}

static int do_layer(struct work *w, const struct step *s, const struct step_plan *p,
                    struct err *e)
{
	for (size_t i = 0; i < s->layer.n; i++)
		if (work_step(w, &s->layer.at[i], &p->inner[i], e) < 0)
			return err_wrap(e, PLACE_FMT "%s",
			                PLACE_ARG(s->layer.at[i].place),
			                step_kind_text(s->layer.at[i].kind));
	return 0;
}

int work_step(struct work *w, const struct step *s, const struct step_plan *p,
              struct err *e)
{
	if (s->kind == STEP_LAYER)
		return do_layer(w, s, p, e);
	tree_next_step(&w->tree);
	switch (s->kind) {
	case STEP_COPY: return work_copy(w, &s->copy, p, e);
	case STEP_WRITE: return do_write(w, &s->write, e);
	case STEP_MKDIR: return do_mkdir(w, &s->mkdir, e);
	case STEP_SYMLINK: return do_symlink(w, &s->symlink, e);
	case STEP_REMOVE: return do_remove(w, &s->remove, e);
	case STEP_UNPACK: return work_unpack(w, &s->unpack, p, e);
	case STEP_ADD: return work_add(w, &s->add, p, e);
	case STEP_GIT: return work_git(w, &s->git, p, e);
	case STEP_ACCOUNT: return work_account(w, &s->account, e);
	case STEP_RUN: return work_run(w, &s->run, p, e);
	default:
		return err_set(e, ERR_INVALID, "%s makes no layer",
		               step_kind_text(s->kind));
	}
}

/* Not of what a later step replaced or removed, nor of further names of a file. */
static bool is_needed(const struct work *w, const struct pending *p, uint64_t shards)
{
	return p->to->shards & shards && p->to->toc.path && p->to->toc.type == TOC_FILE &&
	       tree_own(&w->tree, p->to->toc.path) == p->to;
}

/* Those of w->pending[first] on that come from the same image: a step has one. */
static size_t same_source(const struct work *w, size_t first)
{
	size_t n = 0;

	while (first + n < w->pending.len &&
	       w->pending.at[first + n].from == w->pending.at[first].from)
		n++;
	return n;
}

static int fetch_some(struct work *w, struct pending *p, size_t n, uint64_t shards,
                      struct err *e)
{
	VEC(struct want) wants = { 0 };
	int rc;

	for (size_t i = 0; i < n; i++) {
		struct want want = { p[i].layer, p[i].source, &p[i].offset };

		if (is_needed(w, &p[i], shards))
			vec_push(&wants, want);
	}
	rc = extract_files(p->from, p->in, wants.at, wants.len, &w->spool, e);
	vec_fini(&wants);
	for (size_t i = 0; rc == 0 && i < n; i++)
		if (is_needed(w, &p[i], shards))
			p[i].to->content = (struct content){ .kind = CONTENT_FD,
				                             .fd = w->spool.fd,
				                             .offset = p[i].offset };
	return rc;
}

int work_fetch(struct work *w, uint64_t shards, struct err *e)
{
	for (size_t i = 0, n; i < w->pending.len; i += n) {
		n = same_source(w, i);
		if (fetch_some(w, &w->pending.at[i], n, shards, e) < 0)
			return -1;
	}
	return 0;
}

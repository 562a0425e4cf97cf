/* The account step: the lists of accounts with entries more, and the user's home. */
#include <string.h>

#include "base/path.h"
#include "build/account_add.h"
#include "build/work.h"

/* A list, and what the image has of it. */
struct account_list {
	const char *path;
	uint32_t mode; /* where there is none yet */
	struct buf *text;
	const char *at; /* resolved */
	const struct toc_entry *entry;
	size_t before; /* bytes that the image has: entries only make it longer */
};

/* What a name that is a hard link has for metadata is its file's. */
static int find_list(struct work *w, struct account_list *l, struct err *e)
{
	struct toc_view v = tree_view(&w->tree);
	AUTO_BUF at = BUF_INIT;
	size_t layer;

	if (tree_resolve(&w->tree, l->path, true, &at, &l->entry, e) < 0)
		return -1;
	l->at = work_keep(w, at.s);
	if (l->entry && l->entry->type == TOC_HARDLINK)
		l->entry = link_target(&v, l->entry, &layer);
	if (l->entry && l->entry->type != TOC_FILE)
		return err_set(e, ERR_INVALID, "%s is no file in the image", l->path);
	if (l->entry && work_read_accounts(w, l->path, l->text, e) < 0)
		return -1;
	l->before = l->text->len;
	return 0;
}

static int put_list(struct work *w, const struct account_list *l, struct err *e)
{
	const struct buf *text = l->text;
	struct toc_entry x = { .type = TOC_FILE,
		               .mode = l->mode,
		               .size = (int64_t)text->len,
		               .mtime = build_epoch(w->node->build) };
	struct content c = { .kind = CONTENT_MEMORY };

	if (l->entry) {
		x.mode = l->entry->mode;
		x.uid = l->entry->uid;
		x.gid = l->entry->gid;
		x.xattrs = l->entry->xattrs;
		x.n_xattrs = l->entry->n_xattrs;
	}
	c.memory = arena_strndup(&w->arena, text->s, text->len);
	digest_of(&x.digest, text->s, text->len);
	x.path = l->at;
	return tree_put(&w->tree, &x, &c, 0755, e);
}

static int put_directory(struct work *w, const char *path, const struct owner *o,
                         struct err *e)
{
	AUTO_BUF at = BUF_INIT;
	const struct toc_entry *old = NULL;
	struct toc_entry x = { .type = TOC_DIR,
		               .mode = 0755,
		               .uid = o->uid,
		               .gid = o->gid,
		               .mtime = build_epoch(w->node->build) };

	if (tree_resolve(&w->tree, path, true, &at, &old, e) < 0)
		return -1;
	if (old && old->type != TOC_DIR)
		return err_set(e, ERR_INVALID, "%s is no directory in the image", path);
	if (old || !at.len)
		return 0; /* it stays whose it is */
	x.path = work_keep(w, at.s);
	return tree_put(&w->tree, &x, NULL, 0755, e);
}

/* What is above it and missing is root's. */
static int make_home(struct work *w, const char *home, const struct owner *o,
                     struct err *e)
{
	static const struct owner root = { 0, 0 };
	AUTO_FREE char *above = path_dir(home);

	return put_directory(w, above, &root, e) < 0 ? -1 : put_directory(w, home, o, e);
}

static int change_lists(struct work *w, struct account_files *f,
                        const struct step_account *a, struct err *e)
{
	struct account_list lists[] = {
		{ "/etc/passwd", 0644, &f->passwd, NULL, NULL, 0 },
		{ "/etc/group", 0644, &f->group, NULL, NULL, 0 },
		{ "/etc/shadow", 0640, &f->shadow, NULL, NULL, 0 },
		{ "/etc/gshadow", 0640, &f->gshadow, NULL, NULL, 0 },
	};
	struct owner o;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (find_list(w, &lists[i], e) < 0)
			return -1;
	f->has_shadow = lists[2].entry != NULL;
	f->has_gshadow = lists[3].entry != NULL;
	if (account_add(f, a, &o, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (lists[i].text->len != lists[i].before &&
		    put_list(w, &lists[i], e) < 0)
			return -1;
	return *a->home ? make_home(w, a->home, &o, e) : 0;
}

int work_account(struct work *w, const struct step_account *a, struct err *e)
{
	struct account_files f = { BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT, false, false };
	int rc = change_lists(w, &f, a, e);

	buf_fini(&f.passwd);
	buf_fini(&f.group);
	buf_fini(&f.shadow);
	buf_fini(&f.gshadow);
	return rc;
}

/* A cache directory from another machine. It is put together beside, and gets its name
 * when it is whole, with its record of times: so that whoever uses it sees what the other
 * machine had, or nothing. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/remote.h"
#include "build/run_export.h"
#include "build/run_times.h"
#include "image/limits.h"
#include "image/tree_tar.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/lock.h"

struct importing {
	struct work *w;
	const struct used_cache *c;
	const char *aside; /* below the store */
	int store;
	int blob;
	struct buf times;
};

bool run_cache_travels(const struct step_run *r, const char *id)
{
	for (size_t i = 0; i < r->n_caches; i++)
		if (r->caches[i].exported && !strcmp(r->caches[i].id, id))
			return true;
	return false;
}

static int read_entry(const struct buf *text, struct cache_entry *out, struct err *e)
{
	json_t *tree = NULL, *times = NULL;
	AUTO_JSON *j = NULL;

	if (json_read(&j, text->s, text->len, e) < 0 ||
	    json_member_object(j, "tree", true, &tree, e) < 0 ||
	    json_member_object(j, "times", true, &times, e) < 0 ||
	    descriptor_read(&out->tree, tree, e) < 0 ||
	    descriptor_read(&out->times, times, e) < 0)
		return -1;
	if (strcmp(out->tree.media_type, MEDIA_CACHE_TREE) != 0 ||
	    out->tree.size > image_limits()->unpacked ||
	    out->times.size > CACHE_TIMES_MAX)
		return err_set(e, ERR_INVALID, "it is none that imgmake writes");
	return 0;
}

/* Of what others say, and of what was here already: rotten blobs are put aside. */
static int fetch(struct importing *x, const struct cache_entry *entry, struct err *e)
{
	struct build *b = x->w->node->build;
	struct blobs *blobs = b->o.store->blobs;

	if (build_fetch_blob(b, &entry->tree, &b->o.remote->repos, e) < 0 ||
	    build_fetch_blob(b, &entry->times, &b->o.remote->repos, e) < 0 ||
	    blobs_verify(blobs, &entry->tree.digest, e) < 0 ||
	    blobs_read(blobs, &entry->times.digest, CACHE_TIMES_MAX, &x->times, e) < 0)
		return -1;
	x->blob = blobs_get(blobs, &entry->tree.digest, NULL, e);
	return x->blob < 0 ? -1 : 0;
}

/* In the sandbox's identities. */
static int unpack(void *arg, struct err *e)
{
	struct importing *x = arg;
	struct fd_source in;
	AUTO_CLOSE int root = -1;

	if (mkdirat(x->store, x->aside, 0755) < 0)
		return err_sys(e, "create %s", x->aside);
	root = openat(x->store, x->aside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(e, "open %s", x->aside);
	fd_source_init(&in, x->blob, "a cache directory");
	return tree_tar_read(&in.source, CODEC_ZSTD, root, e);
}

static int give_name(void *arg, struct err *e)
{
	const struct importing *x = arg;

	if (renameat2(x->store, x->aside, x->store, x->c->dir, RENAME_NOREPLACE) < 0)
		return err_sys(e, "name %s", x->c->dir);
	return 0;
}

/* Nobody looks at the record meanwhile. One without a directory says nothing that is
 * wrong of the empty one that will be made. */
static int put_in_place(struct importing *x, const struct run_place *at, struct err *e)
{
	const char *name = arena_printf(&x->w->arena, "%s.times.lock", x->c->dir);
	AUTO_CLOSE int lock = lock_take(x->store, name, true, e);

	if (lock < 0 ||
	    run_record_import(x->w->node->build->o.store, x->c->dir, &x->times, e) < 0)
		return -1;
	return sandbox_call(at->sandbox, give_name, x, e);
}

static int take_entry(struct importing *x, const struct run_place *at,
                      const struct buf *text, struct err *e)
{
	struct cache_entry entry;

	if (read_entry(text, &entry, e) < 0 || fetch(x, &entry, e) < 0)
		return -1;
	x->aside = arena_printf(&x->w->arena, "%s/cache.%s", at->staging,
	                        x->c->dir + strlen("cache/"));
	if (sandbox_call(at->sandbox, unpack, x, e) < 0)
		return -1;
	return put_in_place(x, at, e);
}

static int import(struct importing *x, const struct run_place *at, const struct buf *text,
                  struct err *e)
{
	struct node *n = x->w->node;
	int rc;

	x->blob = -1;
	x->store = n->build->o.store->dir;
	x->times = (struct buf)BUF_INIT;
	rc = take_entry(x, at, text, e);
	buf_fini(&x->times);
	fd_close(&x->blob);
	if (rc == 0)
		progress_step(n->build->o.progress, node_title(n),
		              "cache %s: as another machine left it", x->c->id);
	return rc;
}

/* Only one does, of those who come for it together. */
static int import_first(struct importing *x, const struct run_place *at,
                        const struct digest *keys, struct err *e)
{
	struct build *b = x->w->node->build;
	const char *name = arena_printf(&x->w->arena, "%s.import", x->c->dir);
	AUTO_CLOSE int lock = lock_take(b->o.store->dir, name, true, e);
	AUTO_BUF text = BUF_INIT;
	int found = 0;

	if (lock < 0)
		return -1;
	if (file_exists(b->o.store->dir, x->c->dir))
		return 0;
	for (int i = 0; found == 0 && i < CACHE_KEYS; i++)
		found = node_ask_remote(x->w->node, REMOTE_MOUNT, &keys[i], &text, e);
	if (found <= 0)
		return found;
	if (import(x, at, &text, e) == 0)
		return 0;
	if (build_cancelled(b))
		return err_set(e, ERR_CANCELLED, "interrupted");
	progress_warning(b->o.progress,
	                 "remote cache: cache %s cannot be had: %s; starting with an "
	                 "empty one",
	                 x->c->id, e->msg);
	return 0;
}

int run_import(struct work *w, const struct run_step *s, const struct run_place *at,
               const struct used_cache *c, struct err *e)
{
	struct importing x = { .w = w, .c = c };
	struct digest keys[CACHE_KEYS];

	if (!run_cache_travels(s->r, c->id) || !w->node->build->o.remote ||
	    file_exists(w->node->build->o.store->dir, c->dir))
		return 0;
	run_cache_keys(w, s, c->id, keys);
	return import_first(&x, at, keys, e);
}

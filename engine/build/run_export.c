/* Cache directories for other machines. They are packed when the build has ended, once
 * each, while nobody uses them: several steps may have one in turn or at once, and what a
 * command is just writing is of no use to anybody. */
#include "build/run_export.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "build/remote.h"
#include "build/run_times.h"
#include "build/runner.h"
#include "image/tree_tar.h"
#include "os/fd.h"
#include "os/lock.h"

enum { CHUNK = 256 * 1024 };

/* A directory under the keys of a step that has used it. */
struct cache_export {
	const char *dir; /* below the store */
	const char *id;
	struct digest keys[CACHE_KEYS];
	bool done;
};

struct cache_exports {
	VEC(struct cache_export) list;
	struct arena arena;
};

void run_export(struct work *w, const struct run_step *s)
{
	struct build *b = w->node->build;

	for (size_t i = 0; w->run && i < w->run->mounts.caches.len; i++) {
		const struct used_cache *c = &w->run->mounts.caches.at[i];
		struct cache_export x = { 0 };

		if (!run_cache_travels(s->r, c->id) || !node_may_tell(w->node))
			continue;
		run_cache_keys(w, s, c->id, x.keys);
		pthread_mutex_lock(&b->lock);
		if (!b->exports)
			b->exports = mem_alloc(sizeof(*b->exports));
		x.dir = arena_strdup(&b->exports->arena, c->dir);
		x.id = arena_strdup(&b->exports->arena, c->id);
		vec_push(&b->exports->list, x);
		pthread_mutex_unlock(&b->lock);
	}
}

void build_exports_free(struct build *b)
{
	if (!b->exports)
		return;
	vec_fini(&b->exports->list);
	arena_fini(&b->exports->arena);
	free(b->exports);
	b->exports = NULL;
}

/* --- Packing ----------------------------------------------------------------------- */

/* Written by who reads the directory, which may be another process: a pipe carries the
 * stream, and `newest` is in memory that both have. */
struct packing {
	struct build *build;
	int dir;
	int pipe[2];
	int64_t *newest;
	struct blob_writer blob;
	struct encoder *encoder;
	int rc; /* of the thread that reads the pipe */
	struct err err;
};

static int write_tree(void *arg, struct err *e)
{
	const struct packing *x = arg;

	return tree_tar_write(x->dir, x->pipe[1], x->newest, e);
}

static int to_blob(void *self, const void *data, size_t n, struct err *e)
{
	return blob_write(&((struct packing *)self)->blob, data, n, e);
}

/* To the end, whatever happens: nobody could write to a pipe that is not read. */
static void *compress(void *arg)
{
	struct packing *x = arg;
	AUTO_FREE char *chunk = mem_alloc(CHUNK);
	struct err ignored;
	ssize_t n;

	x->rc = 0;
	while (x->rc == 0 && (n = fd_read(x->pipe[0], chunk, CHUNK, "a pipe", &x->err)))
		x->rc = n < 0 ? -1 : encoder_add(x->encoder, chunk, (size_t)n, &x->err);
	while (x->rc < 0 && fd_read(x->pipe[0], chunk, CHUNK, "a pipe", &ignored) > 0)
		continue;
	if (x->rc == 0)
		x->rc = encoder_end(x->encoder, &x->err);
	return NULL;
}

static int pump(struct packing *x, struct sandbox *sandbox, struct err *e)
{
	pthread_t thread;
	int rc;

	if (pipe2(x->pipe, O_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	if (pthread_create(&thread, NULL, compress, x) != 0) {
		fd_close(&x->pipe[0]);
		fd_close(&x->pipe[1]);
		return err_set(e, ERR_FAILED, "start a thread");
	}
	rc = sandbox_call(sandbox, write_tree, x, e);
	fd_close(&x->pipe[1]);
	pthread_join(thread, NULL);
	fd_close(&x->pipe[0]);
	if (rc == 0 && x->rc < 0) {
		*e = x->err;
		return -1;
	}
	return rc;
}

static int pack_blob(struct packing *x, struct sandbox *sandbox, struct descriptor *out,
                     struct err *e)
{
	struct build *b = x->build;
	int rc;

	if (blob_begin(&x->blob, b->o.store->blobs, e) < 0)
		return -1;
	x->encoder = encoder_new(CODEC_ZSTD, b->pool, to_blob, x);
	rc = pump(x, sandbox, e);
	encoder_free(x->encoder);
	strcpy(out->media_type, MEDIA_CACHE_TREE);
	out->size = x->blob.size;
	if (rc == 0)
		return blob_commit(&x->blob, NULL, &out->digest, e);
	blob_abort(&x->blob);
	return -1;
}

static int keep_times(struct build *b, const char *dir, int64_t newest,
                      struct descriptor *out, struct err *e)
{
	AUTO_BUF text = BUF_INIT;

	if (run_record_export(b->o.store, dir, newest, &text, e) < 0)
		return -1;
	if (text.len > CACHE_TIMES_MAX)
		return err_set(e, ERR_LIMIT, "its record of times is too large");
	strcpy(out->media_type, MEDIA_CACHE_TIMES);
	out->size = (int64_t)text.len;
	return blobs_put(b->o.store->blobs, text.s, text.len, &out->digest, e);
}

static int pack(struct build *b, const char *dir, struct cache_entry *out, struct err *e)
{
	struct packing x = { .build = b, .dir = -1, .pipe = { -1, -1 } };
	struct sandbox *sandbox;
	int rc;

	if (run_sandbox(b, &sandbox, e) < 0)
		return -1;
	x.dir = openat(b->o.store->dir, dir,
	               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (x.dir < 0)
		return err_sys(e, "open it");
	x.newest = mmap(NULL, sizeof(*x.newest), PROT_READ | PROT_WRITE,
	                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (x.newest == MAP_FAILED) {
		fd_close(&x.dir);
		return err_sys(e, "share memory");
	}
	rc = pack_blob(&x, sandbox, &out->tree, e);
	if (rc == 0)
		rc = keep_times(b, dir, *x.newest, &out->times, e);
	munmap(x.newest, sizeof(*x.newest));
	fd_close(&x.dir);
	return rc;
}

/* --- Telling ----------------------------------------------------------------------- */

static void tell(struct build *b, const struct cache_export *x,
                 const struct cache_entry *what)
{
	const struct descriptor blobs[] = { what->tree, what->times };
	AUTO_JSON *j = json_pack("{s:o,s:o}", "tree", descriptor_json(&what->tree),
	                         "times", descriptor_json(&what->times));
	AUTO_BUF text = BUF_INIT;

	json_write(&text, j);
	for (int i = 0; i < CACHE_KEYS; i++) {
		struct remote_entry entry = { .kind = REMOTE_MOUNT,
			                      .key = x->keys[i],
			                      .text = text.s,
			                      .blobs = blobs,
			                      .n = ARRAY_LEN(blobs) };

		b->o.remote->put(b->o.remote, &entry);
	}
}

static int pack_alone(struct build *b, const struct cache_export *x,
                      struct cache_entry *out, struct err *e)
{
	AUTO_BUF name = BUF_INIT;
	AUTO_CLOSE int lock = -1;

	buf_addf(&name, "%s.lock", x->dir);
	lock = lock_try(b->o.store->dir, name.s, true, e);
	if (lock < 0 && e->code == ERR_EXISTS)
		return err_set(e, ERR_EXISTS, "another build is using it");
	return lock < 0 ? -1 : pack(b, x->dir, out, e);
}

/* The first of those that name a directory stands for all of them. */
static void export_one(struct build *b, struct cache_export *first)
{
	struct cache_exports *all = b->exports;
	struct cache_entry entry = { 0 };
	AUTO_BUF what = BUF_INIT;
	struct err e;
	int rc;

	buf_addf(&what, "cache %s", first->id);
	progress_begin(b->o.progress, NULL, what.s, -1);
	rc = pack_alone(b, first, &entry, &e);
	progress_end(b->o.progress, NULL, what.s, entry.tree.size);
	if (rc < 0)
		progress_warning(b->o.progress, "%s is not exported: %s", what.s, e.msg);
	for (struct cache_export *x = first; x < all->list.at + all->list.len; x++) {
		if (strcmp(x->dir, first->dir) != 0)
			continue;
		x->done = true;
		if (rc == 0)
			tell(b, x, &entry);
	}
}

void build_export_caches(struct build *b)
{
	if (!b->exports)
		return;
	/* What removes a step's leftovers may hold its locks still. */
	pool_wait(b->pool);
	for (size_t i = 0; i < b->exports->list.len && !build_cancelled(b); i++)
		if (!b->exports->list.at[i].done)
			export_one(b, &b->exports->list.at[i]);
	build_exports_free(b);
}

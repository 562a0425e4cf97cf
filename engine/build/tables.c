/* Tables of contents of layers, each read once a process, scanned once a machine. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "build/node.h"
#include "image/layer_files.h"
#include "image/tar_reader.h"
#include "image/toc_store.h"
#include "os/fd.h"
#include "store/blob_follow.h"
#include "store/blobs.h"

static const struct toc *cached(struct build *b, const struct digest *diff_id)
{
	char hex[DIGEST_HEX + 1];
	const struct toc *t;

	pthread_mutex_lock(&b->lock);
	t = map_get(&b->tocs, digest_hex(diff_id, hex));
	pthread_mutex_unlock(&b->lock);
	return t;
}

/* Takes both, unless another thread was first: files are only good with the very table
 * that was made of them. */
static const struct toc *cache(struct build *b, const struct digest *diff_id,
                               struct toc *t, struct layer_files *files)
{
	char hex[DIGEST_HEX + 1];
	struct toc *first;

	pthread_mutex_lock(&b->lock);
	first = map_get(&b->tocs, digest_hex(diff_id, hex));
	if (!first)
		map_put(&b->tocs, hex, t);
	if (!first && files)
		map_put(&b->files, hex, files);
	pthread_mutex_unlock(&b->lock);
	if (!first)
		return t;
	layer_files_free(files);
	toc_fini(t);
	free(t);
	return first;
}

static int record_toc(const struct node *n, const struct digest *diff_id,
                      const struct toc *t, struct err *e)
{
	struct store *s = n->build->o.store;
	struct digest blob;
	int64_t size;

	if (toc_put(s->blobs, t, &blob, &size, e) < 0 ||
	    layer_toc_record(s, diff_id, &blob, e) < 0)
		return -1;
	node_tell_table(n, diff_id, &blob, size);
	return 0;
}

/* Run steps need the layer's files as well, and soon. */
static bool will_run(const struct target *t)
{
	for (size_t i = 0; i < t->n_steps; i++)
		if (step_runs(&t->steps[i]))
			return true;
	return false;
}

static int new_files(struct build *b, struct layer_files **out, struct err *e)
{
	AUTO_BUF name = BUF_INIT;
	int rc;

	do { /* a killed process, or one of another container, may have had our pid */
		buf_reset(&name);
		buf_addf(&name, "tmp/files.%d.%u", (int)getpid(),
		         atomic_fetch_add(&b->runs, 1));
		rc = layer_files_new(out, b->o.store->dir, name.s, e);
	} while (rc < 0 && e->sys == EEXIST);
	return rc;
}

/* What scanning a layer gives. */
struct scanned {
	const struct node *n;
	const struct layer *l;
	struct toc *table;
	struct layer_files *files; /* NULL where they are not wanted */
	struct digest diff_id;
};

static int scan_source(struct scanned *s, struct source *in, struct err *e)
{
	enum codec codec;

	layer_files_free(s->files);
	s->files = NULL;
	if (media_layer_codec(s->l->blob.media_type, &codec, e) < 0 ||
	    (will_run(s->n->target) && new_files(s->n->build, &s->files, e) < 0))
		return -1;
	return layer_scan_files(in, codec, s->files, s->table, &s->diff_id, e);
}

static int scan_stored(struct scanned *s, struct err *e)
{
	AUTO_CLOSE int fd =
		blobs_get(s->n->build->o.store->blobs, &s->l->blob.digest, NULL, e);
	struct fd_source in;

	if (fd < 0)
		return -1;
	fd_source_init(&in, fd, "a layer");
	return scan_source(s, &in.source, e);
}

struct fetching {
	const struct scanned *s;
	struct blob_follow *follow;
	int rc;
	struct err why;
};

static void fetch(void *arg)
{
	struct fetching *f = arg;

	f->rc = base_fetch_followed(f->s->n->build, f->s->n, f->s->l, f->follow, &f->why);
	blob_follow_end(f->follow);
}

struct follow_source {
	struct source source;
	struct blob_follow *follow;
};

static ssize_t follow_read(struct source *self, void *data, size_t n, struct err *e)
{
	return blob_follow_read(((struct follow_source *)self)->follow, data, n, e);
}

/* While it is downloaded, which is over when we are: what was read may have been no good.
 */
static int scan_fetched(struct scanned *s, struct err *e)
{
	struct fetching f = { .s = s, .follow = blob_follow_new() };
	struct follow_source in = { { follow_read }, f.follow };
	struct pool *thread = pool_new(1);
	int rc;

	pool_submit(thread, fetch, &f);
	rc = scan_source(s, &in.source, e);
	pool_free(thread);
	if (f.rc < 0)
		*e = f.why;
	else if (rc < 0 && blob_follow_again(f.follow))
		rc = scan_stored(s, e);
	blob_follow_free(f.follow);
	return f.rc < 0 ? -1 : rc;
}

static int scan_layer(struct scanned *s, struct err *e)
{
	const struct layer *l = s->l;
	struct build *b = s->n->build;
	bool stored = blobs_has(b->o.store->blobs, &l->blob.digest, NULL);

	if ((stored ? scan_stored(s, e) : scan_fetched(s, e)) < 0)
		return err_wrap(e, "layer %s", DIGEST_STR(&l->blob.digest));
	if (!digest_equal(&s->diff_id, &l->diff_id))
		return err_set(e, ERR_CORRUPT,
		               "layer %s unpacks to %s, but its configuration says %s",
		               DIGEST_STR(&l->blob.digest), DIGEST_STR(&s->diff_id),
		               DIGEST_STR(&l->diff_id));
	return record_toc(s->n, &l->diff_id, s->table, e);
}

/* Of a layer that was made by us, or by another machine. */
static int own_table(struct scanned *s, struct err *e)
{
	struct build *b = s->n->build;
	const struct layer *l = s->l;
	struct digest ours;
	int known;

	if (base_fetch_table(b, l, e) < 0)
		return -1;
	if (toc_get(b->o.store->blobs, &l->toc, s->table, e) < 0)
		return layer_doubt(b, l, e);
	if (!l->remote)
		return 0;
	known = layer_toc_known(b->o.store, &l->diff_id, &ours, e);
	return known ? (known < 0 ? -1 : 0)
	             : layer_toc_record(b->o.store, &l->diff_id, &l->toc, e);
}

/* 1: *s->table is filled; 0: it is empty, and that of `from` cannot be read. */
static int read_table(struct scanned *s, const struct digest *blob, const char *from)
{
	struct build *b = s->n->build;
	struct err why;

	if (toc_get(b->o.store->blobs, blob, s->table, &why) == 0)
		return 1;
	toc_fini(s->table);
	progress_warning(
		b->o.progress,
		"the table of contents of layer %s in the %s is damaged; it is made "
		"anew",
		DIGEST_STR(&s->l->blob.digest), from);
	return 0;
}

/* 1: *s->table is filled. One that cannot be read is none: it is made anew. */
static int find_table(struct scanned *s, struct err *e)
{
	struct store *store = s->n->build->o.store;
	const struct digest *diff_id = &s->l->diff_id;
	struct digest blob;
	int found = layer_toc_known(store, diff_id, &blob, e);

	if (found < 0 || (found && read_table(s, &blob, "store")))
		return found;
	if (!node_find_table(s->n, diff_id, &blob) ||
	    !read_table(s, &blob, "remote cache"))
		return 0;
	return layer_toc_record(store, diff_id, &blob, e) < 0 ? -1 : 1;
}

/* One thread reads a layer, which may be a download; others wait for its table. True:
 * the caller is to read it, and then to say that it has. Nobody changes lanes meanwhile.
 */
static bool begin_scan(struct build *b, const struct digest *diff_id)
{
	char hex[DIGEST_HEX + 1];
	bool waited = false;

	digest_hex(diff_id, hex);
	pthread_mutex_lock(&b->lock);
	while (map_get(&b->scanning, hex)) {
		pthread_cond_wait(&b->scanned, &b->lock);
		waited = true;
	}
	if (!waited)
		map_put(&b->scanning, hex, b);
	pthread_mutex_unlock(&b->lock);
	return !waited;
}

static void end_scan(struct build *b, const struct digest *diff_id)
{
	char hex[DIGEST_HEX + 1];

	pthread_mutex_lock(&b->lock);
	map_put(&b->scanning, digest_hex(diff_id, hex), NULL);
	pthread_cond_broadcast(&b->scanned);
	pthread_mutex_unlock(&b->lock);
}

static int find_or_scan(struct scanned *s, struct err *e)
{
	struct build *b = s->n->build;
	int rc;

	do {
		rc = find_table(s, e);
		if (rc)
			return rc < 0 ? -1 : 0;
	} while (!begin_scan(b, &s->l->diff_id));
	rc = scan_layer(s, e);
	end_scan(b, &s->l->diff_id);
	return rc;
}

static int load(const struct node *n, const struct layer *l, const struct toc **out,
                struct err *e)
{
	struct scanned s = { .n = n, .l = l };
	struct toc *t;

	*out = cached(n->build, &l->diff_id);
	if (*out)
		return 0;
	s.table = t = mem_alloc(sizeof(*t));
	if ((digest_is_zero(&l->toc) ? find_or_scan(&s, e) : own_table(&s, e)) < 0) {
		layer_files_free(s.files);
		toc_fini(t);
		free(t);
		return -1;
	}
	*out = cache(n->build, &l->diff_id, t, s.files);
	return 0;
}

struct layer_files *layer_files_of(struct build *b, const struct digest *diff_id)
{
	char hex[DIGEST_HEX + 1];
	struct layer_files *f;

	pthread_mutex_lock(&b->lock);
	f = map_get(&b->files, digest_hex(diff_id, hex));
	pthread_mutex_unlock(&b->lock);
	return f;
}

int node_tables(const struct node *n, const struct result *r, const struct toc ***out,
                struct err *e)
{
	const struct toc **all = mem_alloc((r->layers.len + 1) * sizeof(*all));

	for (size_t i = 0; i < r->layers.len; i++) {
		if (load(n, &r->layers.at[i], &all[i], e) < 0) {
			free(all);
			return -1;
		}
	}
	*out = all;
	return 0;
}

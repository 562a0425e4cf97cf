/* Tables of contents of layers, each read once a process, scanned once a machine. */
#include <string.h>
#include <unistd.h>

#include "build/node.h"
#include "image/tar_reader.h"
#include "os/fd.h"
#include "store/blobs.h"

enum { TOC_LIMIT = 1 << 30 };

static const struct toc *cached(struct build *b, const struct digest *diff_id)
{
	char hex[DIGEST_HEX + 1];
	const struct toc *t;

	pthread_mutex_lock(&b->lock);
	t = map_get(&b->tocs, digest_hex(diff_id, hex));
	pthread_mutex_unlock(&b->lock);
	return t;
}

/* Takes `t`, unless another thread was first. */
static const struct toc *cache(struct build *b, const struct digest *diff_id,
                               struct toc *t)
{
	char hex[DIGEST_HEX + 1];
	struct toc *first;

	pthread_mutex_lock(&b->lock);
	first = map_get(&b->tocs, digest_hex(diff_id, hex));
	if (!first)
		map_put(&b->tocs, hex, t);
	pthread_mutex_unlock(&b->lock);
	if (!first)
		return t;
	toc_fini(t);
	free(t);
	return first;
}

static int read_toc(struct build *b, const struct digest *blob, struct toc *out,
                    struct err *e)
{
	AUTO_BUF data = BUF_INIT;

	if (blobs_read(b->o.store->blobs, blob, TOC_LIMIT, &data, e) < 0)
		return -1;
	return toc_decode(out, data.s, data.len, e);
}

static int record_toc(struct build *b, const struct digest *diff_id, const struct toc *t,
                      struct err *e)
{
	AUTO_BUF data = BUF_INIT;
	struct digest blob;

	toc_encode(t, &data);
	if (blobs_put(b->o.store->blobs, data.s, data.len, &blob, e) < 0)
		return -1;
	return layer_toc_record(b->o.store, diff_id, &blob, e);
}

static int scan_layer(const struct node *n, const struct layer *l, struct toc *out,
                      struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct digest diff_id;
	struct fd_source in;
	enum codec codec;

	if (media_layer_codec(l->blob.media_type, &codec, e) < 0 ||
	    base_fetch_layer(n->build, n, l, e) < 0)
		return -1;
	fd = blobs_get(n->build->o.store->blobs, &l->blob.digest, NULL, e);
	if (fd < 0)
		return -1;
	fd_source_init(&in, fd, "a layer");
	if (layer_scan(&in.source, codec, NULL, out, &diff_id, e) < 0)
		return err_wrap(e, "layer %s", DIGEST_STR(&l->blob.digest));
	if (!digest_equal(&diff_id, &l->diff_id))
		return err_set(e, ERR_CORRUPT,
		               "layer %s unpacks to %s, but its configuration says %s",
		               DIGEST_STR(&l->blob.digest), DIGEST_STR(&diff_id),
		               DIGEST_STR(&l->diff_id));
	return record_toc(n->build, &l->diff_id, out, e);
}

static int load(const struct node *n, const struct layer *l, const struct toc **out,
                struct err *e)
{
	struct digest blob = l->toc;
	struct toc *t;
	int known = 1;

	*out = cached(n->build, &l->diff_id);
	if (*out)
		return 0;
	if (digest_is_zero(&blob))
		known = layer_toc_known(n->build->o.store, &l->diff_id, &blob, e);
	if (known < 0)
		return -1;
	t = mem_alloc(sizeof(*t));
	if (known ? read_toc(n->build, &blob, t, e) : scan_layer(n, l, t, e)) {
		toc_fini(t);
		free(t);
		return -1;
	}
	*out = cache(n->build, &l->diff_id, t);
	return 0;
}

int node_tocs(const struct node *n, const struct result *r, const struct toc ***out,
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

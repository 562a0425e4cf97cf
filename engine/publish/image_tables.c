#include "publish/image_tables.h"

#include "build/result.h"
#include "image/tar_reader.h"
#include "image/toc_store.h"
#include "os/fd.h"
#include "store/blobs.h"

/* 1: *toc is its table's blob, and that is in the store. */
static int known(struct store *s, const struct image *im, size_t i, struct digest *toc,
                 struct err *e)
{
	struct digest diff_id;
	int found;

	config_diff_id(&im->config, i, &diff_id);
	found = layer_toc_known(s, &diff_id, toc, e);
	return found > 0 ? blobs_has(s->blobs, toc, NULL) : found;
}

int image_tables_known(struct store *s, const struct image *im, struct err *e)
{
	struct digest toc;

	for (size_t i = 0; i < im->manifest.n_layers; i++) {
		int found = known(s, im, i, &toc, e);

		if (found <= 0)
			return found;
	}
	return 1;
}

static int scan(struct store *s, const struct image *im, size_t i, struct toc *out,
                struct err *e)
{
	const struct descriptor *d = &im->manifest.layers[i];
	struct digest diff_id, want;
	AUTO_CLOSE int fd = -1;
	struct fd_source in;
	enum codec codec;

	if (media_layer_codec(d->media_type, &codec, e) < 0)
		return -1;
	fd = blobs_get(s->blobs, &d->digest, NULL, e);
	if (fd < 0)
		return -1;
	fd_source_init(&in, fd, "a layer");
	if (layer_scan(&in.source, codec, NULL, out, &diff_id, e) < 0)
		return err_wrap(e, "layer %s", DIGEST_STR(&d->digest));
	config_diff_id(&im->config, i, &want);
	if (!digest_equal(&diff_id, &want))
		return err_set(e, ERR_CORRUPT,
		               "layer %s unpacks to %s, but its configuration says %s",
		               DIGEST_STR(&d->digest), DIGEST_STR(&diff_id),
		               DIGEST_STR(&want));
	return 0;
}

static int load(struct store *s, const struct image *im, size_t i, struct toc *out,
                struct err *e)
{
	struct digest toc;
	int found = known(s, im, i, &toc, e);

	if (found < 0)
		return -1;
	return found ? toc_get(s->blobs, &toc, out, e) : scan(s, im, i, out, e);
}

static void begin(struct image_tables *t, const struct image *im)
{
	t->n = im->manifest.n_layers;
	t->tables = mem_alloc((t->n + 1) * sizeof(*t->tables));
	t->layers = mem_alloc((t->n + 1) * sizeof(*t->layers));
	for (size_t i = 0; i < t->n; i++) {
		t->tables[i] = (struct toc)TOC_INIT;
		t->layers[i] = &t->tables[i];
	}
}

int image_tables_load_known(struct image_tables *t, struct store *s,
                            const struct image *im, struct err *e)
{
	begin(t, im);
	for (size_t i = 0; i < t->n; i++) {
		struct digest toc;
		int found = known(s, im, i, &toc, e);

		if (found < 0 || (found && toc_get(s->blobs, &toc, &t->tables[i], e) < 0))
			return -1;
	}
	return 0;
}

int image_tables_load(struct image_tables *t, struct store *s, const struct image *im,
                      struct err *e)
{
	begin(t, im);
	for (size_t i = 0; i < t->n; i++)
		if (load(s, im, i, &t->tables[i], e) < 0)
			return -1;
	return 0;
}

void image_tables_fini(struct image_tables *t)
{
	for (size_t i = 0; i < t->n; i++)
		toc_fini(&t->tables[i]);
	free(t->tables);
	free(t->layers);
	*t = (struct image_tables){ 0 };
}

struct toc_view image_tables_view(const struct image_tables *t)
{
	return (struct toc_view){ t->layers, t->n };
}

#include <string.h>

#include "image/merged.h"
#include "image/tar_reader.h"
#include "os/fd.h"

/* Reading went wrong: if the blob's bytes are not what its name says, that is the reason
 * to give. */
static int blame(struct blobs *store, const struct digest *blob, struct err *e)
{
	struct err rotten;

	if (e->code == ERR_SYS)
		return -1;
	if (blobs_verify(store, blob, &rotten) < 0) {
		*e = rotten;
		return -1;
	}
	return err_wrap(e, "layer %s", DIGEST_STR(blob));
}

int merged_stream(struct blobs *store, const struct image *im, size_t layer,
                  merged_stream_fn *fn, void *self, struct err *e)
{
	const struct descriptor *d = &im->manifest.layers[layer];
	AUTO_CLOSE int fd = -1;
	struct fd_source in;
	enum codec codec;
	int64_t size;

	if (media_layer_codec(d->media_type, &codec, e) < 0)
		return -1;
	fd = blobs_get(store, &d->digest, &size, e);
	if (fd < 0)
		return -1;
	if (size != d->size) {
		err_set(e, ERR_CORRUPT, "it has %lld bytes, but was said to have %lld",
		        (long long)size, (long long)d->size);
		return blame(store, &d->digest, e);
	}
	fd_source_init(&in, fd, "a layer");
	return fn(self, &in.source, codec, e) < 0 ? blame(store, &d->digest, e) : 0;
}

struct merged_file {
	struct tar_reader *in;
	struct hasher hash;
};

struct streaming {
	struct merged *m;
	struct merged_layer *layer;
	merged_file_fn *fn;
	void *self;
};

ssize_t merged_file_read(struct merged_file *f, void *data, size_t n, struct err *e)
{
	ssize_t got = tar_reader_data(f->in, data, n, e);

	if (got > 0)
		hasher_add(&f->hash, data, (size_t)got);
	return got;
}

/* 1 + the index of the entry that shows what the stream is at, or 0; each is told once.
 * Of two entries with the same path the offset says which one the table means. */
static size_t take_shown(struct merged_layer *l, const struct toc_entry *t)
{
	const struct toc_entry *known =
		t->type == TOC_FILE ? toc_find(&l->table, t->path) : NULL;
	size_t *shown, i;

	if (!known || known->type != TOC_FILE || known->offset != t->offset ||
	    known->size != t->size)
		return 0;
	shown = &l->shown[known - l->table.at];
	i = *shown;
	*shown = 0;
	return i;
}

static int one_file(struct streaming *s, struct tar_reader *in, size_t i, struct err *e)
{
	struct merged_file f = { .in = in };
	const struct toc_entry *t = s->m->list.at[i].node;
	struct digest got;
	int rc;

	hasher_init(&f.hash);
	rc = s->fn(s->self, i, &f, e);
	hasher_end(&f.hash, &got);
	if (rc < 0)
		return -1;
	if (!digest_equal(&got, &t->digest))
		return err_set(e, ERR_CORRUPT, "'%.300s' is %s, but was %s before",
		               s->m->list.at[i].path, DIGEST_STR(&got),
		               DIGEST_STR(&t->digest));
	return 0;
}

static int stream_files(struct streaming *s, struct tar_reader *in, struct err *e)
{
	size_t left = s->layer->files, shown;
	struct toc_entry t;
	int more = 1;

	while (left && (more = tar_reader_next(in, &t, e)) > 0) {
		shown = take_shown(s->layer, &t);
		if (!shown)
			continue;
		if (one_file(s, in, shown - 1, e) < 0)
			return -1;
		left--;
	}
	if (more < 0)
		return -1;
	return left ? err_set(e, ERR_CORRUPT, "it has fewer files than before") : 0;
}

static int read_files(void *self, struct source *in, enum codec codec, struct err *e)
{
	struct decoder *d = decoder_new(codec, in, NULL);
	struct tar_reader *t = tar_reader_new(decoder_source(d), true, NULL);
	int rc = stream_files(self, t, e);

	tar_reader_free(t);
	decoder_free(d);
	return rc;
}

int merged_files(struct merged *m, struct blobs *store, const struct image *im,
                 merged_file_fn *fn, void *self, struct err *e)
{
	for (size_t i = 0; i < m->n_layers; i++) {
		struct streaming s = { m, &m->layers[i], fn, self };

		if (s.layer->files && merged_stream(store, im, i, read_files, &s, e) < 0)
			return -1;
	}
	return 0;
}

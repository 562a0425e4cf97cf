/* Decompressing on one thread, headers and the diff ID on another, files' digests on what
 * is left: each takes about as long as the others. */
#include "image/layer_keep.h"
#include "image/piped.h"

static int scan_entries(struct tar_reader *r, struct keeper *k, struct toc *out,
                        struct err *e)
{
	struct toc_entry entry;
	int got;

	while ((got = tar_reader_next(r, &entry, e)) > 0) {
		toc_add(out, &entry);
		if (entry.type == TOC_DIR)
			keeper_dir(k);
		if (entry.type == TOC_FILE && keeper_file(k, r, e) < 0)
			return -1;
	}
	out->tar_size = tar_reader_offset(r);
	return got < 0 ? -1 : keeper_finish(k, e);
}

static int at_end(struct source *in, struct err *e)
{
	char byte;
	ssize_t n = in->read(in, &byte, 1, e);

	if (n > 0)
		return err_set(e, ERR_CORRUPT,
		               "data after the end of the compressed layer");
	return (int)n;
}

static int scan(struct source *plain, const struct image_limits *l,
                struct layer_files *files, struct toc *out, struct err *e)
{
	struct tar_reader *r = tar_reader_new(plain, true, l);
	struct keeper *k = keeper_new(files, out);
	int rc = scan_entries(r, k, out, e);

	keeper_free(k);
	tar_reader_free(r);
	return rc;
}

struct scanning {
	struct source *in;
	enum codec codec;
	const struct image_limits *limits;
	struct layer_files *files;
};

static int scan_layer(const struct scanning *s, struct toc *out, struct digest *diff_id,
                      struct err *e)
{
	struct decoder *d = decoder_new(s->codec, s->in, s->limits);
	struct piped *p = piped_new(decoder_source(d));
	int failed = scan(piped_source(p), s->limits, s->files, out, e);

	piped_end(p, diff_id);
	decoder_free(d);
	if (!failed)
		failed = at_end(s->in, e);
	if (failed) {
		toc_fini(out);
		return -1;
	}
	toc_sort(out);
	return 0;
}

int layer_scan(struct source *in, enum codec codec, const struct image_limits *l,
               struct toc *out, struct digest *diff_id, struct err *e)
{
	struct scanning s = { in, codec, l ? l : image_limits(), NULL };

	return scan_layer(&s, out, diff_id, e);
}

int layer_scan_files(struct source *in, enum codec codec, struct layer_files *files,
                     struct toc *out, struct digest *diff_id, struct err *e)
{
	struct scanning s = { in, codec, image_limits(), files };

	return scan_layer(&s, out, diff_id, e);
}

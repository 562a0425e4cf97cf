#include <string.h>

#include "image/tar_reader.h"

enum { CHUNK = 128 * 1024 };

/* Passes a stream on and hashes it. */
struct tee {
	struct source source;
	struct source *from;
	struct hasher hash;
};

static ssize_t tee_read(struct source *self, void *data, size_t n, struct err *e)
{
	struct tee *t = (struct tee *)self;
	ssize_t got = t->from->read(t->from, data, n, e);

	if (got > 0)
		hasher_add(&t->hash, data, (size_t)got);
	return got;
}

static int hash_content(struct tar_reader *r, char *chunk, struct digest *out,
                        struct err *e)
{
	struct hasher h;
	ssize_t n;

	hasher_init(&h);
	while ((n = tar_reader_data(r, chunk, CHUNK, e)) > 0)
		hasher_add(&h, chunk, (size_t)n);
	hasher_end(&h, out);
	return n < 0 ? -1 : 0;
}

static int scan_entries(struct tar_reader *r, struct toc *out, struct err *e)
{
	AUTO_FREE char *chunk = mem_alloc(CHUNK);
	struct toc_entry entry;
	int got;

	while ((got = tar_reader_next(r, &entry, e)) > 0) {
		if (entry.type == TOC_FILE &&
		    hash_content(r, chunk, &entry.digest, e) < 0)
			return -1;
		toc_add(out, &entry);
	}
	out->tar_size = tar_reader_offset(r);
	return got;
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

static int scan(struct source *plain, const struct image_limits *l, struct toc *out,
                struct digest *diff_id, struct err *e)
{
	struct tee tee = { .source = { tee_read }, .from = plain };
	struct tar_reader *r = tar_reader_new(&tee.source, true, l);
	int failed;

	hasher_init(&tee.hash);
	failed = scan_entries(r, out, e);
	hasher_end(&tee.hash, diff_id);
	tar_reader_free(r);
	return failed;
}

int layer_scan(struct source *in, enum codec codec, const struct image_limits *l,
               struct toc *out, struct digest *diff_id, struct err *e)
{
	const struct image_limits *limits = l ? l : &image_limits_default;
	struct decoder *d = decoder_new(codec, in, limits);
	int failed = scan(decoder_source(d), limits, out, diff_id, e);

	decoder_free(d);
	if (!failed)
		failed = at_end(in, e);
	if (failed) {
		toc_fini(out);
		return -1;
	}
	toc_sort(out);
	return 0;
}

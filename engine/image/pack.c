#include "image/pack.h"

#include <string.h>

#include "image/tar_writer.h"
#include "image/toc_store.h"

struct packer {
	struct blobs *store;
	enum codec codec;
	struct blob_writer blob;
	struct encoder *encoder;
	struct hasher stream;  /* of the tar stream: the diff ID */
	struct hasher content; /* of the current file */
	struct toc toc;        /* the last entry is the current one */
	struct buf header;
	int64_t left; /* bytes that the current file still lacks */
	bool failed;  /* what was written is of no use */
};

static int to_blob(void *self, const void *data, size_t n, struct err *e)
{
	struct packer *p = self;

	return blob_write(&p->blob, data, n, e);
}

int packer_open(struct packer **out, struct blobs *store, enum codec codec,
                struct pool *pool, struct err *e)
{
	struct packer *p = mem_alloc(sizeof(*p));

	*out = NULL;
	if (blob_begin(&p->blob, store, e) < 0) {
		free(p);
		return -1;
	}
	p->store = store;
	p->codec = codec;
	p->encoder = encoder_new(codec, pool, to_blob, p);
	p->toc = (struct toc)TOC_INIT;
	p->header = (struct buf)BUF_INIT;
	hasher_init(&p->stream);
	*out = p;
	return 0;
}

/* Whatever goes wrong, the archive has a hole then: nothing may be made of it any more.
 */
static int give_up(struct packer *p)
{
	p->failed = true;
	return -1;
}

static int check_usable(const struct packer *p, struct err *e)
{
	if (p->failed)
		return err_set(e, ERR_INVALID, "writing this layer has failed before");
	return 0;
}

static int emit(struct packer *p, const void *data, size_t n, struct err *e)
{
	hasher_add(&p->stream, data, n);
	p->toc.tar_size += (int64_t)n;
	return encoder_add(p->encoder, data, n, e);
}

static int emit_zeros(struct packer *p, size_t n, struct err *e)
{
	static const char zeros[TAR_WRITE_END];

	return emit(p, zeros, n, e);
}

static struct toc_entry *current(struct packer *p)
{
	return &p->toc.at[p->toc.n - 1];
}

/* The current file's last byte is written. */
static int end_file(struct packer *p, struct err *e)
{
	struct toc_entry *t = current(p);
	struct digest got;

	hasher_end(&p->content, &got);
	if (!digest_is_zero(&t->digest) && !digest_equal(&t->digest, &got))
		return err_set(e, ERR_CORRUPT, "'%s' is %s, but should be %s", t->path,
		               DIGEST_STR(&got), DIGEST_STR(&t->digest));
	t->digest = got;
	return emit_zeros(p, tar_write_padding(t->size), e);
}

static int check_complete(struct packer *p, struct err *e)
{
	if (p->left)
		return err_set(e, ERR_CORRUPT, "'%s' ends %lld bytes too early",
		               current(p)->path, (long long)p->left);
	return 0;
}

/* The entry with nothing in it that its type has no use for, as reading the layer would
 * give it. */
static struct toc_entry plain_entry(const struct toc_entry *from)
{
	struct toc_entry t = { .path = from->path, .type = from->type };

	if (t.type == TOC_WHITEOUT || t.type == TOC_OPAQUE)
		return t;
	t.mode = from->mode;
	t.uid = from->uid;
	t.gid = from->gid;
	t.mtime = from->mtime;
	t.xattrs = from->xattrs;
	t.n_xattrs = from->n_xattrs;
	if (t.type == TOC_FILE) {
		t.size = from->size;
		t.digest = from->digest;
	} else if (t.type == TOC_SYMLINK || t.type == TOC_HARDLINK) {
		t.link = from->link;
	} else if (t.type == TOC_CHAR || t.type == TOC_BLOCK) {
		t.dev_major = from->dev_major;
		t.dev_minor = from->dev_minor;
	}
	return t;
}

static int add_entry(struct packer *p, const struct toc_entry *entry, struct err *e)
{
	struct toc_entry t = plain_entry(entry);

	if (check_usable(p, e) < 0 || check_complete(p, e) < 0)
		return -1;
	buf_reset(&p->header);
	if (tar_write_header(&p->header, &t, e) < 0 ||
	    emit(p, p->header.s, p->header.len, e) < 0)
		return -1;
	if (t.type == TOC_FILE)
		t.offset = p->toc.tar_size;
	toc_add(&p->toc, &t);
	if (t.type != TOC_FILE)
		return 0;
	p->left = t.size;
	hasher_init(&p->content);
	return t.size ? 0 : end_file(p, e);
}

int packer_entry(struct packer *p, const struct toc_entry *entry, struct err *e)
{
	return add_entry(p, entry, e) < 0 ? give_up(p) : 0;
}

char *packer_room(struct packer *p, size_t *n)
{
	return encoder_room(p->encoder, n);
}

static int put(struct packer *p, size_t n, struct err *e)
{
	size_t room;
	const char *data = encoder_room(p->encoder, &room);

	if (check_usable(p, e) < 0)
		return -1;
	if (n > (uint64_t)p->left)
		return err_set(e, ERR_CORRUPT, "'%s' has more bytes than its size says",
		               p->toc.n ? current(p)->path : "");
	if (!n)
		return 0;
	hasher_add(&p->content, data, n);
	hasher_add(&p->stream, data, n);
	p->toc.tar_size += (int64_t)n;
	p->left -= (int64_t)n;
	if (encoder_put(p->encoder, n, e) < 0)
		return -1;
	return p->left ? 0 : end_file(p, e);
}

int packer_put(struct packer *p, size_t n, struct err *e)
{
	return put(p, n, e) < 0 ? give_up(p) : 0;
}

int packer_data(struct packer *p, const void *data, size_t n, struct err *e)
{
	const char *from = data;

	do {
		size_t room;
		char *to = packer_room(p, &room);
		size_t k = n < room ? n : room;

		if (k)
			memcpy(to, from, k);
		if (packer_put(p, k, e) < 0)
			return -1;
		from += k;
		n -= k;
	} while (n);
	return 0;
}

static const char *media_type(enum codec codec)
{
	switch (codec) {
	case CODEC_GZIP: return MEDIA_OCI_LAYER_GZIP;
	case CODEC_ZSTD: return MEDIA_OCI_LAYER_ZSTD;
	default: return MEDIA_OCI_LAYER;
	}
}

static int finish(struct packer *p, struct layer *out, struct err *e)
{
	*out = (struct layer){ 0 };
	if (check_usable(p, e) < 0 || check_complete(p, e) < 0)
		return -1;
	if (emit_zeros(p, TAR_WRITE_END, e) < 0 || encoder_end(p->encoder, e) < 0)
		return -1;
	/* The table first: a layer that is there without its table would have to be read
	 * again. */
	toc_sort(&p->toc);
	if (toc_put_first(p->store, &p->toc, &out->toc, &out->toc_size, e) < 0)
		return -1;
	out->blob.size = p->blob.size;
	if (blob_commit(&p->blob, NULL, &out->blob.digest, e) < 0)
		return err_wrap(e, "store a layer");
	strcpy(out->blob.media_type, media_type(p->codec));
	hasher_end(&p->stream, &out->diff_id);
	return 0;
}

int packer_finish(struct packer *p, struct layer *out, struct err *e)
{
	int rc = finish(p, out, e);

	give_up(p); /* there is nothing more to add to */
	return rc;
}

void packer_close(struct packer *p)
{
	if (!p)
		return;
	encoder_free(p->encoder);
	blob_abort(&p->blob);
	hasher_drop(&p->stream);
	hasher_drop(&p->content);
	toc_fini(&p->toc);
	buf_fini(&p->header);
	free(p);
}

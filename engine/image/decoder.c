#include <errno.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "image/member.h"
#include "os/fd.h"

enum { IN_SIZE = 128 * 1024 };

struct decoder {
	struct source source; /* first, so that it is found again */
	struct source *in;
	enum codec codec;
	struct inflater *gzip;
	ZSTD_DCtx *zstd;
	int64_t left; /* that may still come out */
	bool inside;  /* a member is begun and not at its end */
	bool any;     /* a member was whole */
	bool in_ended, out_ended;
	unsigned char *at; /* input not yet used */
	size_t n;
	unsigned char buf[IN_SIZE];
};

static enum step_result zstd_step(ZSTD_DCtx *z, struct step_io *io)
{
	ZSTD_inBuffer in = { io->in, io->n_in, 0 };
	ZSTD_outBuffer out = { io->out, io->n_out, 0 };
	size_t rc = ZSTD_decompressStream(z, &out, &in);

	io->in += in.pos;
	io->n_in -= in.pos;
	io->out += out.pos;
	io->n_out -= out.pos;
	if (!ZSTD_isError(rc))
		return rc ? STEP_MORE : STEP_END;
	switch (ZSTD_getErrorCode(rc)) {
	case ZSTD_error_frameParameter_windowTooLarge: return STEP_LIMIT;
	case ZSTD_error_memory_allocation: return STEP_NO_MEMORY;
	default: return STEP_CORRUPT;
	}
}

static int failed(enum step_result r, struct err *e)
{
	if (r == STEP_LIMIT)
		return err_set(
			e, ERR_LIMIT,
			"a zstd frame wants a larger window than we allow" IMAGE_LIMIT_HINT(
				"zstd-window"));
	if (r == STEP_NO_MEMORY) {
		errno = ENOMEM;
		return err_sys(e, "decompress");
	}
	return err_set(e, ERR_CORRUPT,
	               "the compressed data is damaged or followed by garbage");
}

static int fill(struct decoder *d, struct err *e)
{
	ssize_t k;

	if (d->n || d->in_ended)
		return 0;
	k = d->in->read(d->in, d->buf, sizeof(d->buf), e);
	if (k < 0)
		return -1;
	d->at = d->buf;
	d->n = (size_t)k;
	d->in_ended = k == 0;
	return 0;
}

static int cut_short(const struct decoder *d, struct err *e)
{
	return err_set(e, ERR_CORRUPT,
	               d->any || d->inside ? "the compressed data is cut short"
	                                   : "there is no compressed data");
}

/* One step of the decompressor into `io`'s room. */
static int step(struct decoder *d, struct step_io *io, struct err *e)
{
	size_t room = io->n_out;
	enum step_result r;
	bool stuck;

	if (fill(d, e) < 0)
		return -1;
	if (!d->n && !d->inside) {
		d->out_ended = d->any;
		return d->any ? 0 : cut_short(d, e);
	}
	stuck = !d->n; /* unless the decompressor holds bytes back */
	io->in = d->at;
	io->n_in = d->n;
	d->inside = true;
	r = d->gzip   ? inflater_step(d->gzip, io)
	    : d->zstd ? zstd_step(d->zstd, io)
	              : STEP_NO_MEMORY; /* decoder_new could not say so */
	d->at += d->n - io->n_in;
	d->n = io->n_in;
	if (r == STEP_END) {
		d->inside = false;
		d->any = true;
		return 0;
	}
	if (r != STEP_MORE)
		return failed(r, e);
	return stuck && io->n_out == room ? cut_short(d, e) : 0;
}

static ssize_t read_plain(struct decoder *d, unsigned char *data, size_t n, struct err *e)
{
	size_t got = 0;

	while (got < n && !d->out_ended) {
		ssize_t k = d->in->read(d->in, data + got, n - got, e);

		if (k < 0)
			return -1;
		d->out_ended = k == 0;
		got += (size_t)k;
	}
	return (ssize_t)got;
}

static ssize_t read_compressed(struct decoder *d, unsigned char *data, size_t n,
                               struct err *e)
{
	struct step_io io = { .out = data, .n_out = n };

	while (io.n_out && !d->out_ended)
		if (step(d, &io, e) < 0)
			return -1;
	return (ssize_t)(n - io.n_out);
}

static ssize_t decoder_read(struct source *self, void *data, size_t n, struct err *e)
{
	struct decoder *d = (struct decoder *)self;
	ssize_t got = d->codec == CODEC_NONE ? read_plain(d, data, n, e)
	                                     : read_compressed(d, data, n, e);

	if (got < 0)
		return -1;
	d->left -= got;
	if (d->left < 0)
		return err_set(
			e, ERR_LIMIT,
			"it unpacks to more bytes than we are willing to read" IMAGE_LIMIT_HINT(
				"unpacked"));
	return got;
}

static int log2_floor(int64_t v)
{
	int n = 0;

	while (v >>= 1)
		n++;
	return n;
}

struct decoder *decoder_new(enum codec codec, struct source *in,
                            const struct image_limits *l)
{
	struct decoder *d = mem_alloc(sizeof(*d));

	if (!l)
		l = image_limits();
	d->source.read = decoder_read;
	d->in = in;
	d->codec = codec;
	d->left = l->unpacked;
	if (codec == CODEC_GZIP)
		d->gzip = inflater_new();
	if (codec == CODEC_ZSTD)
		d->zstd = ZSTD_createDCtx();
	if (d->zstd) /* what is out of the library's range leaves its own limit, 128 MiB
	              */
		ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax,
		                       log2_floor(l->zstd_window));
	return d;
}

struct source *decoder_source(struct decoder *d)
{
	return &d->source;
}

void decoder_free(struct decoder *d)
{
	if (!d)
		return;
	inflater_free(d->gzip);
	ZSTD_freeDCtx(d->zstd);
	free(d);
}

static ssize_t fd_source_read(struct source *self, void *data, size_t n, struct err *e)
{
	struct fd_source *s = (struct fd_source *)self;

	return fd_read(s->fd, data, n, s->what, e);
}

void fd_source_init(struct fd_source *s, int fd, const char *what)
{
	*s = (struct fd_source){ { fd_source_read }, fd, what };
}

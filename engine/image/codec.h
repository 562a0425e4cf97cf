#ifndef IMAGE_CODEC_H
#define IMAGE_CODEC_H

/* Compression of layers. Out: independent members (gzip, RFC 1952) or frames (zstd, RFC
 * 8878), one for each CODEC_MEMBER bytes of input, made in parallel in bounded memory;
 * the bytes depend on the input and the compressor's version alone, never on the number
 * of threads. In: any stream. */
#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "image/descriptor.h"
#include "image/limits.h"
#include "os/pool.h"

enum { CODEC_MEMBER = 1 << 20 };

/* Takes compressed bytes in order, on the thread that calls encoder_add, encoder_put or
 * encoder_end. */
typedef int codec_sink(void *self, const void *data, size_t n, struct err *e);

struct encoder;
/* `pool` may be NULL: all on this thread. It may be shared, even by encoders that run on
 * its own threads: none waits for the pool. At most a member a thread + 3, and never
 * more than 24 (of 1 MiB in and what it shrinks to), are in memory. */
struct encoder *encoder_new(enum codec codec, struct pool *pool, codec_sink *sink,
                            void *self);
MUST_CHECK int encoder_add(struct encoder *c, const void *data, size_t n, struct err *e);
/* Where the next bytes go, *n of them and one at least, for who can put them there
 * itself; encoder_put says that n were. */
char *encoder_room(struct encoder *c, size_t *n);
MUST_CHECK int encoder_put(struct encoder *c, size_t n, struct err *e);
MUST_CHECK int encoder_end(struct encoder *c, struct err *e);
void encoder_free(struct encoder *c); /* NULL is fine; drops what was not written */

/* A stream to pull from: up to n bytes into `data`, 0 at the end, -1 on error. */
struct source {
	ssize_t (*read)(struct source *self, void *data, size_t n, struct err *e);
};

struct decoder; /* is a source itself */
/* Reads `in` (borrowed), decompressed once by the declared codec; `l` may be NULL for the
 * defaults. Trailing garbage, a checksum mismatch, a cut stream (and so an empty one,
 * unless CODEC_NONE) are ERR_CORRUPT; a zstd window above the limit, or more than
 * l->unpacked bytes in all, ERR_LIMIT. Its reads are short only at the end. After an
 * error there is nothing more to be had. */
struct decoder *decoder_new(enum codec codec, struct source *in,
                            const struct image_limits *l);
struct source *decoder_source(struct decoder *d);
void decoder_free(struct decoder *d); /* NULL is fine */

/* A source that reads an open file (borrowed fd) from its current offset. */
struct fd_source {
	struct source source;
	int fd;
	const char *what;
};
void fd_source_init(struct fd_source *s, int fd, const char *what);

#endif

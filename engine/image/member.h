#ifndef IMAGE_MEMBER_H
#define IMAGE_MEMBER_H

/* The pieces of a compressed layer, from memory to memory: gzip members or a zstd frame
 * out, and gzip members in. Private to the codec. */
#include "image/codec.h"

/* A compressor is used by one thread at a time and makes any number of members; what it
 * made before does not show in the bytes. NULL: no memory. */
struct press;
struct press *press_new(enum codec codec);
void press_free(struct press *p);     /* NULL is fine */
size_t press_bound(enum codec codec); /* bytes that CODEC_MEMBER of input may need */
/* Compresses n <= CODEC_MEMBER bytes. Bytes written to `out`, which has room for
 * press_bound; 0: no memory. */
size_t press_run(struct press *p, const void *in, size_t n, void *out);

/* Whether deflate would save nothing worth its time on DENSE_PIECE bytes: a function of
 * these alone. */
enum { DENSE_PIECE = 64 << 10 };
bool is_dense(const void *piece);

/* What is left to read and room left to write; moved on by each step. */
struct step_io {
	const unsigned char *in;
	size_t n_in;
	unsigned char *out;
	size_t n_out;
};

enum step_result { STEP_MORE, STEP_END, STEP_CORRUPT, STEP_LIMIT, STEP_NO_MEMORY };

/* Reads gzip members (RFC 1952), header, checksum and length checked. After STEP_END, at
 * a member's end, the next step begins another. STEP_MORE without progress: input is
 * wanted. */
struct inflater;
struct inflater *inflater_new(void); /* NULL: no memory */
void inflater_free(struct inflater *f);
enum step_result inflater_step(struct inflater *f, struct step_io *io);

#endif

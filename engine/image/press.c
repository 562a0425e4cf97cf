/* Layers as we write them.
 *
 * gzip: each CODEC_MEMBER of input bytes (the last ones fewer) is a member, or several
 * where it has stretches that deflate does not shrink (DENSE_PIECE or longer each, told
 * by is_dense): those are members of their own, with stored blocks alone. An empty
 * stream is one empty member. Each is
 *
 *   1f 8b 08 04     magic, deflate, FLG = FEXTRA
 *   00 00 00 00     MTIME: none
 *   00 ff           XFL 0, OS unknown
 *   08 00           XLEN
 *   'I' 'M' 04 00   subfield "IM", four bytes:
 *   u32             length of this member, from its 1f to its last byte, little-endian
 *   ...             deflate stream
 *   u32 u32         CRC-32 and length of the input
 *
 * so that a reader finds every member's start by hopping, and may inflate them side by
 * side.
 *
 * zstd: the same with frames, each with its content size and checksum. Readers hop by the
 * block headers (RFC 8878, 3.1.1.2). */
#include <libdeflate.h>
#include <string.h>
#include <zstd.h>

#include "image/member.h"

/* Level 6 takes 1.5 times as long and saves 2 to 4 % (a Debian root file system, Python's
 * and Perl's libraries, node modules); what others make of them is 1 to 4 % larger than
 * ours. */
enum { GZIP_LEVEL = 4, ZSTD_LEVEL = 3, GZIP_HEADER = 20, GZIP_TRAILER = 8 };
enum { PIECES = CODEC_MEMBER / DENSE_PIECE };

struct press {
	struct libdeflate_compressor *gzip, *stored;
	ZSTD_CCtx *zstd;
};

static bool set_up_zstd(struct press *p)
{
	p->zstd = ZSTD_createCCtx();
	if (!p->zstd)
		return false;
	/* Neither can fail: both values are in range. */
	ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_checksumFlag, 1);
	return true;
}

struct press *press_new(enum codec codec)
{
	struct press *p = mem_alloc(sizeof(*p));

	if (codec == CODEC_ZSTD) {
		if (set_up_zstd(p))
			return p;
	} else {
		p->gzip = libdeflate_alloc_compressor(GZIP_LEVEL);
		p->stored = libdeflate_alloc_compressor(0);
		if (p->gzip && p->stored)
			return p;
	}
	press_free(p);
	return NULL;
}

void press_free(struct press *p)
{
	if (!p)
		return;
	/* Old ones do not take NULL. */
	if (p->gzip)
		libdeflate_free_compressor(p->gzip);
	if (p->stored)
		libdeflate_free_compressor(p->stored);
	ZSTD_freeCCtx(p->zstd);
	free(p);
}

static size_t member_bound(size_t n)
{
	return GZIP_HEADER + libdeflate_deflate_compress_bound(NULL, n) + GZIP_TRAILER;
}

size_t press_bound(enum codec codec)
{
	if (codec == CODEC_ZSTD)
		return ZSTD_compressBound(CODEC_MEMBER);
	/* At worst each piece is a member. */
	return PIECES * member_bound(DENSE_PIECE);
}

static void put_u32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static size_t put_member(struct libdeflate_compressor *c, const void *in, size_t n,
                         unsigned char *out)
{
	static const unsigned char header[GZIP_HEADER] = {
		0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, 'I', 'M', 4, 0,
	};
	size_t room = member_bound(n) - GZIP_HEADER - GZIP_TRAILER;
	size_t body = libdeflate_deflate_compress(c, in, n, out + GZIP_HEADER, room);
	size_t total = GZIP_HEADER + body + GZIP_TRAILER;

	if (!body)
		return 0;
	memcpy(out, header, sizeof(header));
	put_u32(out + GZIP_HEADER - 4, (uint32_t)total);
	put_u32(out + total - 8, libdeflate_crc32(0, in, n));
	put_u32(out + total - 4, (uint32_t)n);
	return total;
}

/* A bit for each whole piece that is stored. Not for one alone: to compress what follows
 * anew, without what came before, costs more than it saves. So of two neighbours, the one
 * with the odd number is only looked at when the other is dense. */
static uint32_t find_dense(const unsigned char *in, size_t n)
{
	size_t pieces = n / DENSE_PIECE;
	uint32_t dense = 0;

	for (size_t i = 0; i < pieces; i += 2)
		dense |= (uint32_t)is_dense(in + i * DENSE_PIECE) << i;
	for (size_t i = 1; i < pieces; i += 2)
		if ((dense << 1 | dense >> 1) >> i & 1)
			dense |= (uint32_t)is_dense(in + i * DENSE_PIECE) << i;
	return dense & (dense << 1 | dense >> 1);
}

static size_t run_gzip(struct press *p, const unsigned char *in, size_t n,
                       unsigned char *out)
{
	uint32_t dense = find_dense(in, n);
	size_t total = 0, at = 0;

	do {
		size_t first = at / DENSE_PIECE, i = first;
		bool stored = dense >> first & 1;
		size_t end, k;

		while (i < PIECES && (dense >> i & 1) == stored)
			i++;
		end = i * DENSE_PIECE < n ? i * DENSE_PIECE : n;
		k = put_member(stored ? p->stored : p->gzip, in + at, end - at,
		               out + total);
		if (!k)
			return 0;
		total += k;
		at = end;
	} while (at < n);
	return total;
}

size_t press_run(struct press *p, const void *in, size_t n, void *out)
{
	size_t got;

	if (p->gzip)
		return run_gzip(p, in, n, out);
	got = ZSTD_compress2(p->zstd, out, press_bound(CODEC_ZSTD), in, n);
	return ZSTD_isError(got) ? 0 : got;
}

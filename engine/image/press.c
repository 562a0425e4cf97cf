/* Layers as we write them.
 *
 * gzip: members of CODEC_MEMBER input bytes (the last one shorter; of an empty stream one
 * empty member), each
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

enum { GZIP_LEVEL = 6, ZSTD_LEVEL = 3, GZIP_HEADER = 20, GZIP_TRAILER = 8 };

struct press {
	struct libdeflate_compressor *gzip;
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
		if (p->gzip)
			return p;
	}
	press_free(p);
	return NULL;
}

void press_free(struct press *p)
{
	if (!p)
		return;
	if (p->gzip)
		libdeflate_free_compressor(p->gzip);
	ZSTD_freeCCtx(p->zstd);
	free(p);
}

size_t press_bound(enum codec codec)
{
	if (codec == CODEC_ZSTD)
		return ZSTD_compressBound(CODEC_MEMBER);
	return GZIP_HEADER + libdeflate_deflate_compress_bound(NULL, CODEC_MEMBER) +
	       GZIP_TRAILER;
}

static void put_u32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static size_t run_gzip(struct press *p, const void *in, size_t n, unsigned char *out)
{
	static const unsigned char header[GZIP_HEADER] = {
		0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, 'I', 'M', 4, 0,
	};
	size_t room = press_bound(CODEC_GZIP) - GZIP_HEADER - GZIP_TRAILER;
	size_t body =
		libdeflate_deflate_compress(p->gzip, in, n, out + GZIP_HEADER, room);
	size_t total = GZIP_HEADER + body + GZIP_TRAILER;

	if (!body)
		return 0;
	memcpy(out, header, sizeof(header));
	put_u32(out + GZIP_HEADER - 4, (uint32_t)total);
	put_u32(out + total - 8, libdeflate_crc32(0, in, n));
	put_u32(out + total - 4, (uint32_t)n);
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

#include "image/member.h"

#include <limits.h>

#ifdef HAVE_ISAL
#include <isa-l/igzip_lib.h>

struct inflater {
	struct inflate_state state;
	struct isal_gzip_header header; /* kept across steps, since a header may be cut
	                                   anywhere */
	bool in_body;
};

static void begin_member(struct inflater *f)
{
	isal_inflate_reset(&f->state);
	f->state.crc_flag = ISAL_GZIP_NO_HDR_VER;
	isal_gzip_header_init(&f->header);
	f->in_body = false;
}

struct inflater *inflater_new(void)
{
	struct inflater *f = mem_alloc(sizeof(*f));

	isal_inflate_init(&f->state);
	begin_member(f);
	return f;
}

void inflater_free(struct inflater *f)
{
	free(f);
}

static enum step_result read_header(struct inflater *f)
{
	switch (isal_read_gzip_header(&f->state, &f->header)) {
	case ISAL_DECOMP_OK: f->in_body = true; return STEP_MORE;
	case ISAL_END_INPUT: return STEP_MORE;
	default: return STEP_CORRUPT;
	}
}

static enum step_result read_body(struct inflater *f)
{
	if (isal_inflate(&f->state) < 0)
		return STEP_CORRUPT;
	return f->state.block_state == ISAL_BLOCK_FINISH ? STEP_END : STEP_MORE;
}

enum step_result inflater_step(struct inflater *f, struct step_io *io)
{
	struct inflate_state *s = &f->state;
	uint32_t room = io->n_out < UINT32_MAX ? (uint32_t)io->n_out : UINT32_MAX;
	enum step_result r = STEP_MORE;

	s->next_in = (uint8_t *)(uintptr_t)io->in; /* only read */
	s->avail_in = (uint32_t)io->n_in;
	s->next_out = io->out;
	s->avail_out = room;
	if (!f->in_body)
		r = read_header(f);
	if (r == STEP_MORE && f->in_body)
		r = read_body(f);
	io->in = s->next_in;
	io->n_in = s->avail_in;
	io->out = s->next_out;
	io->n_out -= room - s->avail_out;
	if (r == STEP_END)
		begin_member(f);
	return r;
}

#else
#include <zlib.h>

struct inflater {
	z_stream z;
};

struct inflater *inflater_new(void)
{
	struct inflater *f = mem_alloc(sizeof(*f));

	if (inflateInit2(&f->z, 16 + MAX_WBITS) == Z_OK) /* 16: gzip and nothing else */
		return f;
	free(f);
	return NULL;
}

void inflater_free(struct inflater *f)
{
	if (f)
		inflateEnd(&f->z);
	free(f);
}

enum step_result inflater_step(struct inflater *f, struct step_io *io)
{
	uInt room = io->n_out < UINT_MAX ? (uInt)io->n_out : UINT_MAX;
	int rc;

	f->z.next_in = (Bytef *)(uintptr_t)io->in; /* only read */
	f->z.avail_in = (uInt)io->n_in;
	f->z.next_out = io->out;
	f->z.avail_out = room;
	rc = inflate(&f->z, Z_NO_FLUSH);
	io->in = f->z.next_in;
	io->n_in = f->z.avail_in;
	io->out = f->z.next_out;
	io->n_out -= room - f->z.avail_out;
	switch (rc) {
	case Z_OK:
	case Z_BUF_ERROR: return STEP_MORE;
	case Z_STREAM_END: inflateReset(&f->z); return STEP_END;
	case Z_MEM_ERROR: return STEP_NO_MEMORY;
	default: return STEP_CORRUPT;
	}
}

#endif

#include <stdio.h>
#include <string.h>

#include "image/tar_parse.h"

enum { BUFFER = 256 * 1024 };

void tar_input_init(struct tar_input *in, struct source *source, int64_t limit)
{
	*in = (struct tar_input){ .in = source, .limit = limit };
	in->buf = mem_alloc(BUFFER);
}

void tar_input_fini(struct tar_input *in)
{
	free(in->buf);
	in->buf = NULL;
}

ssize_t tar_input_fill(struct tar_input *in, struct err *e)
{
	ssize_t n;

	if (in->pos < in->len)
		return (ssize_t)(in->len - in->pos);
	n = in->in->read(in->in, in->buf, BUFFER, e);
	if (n < 0)
		return -1;
	in->pos = 0;
	in->len = (size_t)n;
	if (in->offset > in->limit - in->expanded - n)
		return err_set(
			e, ERR_LIMIT,
			"unpacks to more than %lld bytes" IMAGE_LIMIT_HINT("unpacked"),
			(long long)in->limit);
	return n;
}

void tar_input_take(struct tar_input *in, size_t n)
{
	in->pos += n;
	in->offset += (int64_t)n;
}

static int cut(struct err *e)
{
	return err_set(e, ERR_CORRUPT, "the tar stream is cut");
}

/* Up to n bytes to `out`, which may be NULL; fewer only at the end. */
static ssize_t take(struct tar_input *in, char *out, int64_t n, struct err *e)
{
	int64_t done = 0;

	while (done < n) {
		ssize_t have = tar_input_fill(in, e);

		if (have < 0)
			return -1;
		if (have == 0)
			break;
		if (have > n - done)
			have = (ssize_t)(n - done);
		if (out)
			memcpy(out + done, in->buf + in->pos, (size_t)have);
		tar_input_take(in, (size_t)have);
		done += have;
	}
	return done;
}

int tar_input_block(struct tar_input *in, char block[TAR_BLOCK], struct err *e)
{
	ssize_t n = take(in, block, TAR_BLOCK, e);

	if (n < 0)
		return -1;
	if (n == 0)
		return 0;
	return n == TAR_BLOCK ? 1 : cut(e);
}

int tar_input_skip(struct tar_input *in, int64_t n, struct err *e)
{
	ssize_t got = take(in, NULL, n, e);

	if (got < 0)
		return -1;
	return got == n ? 0 : cut(e);
}

int tar_input_body(struct tar_input *in, int64_t size, struct buf *out, struct err *e)
{
	ssize_t got;

	buf_reserve(out, (size_t)size);
	got = take(in, out->s + out->len, size, e);
	if (got < 0)
		return -1;
	if (got != size)
		return cut(e);
	buf_truncate(out, out->len + (size_t)size);
	return tar_input_skip(in, tar_input_padding(size), e);
}

int tar_input_drain(struct tar_input *in, struct err *e)
{
	static const char zeros[4096];

	for (;;) {
		ssize_t n = tar_input_fill(in, e);

		if (n <= 0)
			return (int)n;
		if (n > (ssize_t)sizeof(zeros))
			n = sizeof(zeros);
		if (memcmp(in->buf + in->pos, zeros, (size_t)n) != 0)
			return err_set(e, ERR_CORRUPT,
			               "data after the end of the archive");
		tar_input_take(in, (size_t)n);
	}
}

int64_t tar_input_padding(int64_t size)
{
	return -size & (TAR_BLOCK - 1);
}

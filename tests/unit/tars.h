#ifndef TESTS_UNIT_TARS_H
#define TESTS_UNIT_TARS_H

/* Tar streams built byte by byte, so that each byte can be wrong. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "image/codec.h"

/* A source over memory that gives at most `step` bytes at a time (0: all there is). */
struct memory {
	struct source source;
	const char *at;
	size_t left, step;
};

static inline ssize_t memory_read(struct source *self, void *data, size_t n,
                                  struct err *e)
{
	struct memory *m = (struct memory *)self;

	(void)e;
	n = n < m->left ? n : m->left;
	n = m->step && m->step < n ? m->step : n;
	memcpy(data, m->at, n);
	m->at += n;
	m->left -= n;
	return (ssize_t)n;
}

static inline void memory_init(struct memory *m, const struct buf *b, size_t step)
{
	*m = (struct memory){ { memory_read }, b->s, b->len, step };
}

enum {
	FIELD_MODE = 100,
	FIELD_UID = 108,
	FIELD_SIZE = 124,
	FIELD_MTIME = 136,
	FIELD_SUM = 148,
	FIELD_TYPE = 156,
	FIELD_LINK = 157,
	FIELD_MAGIC = 257,
	FIELD_MAJOR = 329,
	FIELD_MINOR = 337,
	FIELD_PREFIX = 345
};

static inline void tar_seal(char *block)
{
	unsigned sum = 8 * ' ';

	for (int i = 0; i < 512; i++)
		sum += i >= FIELD_SUM && i < FIELD_SUM + 8 ? 0 : (unsigned char)block[i];
	snprintf(block + FIELD_SUM, 8, "%06o", sum);
	block[FIELD_SUM + 7] = ' ';
}

/* A ustar header in `block`; change it, then tar_seal and append it. */
static inline void tar_block(char block[512], const char *name, char type, size_t size)
{
	memset(block, 0, 512);
	memcpy(block, name, strnlen(name, 100));
	memcpy(block + FIELD_MODE, "0000644", 8);
	memcpy(block + FIELD_UID,
	       "0000000\0"
	       "0000000",
	       16);
	snprintf(block + FIELD_SIZE, 12, "%011zo", size);
	memcpy(block + FIELD_MTIME, "00000000005", 12);
	block[FIELD_TYPE] = type;
	memcpy(block + FIELD_MAGIC, "ustar\00000", 8);
}

static inline void tar_pad(struct buf *out)
{
	while (out->len % 512)
		buf_addc(out, '\0');
}

static inline void tar_put(struct buf *out, char block[512], const void *data, size_t n)
{
	tar_seal(block);
	buf_add(out, block, 512);
	buf_add(out, data, n);
	tar_pad(out);
}

static inline void tar_add(struct buf *out, const char *name, char type, const void *data,
                           size_t n)
{
	char block[512];

	tar_block(block, name, type, n);
	tar_put(out, block, data, n);
}

static inline void tar_link(struct buf *out, const char *name, char type,
                            const char *target)
{
	char block[512];

	tar_block(block, name, type, 0);
	memcpy(block + FIELD_LINK, target, strnlen(target, 100));
	tar_put(out, block, NULL, 0);
}

static inline void tar_device(struct buf *out, char type, unsigned major, unsigned minor)
{
	char block[512];

	tar_block(block, "dev", type, 0);
	snprintf(block + FIELD_MAJOR, 8, "%07o", major);
	snprintf(block + FIELD_MINOR, 8, "%07o", minor);
	tar_put(out, block, NULL, 0);
}

static inline void pax_record(struct buf *out, const char *key, const void *value,
                              size_t n)
{
	size_t len = strlen(key) + n + 3, digits = 1;

	for (size_t v = 10; v <= len + digits; v *= 10)
		digits++;
	buf_addf(out, "%zu %s=", len + digits, key);
	buf_add(out, value, n);
	buf_addc(out, '\n');
}

/* A pax header of one record. */
static inline void tar_pax(struct buf *out, const char *key, const char *value)
{
	AUTO_BUF body = BUF_INIT;

	pax_record(&body, key, value, strlen(value));
	tar_add(out, "pax", 'x', body.s, body.len);
}

static inline void tar_end(struct buf *out)
{
	for (int i = 0; i < 1024; i++)
		buf_addc(out, '\0');
}

#endif

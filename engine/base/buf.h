#ifndef BASE_BUF_H
#define BASE_BUF_H

/* A growing byte string. `s` is never NULL and always NUL-terminated (the NUL is
 * not counted); appends cannot fail. Start with BUF_INIT, end with buf_fini. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct buf {
	char *s;
	size_t len;
	size_t cap; /* 0: `s` is the shared empty string */
};

extern char buf_empty[1];
#define BUF_INIT                                                                         \
	{                                                                                \
		buf_empty, 0, 0                                                          \
	}

void buf_fini(struct buf *b);
void buf_reset(struct buf *b); /* empty, memory kept */
char *buf_take(struct buf *b); /* caller frees; b is empty again */
void buf_reserve(struct buf *b, size_t more);
void buf_truncate(struct buf *b, size_t len);

void buf_add(struct buf *b, const void *data, size_t n);
void buf_addc(struct buf *b, char c);
void buf_adds(struct buf *b, const char *s);
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_vaddf(struct buf *b, const char *fmt, va_list ap);
/* Appends `s` with C0, C1 and bidi controls escaped, for showing foreign text. */
void buf_add_printable(struct buf *b, const char *s, size_t n);

/* Little-endian integers and length-prefixed strings, for our own file formats. */
void buf_add_u32(struct buf *b, uint32_t v);
void buf_add_u64(struct buf *b, uint64_t v);
void buf_add_str(struct buf *b, const void *data, size_t n); /* u32 length, bytes */

#define AUTO_BUF AUTO(buf_fini) struct buf

#endif

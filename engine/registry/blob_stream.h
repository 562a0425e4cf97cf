#ifndef REGISTRY_BLOB_STREAM_H
#define REGISTRY_BLOB_STREAM_H

/* A blob of a registry read as it comes, on its way to another one: on a thread of its
 * own, a few MiB ahead of the reader, and never on disk. For one reader. */
#include "registry/client.h"

struct blob_stream;

/* Asks for nothing yet. All is borrowed. */
struct blob_stream *blob_stream_new(struct registry *r, const struct reference *from,
                                    const struct descriptor *blob);
void blob_stream_free(struct blob_stream *s); /* NULL is fine */
/* What was read was not the blob (`why`). True: that was a mirror's fault, and another
 * place may be asked, by a new stream. */
bool blob_stream_distrust(struct blob_stream *s, const struct err *why);
/* At most n bytes from position `at`, which costs a request where it is not behind the
 * last byte read. Not verified. More than 0 bytes, or -1. */
MUST_CHECK ssize_t blob_stream_read(struct blob_stream *s, int64_t at, void *out,
                                    size_t n, struct err *e);

#endif

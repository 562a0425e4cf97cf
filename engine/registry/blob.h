#ifndef REGISTRY_BLOB_H
#define REGISTRY_BLOB_H

/* Blobs on the wire, below the public calls. */
#include "registry/call.h"

struct blob_stream;

/* A blob of the store, or of another registry, as a request's body: any part of it,
 * verified once all of it has been read. */
struct blob_source {
	struct http_source source;
	struct blobs *store;
	const struct descriptor *blob;
	int fd;
	struct blob_stream *stream; /* instead of the store; or NULL */
	int64_t start, end, at;     /* the part, and where in the blob the next byte is */
	struct hasher hash;
	int64_t hashed; /* bytes from the front that the hash has seen; -1: it is over */
	struct progress *progress;
	void (*tick)(void *user); /* at least once a second, or NULL */
	void *user;
	const char *what;
	struct err *e;
};

MUST_CHECK int blob_source_open(struct blob_source *s, struct blobs *store,
                                const struct descriptor *blob, struct err *e);
/* Of another registry. */
void blob_source_stream(struct blob_source *s, struct blob_stream *from,
                        const struct descriptor *blob, struct err *e);
void blob_source_close(struct blob_source *s);
/* Makes [start, end) the body of the next request. */
struct http_source *blob_source_part(struct blob_source *s, int64_t start, int64_t end);

/* HEAD with the given rights. 1, 0, -1. */
MUST_CHECK int blob_exists(struct registry *r, struct host *h, const char *repo,
                           const struct strlist *scopes, const struct digest *d,
                           struct err *e);

/* Uploads what the source holds. `location` is a session that a mount has opened, or
 * NULL; it is freed. */
MUST_CHECK int upload_blob(struct registry *r, const struct reference *ref,
                           struct blob_source *s, char *location, struct err *e);
/* The next byte that a session waits for by its Range header ("0-99", "bytes=0-99"); -1:
 * it does not tell. */
int64_t upload_offset(const char *range);

/* A blob's bytes from `start` on, as they come, to `take`; none of them are verified. *by
 * is who gave the last of them, or NULL. */
MUST_CHECK int download_pass(struct registry *r, const struct reference *ref,
                             const struct descriptor *d, int64_t start,
                             int (*take)(void *self, const void *data, size_t n,
                                         struct err *e),
                             void *self, struct host **by, struct err *e);
/* "START-END/TOTAL" of a Content-Range: where it starts; -1: it is not one. */
int64_t download_start(const char *content_range);

#endif

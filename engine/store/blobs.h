#ifndef STORE_BLOBS_H
#define STORE_BLOBS_H

/* Blobs named by SHA-256 under <store>/blobs/sha256, as in an OCI layout. A blob is
 * absent or whole, never partial, so readers take no lock. A blob's mtime says when it
 * was last asked for, to BLOB_USE_GRAIN seconds: it is set, not durably, by whoever finds
 * it there, and gc goes by it. */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"

enum { BLOB_USE_GRAIN = 30 * 60 };

struct blobs;

/* `store_dir` is borrowed. A store that is read only says nothing of what it uses; what
 * comes in stays in memory, is for documents, and forgotten in the end. */
MUST_CHECK int blobs_open(struct blobs **out, int store_dir, bool read_only,
                          struct err *e);
void blobs_close(struct blobs *b);

bool blobs_has(struct blobs *b, const struct digest *d, int64_t *size); /* size may be
                                                                           NULL */
/* An fd (caller closes) to read from, not verified yet. ERR_NOT_FOUND if absent. */
MUST_CHECK int blobs_get(struct blobs *b, const struct digest *d, int64_t *size,
                         struct err *e);
/* Appends a blob of at most `limit` bytes, verified. One whose bytes do not fit its name
 * is put aside (rotten/), so that it is made anew, and ERR_CORRUPT. */
MUST_CHECK int blobs_read(struct blobs *b, const struct digest *d, size_t limit,
                          struct buf *out, struct err *e);
/* Hashes the blob; puts a rotten one aside as above. */
MUST_CHECK int blobs_verify(struct blobs *b, const struct digest *d, struct err *e);
/* Only hashes it, and says nothing of its being used. */
MUST_CHECK int blobs_check(struct blobs *b, const struct digest *d, bool *whole,
                           struct err *e);
/* For a reader that found a blob rotten while streaming it: puts it aside, and says so
 * (ERR_CORRUPT). */
int blobs_rotten(struct blobs *b, const struct digest *d, struct err *e);
void blobs_discard(struct blobs *b, const struct digest *d); /* puts it aside silently */

/* Writing: hashed as it comes; named at commit. */
struct blob_writer {
	struct blobs *store;
	int fd;
	struct hasher hash;
	int64_t size;
	int64_t begun; /* bytes that the system was told to write out */
	char name[40]; /* of the temporary file; "": it has none */
	bool first;    /* another one follows, whose commit syncs both names */
};

MUST_CHECK int blob_begin(struct blob_writer *w, struct blobs *b, struct err *e);
MUST_CHECK int blob_write(struct blob_writer *w, const void *data, size_t n,
                          struct err *e);
/* Syncs and names it. If `expect` is not NULL, other bytes are ERR_CORRUPT and nothing is
 * kept. *got may be NULL. The writer is over either way. */
MUST_CHECK int blob_commit(struct blob_writer *w, const struct digest *expect,
                           struct digest *got, struct err *e);
void blob_abort(struct blob_writer *w); /* after commit it does nothing */

/* Bytes of the blobs that came in since blobs_open. */
int64_t blobs_added(const struct blobs *b);

/* For gc and fsck. Calls fn for every file among the blobs, in no order; `d` is NULL if
 * its name is no digest. fn returns nonzero to stop, which is returned. */
struct stat;
int blobs_each(struct blobs *b,
               int (*fn)(void *self, const char *name, const struct digest *d,
                         const struct stat *st),
               void *self, struct err *e);
/* Removes those that nobody asked for since `before` (seconds since 1970), all of them if
 * it is INT64_MAX; nobody can ask for one meanwhile. gone[i] says which are away now. */
MUST_CHECK int blobs_evict(struct blobs *b, const struct digest *list, size_t n,
                           int64_t before, bool *gone, struct err *e);

/* begin, write, commit in one. */
MUST_CHECK int blobs_put(struct blobs *b, const void *data, size_t n, struct digest *got,
                         struct err *e);
/* For a blob that goes with another: after a power cut its name is only sure to be there
 * when that one has been committed. */
MUST_CHECK int blobs_put_first(struct blobs *b, const void *data, size_t n,
                               struct digest *got, struct err *e);

#endif

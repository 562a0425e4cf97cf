#ifndef IMAGE_PACK_H
#define IMAGE_PACK_H

/* Writes a layer: our own ustar/pax stream, compressed, into the store, with its table of
 * contents. The tar bytes, and so the diff ID, are a function of the entries alone
 * (2-architecture.md, "Layers"; OCI image-spec 1.1, layer.md). */
#include "image/codec.h"
#include "image/toc.h"
#include "store/blobs.h"

struct layer {
	struct digest diff_id;  /* of the tar stream */
	struct descriptor blob; /* as stored: media type, digest, size */
	struct digest toc;      /* of the table's blob; zero: not made yet */
	int64_t toc_size;
	/* Another machine made it: blob and table are in a remote cache, and in the store
	 * only once they were needed. */
	bool remote;
};

struct packer;
MUST_CHECK int packer_open(struct packer **out, struct blobs *store, enum codec codec,
                           struct pool *pool, struct err *e);
/* Entries come in any order that puts directories before what is in them and a hard
 * link's target before the link; the caller sorts, since the order is part of the bytes.
 * For a TOC_FILE, exactly entry->size bytes follow through packer_data or packer_put;
 * entry->digest, unless zero, must be theirs (else ERR_CORRUPT naming the path).
 * Whiteouts become ".wh." entries. */
MUST_CHECK int packer_entry(struct packer *p, const struct toc_entry *entry,
                            struct err *e);
MUST_CHECK int packer_data(struct packer *p, const void *data, size_t n, struct err *e);
/* The same without a copy, for who reads them from somewhere: where the next ones go, *n
 * of them and one at least, until anything else is called; packer_put says that n were
 * put there. */
char *packer_room(struct packer *p, size_t *n);
MUST_CHECK int packer_put(struct packer *p, size_t n, struct err *e);
/* Ends the archive and stores layer and table. */
MUST_CHECK int packer_finish(struct packer *p, struct layer *out, struct err *e);
void packer_close(struct packer *p); /* after finish, or to give up; NULL is fine */

#endif

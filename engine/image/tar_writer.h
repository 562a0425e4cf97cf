#ifndef IMAGE_TAR_WRITER_H
#define IMAGE_TAR_WRITER_H

/* The headers of our own tar streams: POSIX ustar, and a pax extended header before an
 * entry only where ustar cannot say it (tar_writer.c lists when). Private to the packer.
 */
#include "base/buf.h"
#include "image/toc.h"

enum {
	TAR_WRITE_BLOCK = 512,
	TAR_WRITE_END = 2 * TAR_WRITE_BLOCK, /* zeros that end an archive; no more
	                                        blocking */
};

/* Appends the header blocks of an entry. What no reader of ours would take back is
 * ERR_INVALID: odd paths, names that look like whiteouts, ids above 2^32-2, device
 * numbers above 2^21-1. */
MUST_CHECK int tar_write_header(struct buf *out, const struct toc_entry *entry,
                                struct err *e);
/* The same of an entry that is `nsec` nanoseconds younger than its whole seconds say. No
 * layer has such. */
MUST_CHECK int tar_write_header_at(struct buf *out, const struct toc_entry *entry,
                                   int32_t nsec, struct err *e);
size_t tar_write_padding(int64_t size); /* zero bytes after a file's data */

#endif

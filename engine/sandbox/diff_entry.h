#ifndef SANDBOX_DIFF_ENTRY_H
#define SANDBOX_DIFF_ENTRY_H

/* One inode of an upper directory. Inside of diff*.c. */
#include <sys/stat.h>

#include "base/arena.h"
#include "image/toc.h"

enum {
	DIFF_WHITEOUT = 1, /* an empty file marked as such */
	DIFF_OPAQUE = 2,
	DIFF_REDIRECT = 4, /* part of it is elsewhere: not for us to read */
};

/* Which attributes are marks. Of the others, a step or an image may have made some up;
 * they are neither marks nor kept. */
enum {
	DIFF_TRUSTED = 1,
	DIFF_USER = 2,
	DIFF_FUSE = 4,
};

struct diff_reader {
	unsigned believe;
	struct arena *arena; /* gets strings */
};

struct diff;
struct diff_options;
/* diff_read in this process. */
MUST_CHECK int diff_read_here(struct diff *d, const struct diff_options *o,
                              struct err *e);

/* Fills type, mode, owner, device numbers, link and the xattrs that are kept; `t->path`
 * is set and names it in messages. *marks: those of overlayfs. Sockets have type 0. */
MUST_CHECK int diff_entry_read(struct toc_entry *t, int dir, const char *name,
                               const struct stat *st, const struct diff_reader *r,
                               unsigned *marks, struct err *e);
/* Size and digest of a TOC_FILE. */
MUST_CHECK int diff_entry_hash(struct toc_entry *t, int dir, const char *name,
                               struct err *e);
/* It is part of what a layer holds. */
bool diff_xattr_kept(const char *name);
/* Equal in all but time and attributes that are not kept. */
bool diff_entry_same(const struct toc_entry *now, const struct toc_entry *before);

#endif

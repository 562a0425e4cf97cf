#ifndef SANDBOX_DIFF_H
#define SANDBOX_DIFF_H

/* What a step changed: its upper directory, compared with the layers below. The result is
 * a function of what was below and of what can be seen after the step, alone: how the two
 * were joined (overlayfs, fuse-overlayfs, a copy) cannot be told from it. So opaque
 * directories come as whiteouts of what is gone from them, and what was copied up but is
 * as it was below is left out. */
#include "base/vec.h"
#include "sandbox/layers.h"

enum diff_kind {
	DIFF_OVERLAY, /* whiteouts: char 0:0, or an xattr; opaque directories: an xattr;
	               * these are trusted.overlay.* */
	DIFF_OVERLAY_USER, /* mounted with "userxattr": user.overlay.* */
	DIFF_FUSE_OVERLAY, /* either, and ".wh." files, of which a step cannot make any
	                      there */
	DIFF_COPY,         /* the whole file system, made by copying what is below */
};

struct diff_options {
	int upper; /* directory, open for reading; nobody changes it any more */
	struct toc_view lower; /* with settled names: layers_view */
	enum diff_kind kind;
	/* Absolute paths of what was made only so that something could be mounted there.
	 * Left out, but for directories that hold something else. May be NULL. */
	const struct strlist *stubs;
	int64_t mtime; /* for all */
	/* Owners inside mean nothing (SANDBOX_SINGLE): what was there keeps its owner,
	 * else it is 0:0. */
	bool flat;
	bool no_devices; /* devices of the layers could not be unpacked: not seen as
	                    removed */
	/* If `call` is set, all is made readable for us after it was looked at, so that
	 * packing needs no such call: files of other ids are in it, and some that their
	 * owner may not read. */
	struct inside inside;
};

/* Do what `removed` says, then put `entries`. What stands in `removed` too was of another
 * type, or a directory, or will be one. Both are sorted. */
struct diff {
	struct toc removed; /* TOC_WHITEOUT: was there, nothing below it comes too */
	struct toc entries; /* a TOC_FILE's bytes are at its path in the upper directory
	                     */
};

/* Kept extended attributes: user.*, security.capability. Sockets, times and the marks of
 * overlayfs are no difference. ERR_INVALID: the step made what a layer cannot hold (names
 * that begin with ".wh."). */
MUST_CHECK int diff_read(struct diff *d, const struct diff_options *o, struct err *e);
void diff_fini(struct diff *d); /* also after an error */
bool diff_is_empty(const struct diff *d);

#endif

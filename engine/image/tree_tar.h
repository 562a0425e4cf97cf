#ifndef IMAGE_TREE_TAR_H
#define IMAGE_TREE_TAR_H

/* A directory as a tar stream and back: what is in it and itself, with modes, owners,
 * hard links, and times to the nanosecond, without which make and ninja would take old
 * for new. No layer: names are those of the directory alone, nothing is a whiteout.
 * Owners are ids as the calling process has them. Extended attributes are left out, and
 * so is what cannot be kept: sockets, FIFOs, devices. */
#include "image/codec.h"

/* Writes the stream to `out`, a function of the tree alone; nobody may change it
 * meanwhile (ERR_CHANGED). *newest: the latest ctime of all, in nanoseconds since 1970,
 * raised only. ERR_LIMIT: more than tree_tar_read takes. */
MUST_CHECK int tree_tar_write(int dir, int out, int64_t *newest, struct err *e);

/* Fills the empty directory `root` from a stream of strangers: nothing outside of it is
 * touched (image/place.h), and no more made than the limits of layers allow. After an
 * error it holds a part. */
MUST_CHECK int tree_tar_read(struct source *in, enum codec codec, int root,
                             struct err *e);

#endif

#ifndef OS_STAMP_H
#define OS_STAMP_H

/* What tells whether a file's content is still what it was when it was read.
 *
 * A digest may be remembered under a stamp only if each later change is bound to leave
 * another stamp. Three things are needed for that:
 *
 * 1. The file system stamps each change. Local disk file systems do, with the kernel's
 *    own clock; those are `stamp_trusted`. A network file system's stamps come from
 *    another machine's clock, late and out of an attribute cache; FUSE's are whatever the
 *    daemon says; on tmpfs a store into a mapped page leaves no stamp at all (it has no
 *    write-back, so pages are never write-protected; tried on Linux 6.18), and overlayfs
 *    shows the stamps of an inode whose writers it does not count. On those, and on all
 *    that are not known, each file is read each time.
 *
 * 2. Nobody writes without stamping. A store into a page of a shared mapping stamps only
 *    when the page goes from clean to dirty, so a program that keeps a file mapped may
 *    change it for half a minute under one stamp. A read lease is only given where nobody
 *    has the file open or mapped for writing, and is given back at once; where the kernel
 *    gives no lease (a file of another user's), dirty pages are written out first, which
 *    makes the next store fault and stamp. See stamp_unwritten.
 *
 * 3. Both times lie safely before the file system's now (git's racy rule): a second
 *    change within the same tick leaves the same stamp. No file is touched to learn that
 *    now, since the project is the user's, and may be read-only: trusted file systems
 *    stamp with CLOCK_REALTIME_COARSE, truncated to their own grain (a second on old
 *    ext3), and it is asked before the file is read, so that the stamp of any later
 *    change is not before it. Multigrain stamps (Linux 6.13) are finer where somebody has
 *    looked, but never before the coarse clock. STAMP_GRAIN covers tick, grain and small
 *    steps of the clock. Files with times in the future are never settled.
 *
 * ctime cannot be set by any call, so an older file put back, a rename and a restored
 * mtime all show. Equality decides, never "newer". */
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define STAMP_GRAIN ((int64_t)2000000000)

struct stamp {
	uint64_t dev, ino;
	int64_t size;
	int64_t mtime, ctime; /* ns since 1970 */
};

void stamp_of(struct stamp *out, const struct stat *st);
bool stamp_same(const struct stamp *a, const struct stamp *b);
/* `fs_now` as above, `grain` in ns. */
bool stamp_settled(const struct stamp *s, int64_t fs_now, int64_t grain);
/* The clock that trusted file systems stamp with. */
int64_t stamp_now(void);

/* The file system that `fd` is on stamps each change by this kernel's clock. */
bool stamp_trusted(int fd);
/* Tells file systems apart that come after each other under one device number, as images
 * do that are mounted at one loop device: they may have been made with the same times and
 * inodes, which no change between them has stamped. `dev` is st_dev. */
uint64_t stamp_instance(int fd, uint64_t dev);
/* No store can change the file, which is open for reading only, from now on without
 * stamping it. To be asked before it is read. */
bool stamp_unwritten(int fd);

#endif

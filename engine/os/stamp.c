#include "os/stamp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* Beyond the year 2262: a time that no clock shows, so never settled. */
static int64_t in_ns(const struct timespec *t)
{
	int64_t ns;

	if (__builtin_mul_overflow((int64_t)t->tv_sec, 1000000000, &ns) ||
	    __builtin_add_overflow(ns, t->tv_nsec, &ns))
		return INT64_MAX;
	return ns;
}

void stamp_of(struct stamp *out, const struct stat *st)
{
	out->dev = st->st_dev;
	out->ino = st->st_ino;
	out->size = st->st_size;
	out->mtime = in_ns(&st->st_mtim);
	out->ctime = in_ns(&st->st_ctim);
}

bool stamp_same(const struct stamp *a, const struct stamp *b)
{
	return a->ctime == b->ctime && a->mtime == b->mtime && a->size == b->size &&
	       a->ino == b->ino && a->dev == b->dev;
}

bool stamp_settled(const struct stamp *s, int64_t fs_now, int64_t grain)
{
	return s->mtime < fs_now - grain && s->ctime < fs_now - grain;
}

int64_t stamp_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return in_ns(&t);
}

bool stamp_trusted(int fd)
{
	enum { XFS_MAGIC = 0x58465342 };
	struct statfs fs;
	unsigned type;

	if (fstatfs(fd, &fs) < 0)
		return false;
	type = (unsigned)fs.f_type;
	return type == EXT4_SUPER_MAGIC || type == XFS_MAGIC ||
	       type == BTRFS_SUPER_MAGIC || type == F2FS_SUPER_MAGIC;
}

/* Counts up whenever a disk comes, since Linux 5.15. A partition's is its disk's. */
static uint64_t disk_sequence(uint64_t dev)
{
	static const char *const places[] = { "diskseq", "../diskseq" };
	char path[80], text[32];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int fd;
		ssize_t n;

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(dev),
		         minor(dev), places[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[n > 0 ? n : 0] = '\0';
		return strtoull(text, NULL, 10);
	}
	return 0;
}

uint64_t stamp_instance(int fd, uint64_t dev)
{
	struct statfs fs;
	uint64_t id = 0;

	if (fstatfs(fd, &fs) == 0)
		memcpy(&id, &fs.f_fsid, sizeof(id));
	/* Any odd number would do: the two must not cancel each other out. */
	return id * 0x9e3779b97f4a7c15U + disk_sequence(dev);
}

bool stamp_unwritten(int fd)
{
	const unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
	                     SYNC_FILE_RANGE_WAIT_AFTER;

	/* Who opens the file for writing meanwhile waits until the lease is given back,
	 * and the kernel tells us by a signal, which by default would end us: this one is
	 * ignored by default. */
	if (fcntl(fd, F_SETSIG, SIGURG) == 0 && fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
		(void)!fcntl(fd, F_SETLEASE, F_UNLCK);
		return true;
	}
	if (errno == EAGAIN)
		return false;
	return sync_file_range(fd, 0, 0, all) == 0;
}

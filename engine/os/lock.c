#include "os/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "os/fd.h"

static int take(int dir, const char *name, int op, struct err *e)
{
	AUTO_CLOSE int fd =
		openat(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int out;

	if (fd < 0)
		return err_sys(e, "open lock %s", name);
	while (flock(fd, op) < 0) {
		if (errno == EWOULDBLOCK)
			return err_set(e, ERR_EXISTS, "%s is locked by another process",
			               name);
		if (errno != EINTR)
			return err_sys(e, "lock %s", name);
	}
	out = fd;
	fd = -1;
	return out;
}

int lock_take(int dir, const char *name, bool exclusive, struct err *e)
{
	return take(dir, name, exclusive ? LOCK_EX : LOCK_SH, e);
}

int lock_try(int dir, const char *name, bool exclusive, struct err *e)
{
	return take(dir, name, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB, e);
}

int lock_share(int fd, struct err *e)
{
	while (flock(fd, LOCK_SH) < 0)
		if (errno != EINTR)
			return err_sys(e, "share a lock");
	return 0;
}

int lock_raise(int fd, struct err *e)
{
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return lock_share(fd, e);
		if (errno != EINTR)
			return err_sys(e, "raise a lock");
	}
	return 1;
}

int lock_existing(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	while (fd >= 0 && flock(fd, LOCK_SH) < 0)
		if (errno != EINTR)
			fd_close(&fd);
	return fd;
}

int lock_show(int fd, int64_t number, struct err *e)
{
	struct flock l = {
		.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = number, .l_len = 1
	};

	if (fcntl(fd, F_OFD_SETLK, &l) < 0)
		return err_sys(e, "show a lock's number");
	return 0;
}

/* The kernel tells some lock in the range, not the first. */
int64_t lock_lowest_shown(int fd)
{
	int64_t lowest = -1;

	for (;;) {
		struct flock l = { .l_type = F_WRLCK,
			           .l_whence = SEEK_SET,
			           .l_len = lowest < 0 ? 0 : lowest };

		if (lowest == 0 || fcntl(fd, F_OFD_GETLK, &l) < 0 || l.l_type == F_UNLCK)
			return lowest;
		lowest = l.l_start;
	}
}

int lock_number(int dir, const char *name, int64_t number, struct err *e)
{
	struct flock l = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = number, .l_len = 1
	};
	AUTO_CLOSE int fd =
		openat(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int out;

	if (fd < 0)
		return err_sys(e, "open lock %s", name);
	if (fcntl(fd, F_OFD_SETLK, &l) < 0)
		return errno == EAGAIN || errno == EACCES
		               ? err_set(e, ERR_EXISTS, "another has its part of %s",
		                         name)
		               : err_sys(e, "lock %s", name);
	out = fd;
	fd = -1;
	return out;
}

#include "os/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

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

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

void fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int fd_write(int fd, const void *data, size_t n, const char *what, struct err *e)
{
	const char *p = data;

	while (n) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_sys(e, "write %s", what);
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

ssize_t fd_read(int fd, void *data, size_t n, const char *what, struct err *e)
{
	char *p = data;
	size_t got = 0;

	while (got < n) {
		ssize_t k = read(fd, p + got, n - got);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_sys(e, "read %s", what);
		if (k == 0)
			break;
		got += (size_t)k;
	}
	return (ssize_t)got;
}

ssize_t fd_read_cached(int fd, void *data, size_t n, int64_t offset)
{
	struct iovec to = { data, n };
	ssize_t got = preadv2(fd, &to, 1, offset, RWF_NOWAIT);

	return got >= 0 ? got : errno == EAGAIN ? -1 : 0;
}

int fd_read_all(int fd, struct buf *out, size_t limit, const char *what, struct err *e)
{
	enum { STEP = 64 * 1024 };
	size_t start = out->len;

	for (;;) {
		ssize_t k;

		buf_reserve(out, STEP);
		k = fd_read(fd, out->s + out->len, STEP, what, e);
		if (k < 0)
			return -1;
		buf_truncate(out, out->len + (size_t)k);
		if (out->len - start > limit)
			return err_set(e, ERR_LIMIT, "%s is larger than %zu bytes", what,
			               limit);
		if (k < STEP)
			return 0;
	}
}

int fd_sync(int fd, const char *what, struct err *e)
{
	if (fsync(fd) < 0)
		return err_sys(e, "sync %s", what);
	return 0;
}

void fd_forget(int fd, int64_t n)
{
	/* Advice: who cannot take it loses nothing. */
	(void)posix_fadvise(fd, 0, n, POSIX_FADV_DONTNEED);
}

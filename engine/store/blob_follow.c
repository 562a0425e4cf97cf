#include "store/blob_follow.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/fd.h"

/* The last part has hardly been written to the disk yet. */
enum { FORGET_EVERY = 4 << 20, NOT_WRITTEN = 12 << 20 };

struct blob_follow {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	int fd;
	int64_t size, at; /* `at` is the reader's */
	bool begun, again, ended;
};

struct blob_follow *blob_follow_new(void)
{
	struct blob_follow *f = mem_alloc(sizeof(*f));

	f->fd = -1;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->moved, NULL);
	return f;
}

void blob_follow_free(struct blob_follow *f)
{
	if (!f)
		return;
	fd_close(&f->fd);
	pthread_cond_destroy(&f->moved);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

void blob_follow_begin(struct blob_follow *f, int fd)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	if (!f->begun)
		f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	f->again = f->begun || f->fd < 0;
	f->begun = true;
	pthread_cond_signal(&f->moved);
	pthread_mutex_unlock(&f->lock);
}

void blob_follow_grow(struct blob_follow *f, int64_t size)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->size = size;
	pthread_cond_signal(&f->moved);
	pthread_mutex_unlock(&f->lock);
}

void blob_follow_end(struct blob_follow *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->ended = true;
	f->again |= !f->begun; /* it was there already */
	pthread_cond_signal(&f->moved);
	pthread_mutex_unlock(&f->lock);
}

/* Bytes that are there and not read yet. */
static int64_t wait_for_bytes(struct blob_follow *f, bool *again)
{
	int64_t n;

	pthread_mutex_lock(&f->lock);
	while (f->size <= f->at && !f->again && !f->ended)
		pthread_cond_wait(&f->moved, &f->lock);
	n = f->size - f->at;
	*again = f->again;
	pthread_mutex_unlock(&f->lock);
	return n > 0 ? n : 0;
}

static void move_on(struct blob_follow *f, int64_t n)
{
	int64_t before = f->at;

	f->at += n;
	if (before / FORGET_EVERY != f->at / FORGET_EVERY && f->at > NOT_WRITTEN)
		fd_forget(f->fd, f->at - NOT_WRITTEN);
}

ssize_t blob_follow_read(struct blob_follow *f, void *data, size_t n, struct err *e)
{
	bool again;
	int64_t there = wait_for_bytes(f, &again);
	ssize_t got;

	if (again)
		return err_set(e, ERR_CANCELLED, "the blob is written anew");
	if ((uint64_t)there < n)
		n = (size_t)there;
	do
		got = n ? pread(f->fd, data, n, f->at) : 0;
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_sys(e, "read a blob");
	move_on(f, got);
	return got;
}

bool blob_follow_again(struct blob_follow *f)
{
	bool again;

	pthread_mutex_lock(&f->lock);
	again = f->again;
	pthread_mutex_unlock(&f->lock);
	return again;
}

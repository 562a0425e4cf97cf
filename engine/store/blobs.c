#include "store/blobs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/lock.h"
#include "store/scratch.h"

struct blobs {
	int store;
	int dir; /* blobs/sha256; -1 in a store that does not exist yet */
	int tmp;
	int rotten;
	bool read_only;
	struct scratch *scratch; /* of a store that is read only: what comes in */
	atomic_uint serial;
	atomic_llong added;
};

/* Shared by those who say that they use a blob, exclusive for those who remove some: so
 * that what was said to be there stays. */
static const char use_lock[] = "blobs/use.lock";

static int open_dir(int store_dir, const char *path, bool create, struct err *e)
{
	int fd;

	if (create && file_mkdirs(store_dir, path, 0700, e) < 0)
		return -1;
	fd = openat(store_dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && create)
		return err_sys(e, "open %s in the store", path);
	return fd;
}

int blobs_open(struct blobs **out, int store_dir, bool read_only, struct err *e)
{
	struct blobs *b = mem_alloc(sizeof(*b));

	*out = b;
	b->read_only = read_only;
	b->store = store_dir;
	b->tmp = b->rotten = -1;
	b->dir = open_dir(store_dir, "blobs/sha256", !read_only, e);
	if (read_only) {
		b->scratch = scratch_new();
		return 0;
	}
	if (b->dir >= 0)
		b->tmp = open_dir(store_dir, "tmp", true, e);
	if (b->tmp >= 0)
		b->rotten = open_dir(store_dir, "rotten", true, e);
	if (b->rotten >= 0)
		return 0;
	blobs_close(b);
	*out = NULL;
	return -1;
}

void blobs_close(struct blobs *b)
{
	if (!b)
		return;
	fd_close(&b->dir);
	fd_close(&b->tmp);
	fd_close(&b->rotten);
	scratch_free(b->scratch);
	free(b);
}

/* False if it is gone. Times of the future are somebody's wrong clock. */
static bool use(struct blobs *b, const char *hex, const struct stat *st)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
		                           { .tv_nsec = UTIME_NOW } };
	int64_t age = clock_wall_s() - st->st_mtime;
	AUTO_CLOSE int lock = -1;
	struct err ignored;

	if (b->read_only || (age < BLOB_USE_GRAIN && age > -BLOB_USE_GRAIN))
		return true;
	lock = lock_take(b->store, use_lock, false, &ignored);
	return utimensat(b->dir, hex, times, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

bool blobs_has(struct blobs *b, const struct digest *d, int64_t *size)
{
	char hex[DIGEST_HEX + 1];
	struct stat st;

	if (b->scratch && scratch_has(b->scratch, d, size))
		return true;
	if (b->dir < 0 ||
	    fstatat(b->dir, digest_hex(d, hex), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (!S_ISREG(st.st_mode) || !use(b, hex, &st))
		return false;
	if (size)
		*size = st.st_size;
	return true;
}

static int open_blob(struct blobs *b, const struct digest *d, struct stat *st,
                     struct err *e)
{
	char hex[DIGEST_HEX + 1];
	int fd;

	digest_hex(d, hex);
	if (b->scratch && scratch_has(b->scratch, d, NULL)) {
		fd = scratch_get(b->scratch, d, e);
		if (fd >= 0 && fstat(fd, st) < 0)
			st->st_size = 0;
		return fd;
	}
	if (b->dir < 0)
		return err_set(e, ERR_NOT_FOUND, "blob sha256:%s is not in the store",
		               hex);
	fd = openat(b->dir, hex, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, "blob sha256:%s is not in the store",
		               hex);
	if (fd < 0)
		return err_sys(e, "open blob sha256:%s", hex);
	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode)) {
		fd_close(&fd);
		return err_set(e, ERR_CORRUPT, "blob sha256:%s is not a regular file",
		               hex);
	}
	return fd;
}

int blobs_get(struct blobs *b, const struct digest *d, int64_t *size, struct err *e)
{
	char hex[DIGEST_HEX + 1];
	struct stat st;
	int fd = open_blob(b, d, &st, e);

	if (fd < 0)
		return -1;
	(void)use(b, digest_hex(d, hex), &st); /* what is open stays readable */
	if (size)
		*size = st.st_size;
	return fd;
}

void blobs_discard(struct blobs *b, const struct digest *d)
{
	char hex[DIGEST_HEX + 1];

	/* Kept for whoever wants to know what happened to the disk. If even that fails
	 * the blob must still not be trusted again. */
	digest_hex(d, hex);
	if (b->read_only)
		return;
	if (b->rotten < 0 || renameat(b->dir, hex, b->rotten, hex) < 0)
		unlinkat(b->dir, hex, 0);
}

int blobs_rotten(struct blobs *b, const struct digest *d, struct err *e)
{
	blobs_discard(b, d);
	if (b->read_only)
		return err_set(e, ERR_CORRUPT, "blob %s in the store is damaged",
		               DIGEST_STR(d));
	return err_set(
		e, ERR_CORRUPT,
		"blob %s in the store is damaged; it was put aside, run again to make it anew",
		DIGEST_STR(d));
}

int blobs_read(struct blobs *b, const struct digest *d, size_t limit, struct buf *out,
               struct err *e)
{
	AUTO_CLOSE int fd = blobs_get(b, d, NULL, e);
	size_t start = out->len;
	struct digest got;

	if (fd < 0 || fd_read_all(fd, out, limit, "a blob", e) < 0)
		return -1;
	digest_of(&got, out->s + start, out->len - start);
	if (digest_equal(&got, d))
		return 0;
	buf_truncate(out, start);
	return blobs_rotten(b, d, e);
}

int blobs_check(struct blobs *b, const struct digest *d, bool *whole, struct err *e)
{
	enum { CHUNK = 256 * 1024 };
	struct stat st;
	AUTO_CLOSE int fd = open_blob(b, d, &st, e);
	AUTO_FREE char *chunk = mem_alloc(CHUNK);
	struct digest got;
	struct hasher h;
	ssize_t n;

	if (fd < 0)
		return -1;
	hasher_init(&h);
	while ((n = fd_read(fd, chunk, CHUNK, "a blob", e)) > 0)
		hasher_add(&h, chunk, (size_t)n);
	hasher_end(&h, &got);
	*whole = digest_equal(&got, d);
	return n < 0 ? -1 : 0;
}

int blobs_verify(struct blobs *b, const struct digest *d, struct err *e)
{
	bool whole;

	(void)blobs_has(b, d, NULL); /* says that it is used */
	if (blobs_check(b, d, &whole, e) < 0)
		return -1;
	return whole ? 0 : blobs_rotten(b, d, e);
}

int blob_begin(struct blob_writer *w, struct blobs *b, struct err *e)
{
	*w = (struct blob_writer){ .store = b, .fd = -1 };
	if (b->scratch) {
		w->fd = scratch_begin(e);
		if (w->fd < 0)
			return -1;
		hasher_init(&w->hash);
		return 0;
	}
	do { /* containers that share a store have the same pids */
		snprintf(w->name, sizeof(w->name), "blob.%d.%u", (int)getpid(),
		         atomic_fetch_add(&b->serial, 1));
		w->fd = openat(b->tmp, w->name,
		               O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	} while (w->fd < 0 && errno == EEXIST);
	if (w->fd < 0)
		return err_sys(e, "create a temporary file in the store");
	hasher_init(&w->hash);
	return 0;
}

enum { WRITE_OUT = 8 << 20 };

/* The disk works while we do, so that the sync at the end finds little left to write. */
static void begin_writing_out(struct blob_writer *w)
{
	if (w->size - w->begun < WRITE_OUT)
		return;
	if (sync_file_range(w->fd, w->begun, w->size - w->begun, SYNC_FILE_RANGE_WRITE) <
	    0)
		return; /* not every file system can, and the sync is what counts */
	w->begun = w->size;
}

int blob_write(struct blob_writer *w, const void *data, size_t n, struct err *e)
{
	if (fd_write(w->fd, data, n, "a blob to the store", e) < 0)
		return -1;
	hasher_add(&w->hash, data, n);
	w->size += (int64_t)n;
	if (!w->store->scratch)
		begin_writing_out(w);
	return 0;
}

void blob_abort(struct blob_writer *w)
{
	if (w->fd < 0)
		return;
	if (*w->name)
		unlinkat(w->store->tmp, w->name, 0);
	fd_close(&w->fd);
	hasher_drop(&w->hash);
}

/* The bytes are synced before they get their name, and the name before anyone records it:
 * after a power cut a blob is whole or absent. */
static int name_blob(struct blob_writer *w, const struct digest *d, struct err *e)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(d, hex);
	if (fchmod(w->fd, 0400) < 0)
		return err_sys(e, "protect blob sha256:%s", hex);
	if (!blobs_has(w->store, d, NULL)) { /* else someone stored the same bytes first
		                              */
		if (fd_sync(w->fd, "a blob", e) < 0)
			return -1;
		if (renameat(w->store->tmp, w->name, w->store->dir, hex) < 0)
			return err_sys(e, "name blob sha256:%s", hex);
		*w->name = '\0'; /* it is free for others */
		atomic_fetch_add(&w->store->added, w->size);
	}
	return w->first ? 0 : fd_sync(w->store->dir, "the store", e);
}

int blob_commit(struct blob_writer *w, const struct digest *expect, struct digest *got,
                struct err *e)
{
	struct digest d;
	int rc;

	hasher_end(&w->hash, &d);
	if (expect && !digest_equal(expect, &d))
		rc = err_set(e, ERR_CORRUPT, "expected %s, but the bytes are %s",
		             DIGEST_STR(expect), DIGEST_STR(&d));
	else
		rc = w->store->scratch ? scratch_add(w->store->scratch, &d, w->fd, e)
		                       : name_blob(w, &d, e);
	if (*w->name)
		unlinkat(w->store->tmp, w->name, 0);
	fd_close(&w->fd);
	if (got)
		*got = d;
	return rc;
}

static int put(struct blobs *b, const void *data, size_t n, bool first,
               struct digest *got, struct err *e)
{
	struct blob_writer w;
	struct digest d;

	digest_of(&d, data, n);
	if (blobs_has(b, &d, NULL)) {
		if (got)
			*got = d;
		return 0;
	}
	if (blob_begin(&w, b, e) < 0)
		return -1;
	w.first = first;
	if (blob_write(&w, data, n, e) < 0) {
		blob_abort(&w);
		return -1;
	}
	return blob_commit(&w, &d, got, e);
}

int blobs_put(struct blobs *b, const void *data, size_t n, struct digest *got,
              struct err *e)
{
	return put(b, data, n, false, got, e);
}

int blobs_put_first(struct blobs *b, const void *data, size_t n, struct digest *got,
                    struct err *e)
{
	return put(b, data, n, true, got, e);
}

int64_t blobs_added(const struct blobs *b)
{
	return atomic_load(&b->added);
}

static bool is_hex(const char *name, struct digest *d)
{
	AUTO_BUF text = BUF_INIT;
	struct err ignored;

	buf_addf(&text, "sha256:%s", name);
	return digest_parse(d, text.s, &ignored) == 0;
}

int blobs_each(struct blobs *b,
               int (*fn)(void *self, const char *name, const struct digest *d,
                         const struct stat *st),
               void *self, struct err *e)
{
	int copy =
		b->dir < 0 ? -1 : openat(b->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *ent;
	int rc = 0;

	if (b->dir < 0)
		return 0;
	if (!dir) {
		err_sys(e, "list the blobs");
		fd_close(&copy);
		return -1;
	}
	while (rc == 0 && (ent = readdir(dir))) {
		struct digest d;
		struct stat st;

		if (!strcmp(ent->d_name, ".") || !strcmp(ent->d_name, "..") ||
		    fstatat(b->dir, ent->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		rc = fn(self, ent->d_name, is_hex(ent->d_name, &d) ? &d : NULL, &st);
	}
	closedir(dir);
	return rc;
}

int blobs_evict(struct blobs *b, const struct digest *list, size_t n, int64_t before,
                bool *gone, struct err *e)
{
	AUTO_CLOSE int lock = lock_take(b->store, use_lock, true, e);

	if (lock < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		char hex[DIGEST_HEX + 1];
		struct stat st;

		digest_hex(&list[i], hex);
		gone[i] = fstatat(b->dir, hex, &st, AT_SYMLINK_NOFOLLOW) < 0;
		if (gone[i] || st.st_mtime >= before)
			continue;
		if (unlinkat(b->dir, hex, 0) < 0 && errno != ENOENT)
			return err_sys(e, "remove blob sha256:%s", hex);
		gone[i] = true;
	}
	return 0;
}

#include <errno.h>
#include <unistd.h>

#include "os/fd.h"
#include "registry/blob.h"
#include "registry/blob_stream.h"

enum { SAY_EVERY = 1 << 20, FORGET_EVERY = 4 << 20 };

/* Not one byte more is sent of a blob that has rotted; the registry would refuse it
 * anyway, later. */
static int verify(struct blob_source *s)
{
	struct digest got;

	hasher_end(&s->hash, &got);
	s->hashed = -1;
	if (digest_equal(&got, &s->blob->digest))
		return 0;
	if (s->stream)
		return err_set(s->e, ERR_CORRUPT, "expected %s, but the bytes are %s",
		               DIGEST_STR(&s->blob->digest), DIGEST_STR(&got));
	return blobs_rotten(s->store, &s->blob->digest, s->e);
}

static void tell(struct blob_source *s, int64_t n)
{
	if (s->what &&
	    (s->at / SAY_EVERY != (s->at - n) / SAY_EVERY || s->at == s->blob->size))
		progress_bytes(s->progress, NULL, s->what, s->at, s->blob->size);
}

static void move_on(struct blob_source *s, int64_t n)
{
	int64_t before = s->at;

	s->at += n;
	tell(s, n);
	if (s->fd >= 0 &&
	    (before / FORGET_EVERY != s->at / FORGET_EVERY || s->at == s->blob->size))
		fd_forget(s->fd, s->at);
}

static ssize_t read_some(struct blob_source *s, void *out, size_t n)
{
	ssize_t got;

	if (s->stream)
		return blob_stream_read(s->stream, s->at, out, n, s->e);
	do
		got = pread(s->fd, out, n, s->at);
	while (got < 0 && errno == EINTR);
	return got < 0 ? err_sys(s->e, "read blob %s", DIGEST_STR(&s->blob->digest))
	               : got;
}

static ssize_t source_read(struct http_source *self, void *out, size_t n)
{
	struct blob_source *s = (struct blob_source *)self;
	ssize_t got;

	if ((int64_t)n > s->end - s->at)
		n = (size_t)(s->end - s->at);
	/* What is sent again ends where the hash goes on. */
	if (s->at < s->hashed && (int64_t)n > s->hashed - s->at)
		n = (size_t)(s->hashed - s->at);
	if (n == 0)
		return 0;
	got = read_some(s, out, n);
	if (got < 0)
		return -1;
	if (got == 0) {
		blobs_discard(s->store, &s->blob->digest);
		return err_set(s->e, ERR_CORRUPT,
		               "blob %s in the store is cut short; it was put aside",
		               DIGEST_STR(&s->blob->digest));
	}
	if (s->at == s->hashed) { /* what is sent again has been hashed before */
		hasher_add(&s->hash, out, (size_t)got);
		s->hashed += got;
		if (s->hashed == s->blob->size && verify(s) < 0)
			return -1;
	}
	move_on(s, got);
	return got;
}

static int source_rewind(struct http_source *self)
{
	struct blob_source *s = (struct blob_source *)self;

	/* A repetition may start inside what was hashed, since the hash only ever goes on
	 * at its end. */
	s->at = s->start;
	return 0;
}

static void source_tick(struct http_source *self)
{
	struct blob_source *s = (struct blob_source *)self;

	if (s->tick)
		s->tick(s->user);
}

static void begin(struct blob_source *s)
{
	s->source.read = source_read;
	s->source.rewind = source_rewind;
	s->source.tick = source_tick;
	hasher_init(&s->hash);
	s->hashed = 0;
}

int blob_source_open(struct blob_source *s, struct blobs *store,
                     const struct descriptor *blob, struct err *e)
{
	int64_t size;

	*s = (struct blob_source){ .store = store, .blob = blob, .hashed = -1, .e = e };
	s->fd = blobs_get(store, &blob->digest, &size, e);
	if (s->fd < 0)
		return -1;
	if (size != blob->size) {
		fd_close(&s->fd);
		return err_set(e, ERR_CORRUPT,
		               "blob %s has %lld bytes, not the %lld it is said to have",
		               DIGEST_STR(&blob->digest), (long long)size,
		               (long long)blob->size);
	}
	begin(s);
	return 0;
}

void blob_source_stream(struct blob_source *s, struct blob_stream *from,
                        const struct descriptor *blob, struct err *e)
{
	*s = (struct blob_source){ .stream = from, .blob = blob, .fd = -1, .e = e };
	begin(s);
}

void blob_source_close(struct blob_source *s)
{
	if (s->hashed >= 0)
		hasher_drop(&s->hash);
	s->hashed = -1;
	fd_close(&s->fd);
}

struct http_source *blob_source_part(struct blob_source *s, int64_t start, int64_t end)
{
	s->start = s->at = start;
	s->end = end;
	s->source.size = end - start;
	return &s->source;
}

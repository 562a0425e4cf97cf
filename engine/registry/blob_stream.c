#include "registry/blob_stream.h"

#include <pthread.h>
#include <string.h>

#include "registry/blob.h"
#include "registry/mirror.h"

enum { AHEAD = 4 << 20 };

struct blob_stream {
	struct registry *registry;
	const struct reference *from;
	const struct descriptor *blob;
	struct host *by; /* who gave what came last, or NULL */
	pthread_t thread;
	bool running; /* the thread is to be joined */
	int64_t at;   /* of the reader */
	pthread_mutex_t lock;
	pthread_cond_t moved;
	char *ring;
	size_t first, len; /* bytes that are there */
	int64_t start;     /* where the thread begins */
	bool stop;         /* the reader wants no more */
	bool over;         /* the thread has nothing more, */
	int rc;            /* for this reason */
	struct err err;
};

struct blob_stream *blob_stream_new(struct registry *r, const struct reference *from,
                                    const struct descriptor *blob)
{
	struct blob_stream *s = mem_alloc(sizeof(*s));

	s->registry = r;
	s->from = from;
	s->blob = blob;
	s->ring = mem_alloc(AHEAD);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->moved, NULL);
	return s;
}

static void append(struct blob_stream *s, const char *data, size_t n)
{
	size_t end = (s->first + s->len) % AHEAD, part = AHEAD - end;

	part = part < n ? part : n;
	memcpy(s->ring + end, data, part);
	memcpy(s->ring, data + part, n - part);
	s->len += n;
}

static int take(void *self, const void *data, size_t n, struct err *e)
{
	struct blob_stream *s = self;
	const char *bytes = data;
	bool stop;

	pthread_mutex_lock(&s->lock);
	while (n && !s->stop) {
		size_t room = AHEAD - s->len, now = n < room ? n : room;

		if (!now) {
			pthread_cond_wait(&s->moved, &s->lock);
			continue;
		}
		append(s, bytes, now);
		bytes += now;
		n -= now;
		pthread_cond_broadcast(&s->moved);
	}
	stop = s->stop;
	pthread_mutex_unlock(&s->lock);
	return stop ? err_set(e, ERR_CANCELLED, "nobody reads it any more") : 0;
}

static void *run(void *arg)
{
	struct blob_stream *s = arg;
	struct host *by = NULL;
	struct err e;
	int rc = download_pass(s->registry, s->from, s->blob, s->start, take, s, &by, &e);

	pthread_mutex_lock(&s->lock);
	s->by = by;
	s->rc = rc;
	if (rc < 0)
		s->err = e;
	s->over = true;
	pthread_cond_broadcast(&s->moved);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void stop(struct blob_stream *s)
{
	if (!s->running)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->moved);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	s->running = false;
}

bool blob_stream_distrust(struct blob_stream *s, const struct err *why)
{
	stop(s);
	return mirror_distrust(s->registry, s->from, s->by, why);
}

void blob_stream_free(struct blob_stream *s)
{
	if (!s)
		return;
	stop(s);
	free(s->ring);
	pthread_cond_destroy(&s->moved);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static int begin(struct blob_stream *s, int64_t at, struct err *e)
{
	stop(s);
	s->first = s->len = 0;
	s->start = s->at = at;
	s->stop = s->over = false;
	s->rc = 0;
	if (pthread_create(&s->thread, NULL, run, s) != 0)
		return err_set(e, ERR_LIMIT, "no thread for a download");
	s->running = true;
	return 0;
}

static size_t take_out(struct blob_stream *s, char *out, size_t n)
{
	size_t part = AHEAD - s->first;

	n = n < s->len ? n : s->len;
	part = part < n ? part : n;
	memcpy(out, s->ring + s->first, part);
	memcpy(out + part, s->ring, n - part);
	s->first = (s->first + n) % AHEAD;
	s->len -= n;
	return n;
}

ssize_t blob_stream_read(struct blob_stream *s, int64_t at, void *out, size_t n,
                         struct err *e)
{
	size_t got;

	if ((!s->running || at != s->at) && begin(s, at, e) < 0)
		return -1;
	pthread_mutex_lock(&s->lock);
	while (!s->len && !s->over)
		pthread_cond_wait(&s->moved, &s->lock);
	got = take_out(s, out, n);
	pthread_cond_broadcast(&s->moved);
	pthread_mutex_unlock(&s->lock);
	s->at += (int64_t)got;
	if (got)
		return (ssize_t)got;
	stop(s);
	if (s->rc < 0) {
		*e = s->err;
		return -1;
	}
	return err_set(e, ERR_CORRUPT, "%s ended early", DIGEST_STR(&s->blob->digest));
}

/* What of HTTP needs no request under way: sources in memory, answers, opening and
 * closing. */
#include <string.h>
#include <time.h>

#include "os/clock.h"
#include "registry/http.h"
#include "registry/http_pool.h"

#define SECOND 1000000000LL

static ssize_t memory_read(struct http_source *self, void *out, size_t n)
{
	struct http_memory *m = (struct http_memory *)self;
	size_t left = (size_t)self->size - m->at;

	if (n > left)
		n = left;
	if (n)
		memcpy(out, m->data + m->at, n);
	m->at += n;
	return (ssize_t)n;
}

static int memory_rewind(struct http_source *self)
{
	((struct http_memory *)self)->at = 0;
	return 0;
}

struct http_source *http_memory(struct http_memory *m, const void *data, size_t n)
{
	*m = (struct http_memory){ { (int64_t)n, memory_read, memory_rewind, NULL },
		                   data,
		                   0 };
	return &m->source;
}

void http_answer_fini(struct http_answer *a)
{
	free(a->url);
	strlist_fini(&a->names);
	strlist_fini(&a->values);
	buf_fini(&a->body);
	*a = (struct http_answer)HTTP_ANSWER_INIT;
}

const char *http_header(const struct http_answer *a, const char *name)
{
	for (size_t i = 0; i < a->names.len; i++)
		if (!strcmp(a->names.at[i], name))
			return a->values.at[i];
	return NULL;
}

void http_open(struct http *h, const struct strlist *insecure, const char *user_agent,
               int connections)
{
	*h = (struct http){ 0 };
	h->pool = http_pool_new(connections > 0 ? connections : 8);
	h->tls = tls_new(insecure);
	h->user_agent = mem_strdup(user_agent ? user_agent : "imgmake");
}

void http_close(struct http *h)
{
	http_pool_free(h->pool);
	tls_free(h->tls);
	free(h->user_agent);
	*h = (struct http){ 0 };
}

int http_cancelled(struct err *e)
{
	return err_set(e, ERR_CANCELLED, "interrupted");
}

int http_sleep(struct http *h, int64_t ns, struct err *e)
{
	int64_t end = clock_ns() + ns, left;

	while (!atomic_load(&h->cancelled) && (left = end - clock_ns()) > 0) {
		struct timespec nap = { 0, left < SECOND / 10 ? left : SECOND / 10 };

		nanosleep(&nap, NULL);
	}
	return atomic_load(&h->cancelled) ? http_cancelled(e) : 0;
}

#include "registry/client.h"

#include <string.h>

#include "registry/host.h"

enum { STALL_S = 60 };

static void copy_list(struct strlist *to, const struct strlist *from)
{
	for (size_t i = 0; i < from->len; i++)
		strlist_add(to, from->at[i]);
}

int registry_new(struct registry **out, const struct registry_options *o, struct err *e)
{
	struct registry *r;

	for (size_t i = 0; i < o->mirrors.len; i++) {
		const char *rule = o->mirrors.at[i], *eq = strchr(rule, '=');

		if (!eq || eq == rule || !eq[1] || eq[1] == '/')
			return err_set(e, ERR_INVALID,
			               "mirror '%s' is not HOST=MIRROR[/prefix]", rule);
	}
	r = mem_alloc(sizeof(*r));
	http_open(&r->http, &o->insecure, o->user_agent, o->connections);
	pthread_mutex_init(&r->lock, NULL);
	r->http.stall_s = o->stall_s ? o->stall_s : STALL_S;
	r->store = o->store;
	sem_init(&r->streams, 0, o->connections > 1 ? (unsigned)o->connections / 2 : 4);
	r->progress = o->progress;
	r->credentials = credentials_new(o->progress);
	copy_list(&r->mirrors, &o->mirrors);
	*out = r;
	return 0;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->hosts.len; i++)
		host_free(r->hosts.at[i].value);
	map_fini(&r->hosts);
	for (size_t i = 0; i < r->spare.len; i++)
		free(r->spare.at[i].value);
	map_fini(&r->spare);
	credentials_free(r->credentials);
	strlist_fini(&r->mirrors);
	http_close(&r->http);
	pthread_mutex_destroy(&r->lock);
	sem_destroy(&r->streams);
	free(r);
}

void registry_make_spare(struct registry *r, const struct reference *repo)
{
	AUTO_FREE char *name = reference_repo_text(repo);

	pthread_mutex_lock(&r->lock);
	if (!map_get(&r->spare, name))
		map_put(&r->spare, name, mem_alloc(sizeof(struct spare)));
	pthread_mutex_unlock(&r->lock);
}

void registry_make_needed(struct registry *r, const struct reference *repo)
{
	AUTO_FREE char *name = reference_repo_text(repo);
	struct spare *s;

	pthread_mutex_lock(&r->lock);
	s = map_get(&r->spare, name);
	if (s)
		s->needed = true;
	pthread_mutex_unlock(&r->lock);
}

void registry_counts(struct registry *r, struct registry_counts *out)
{
	out->requests = atomic_load(&r->http.requests);
	out->waited_ns = registry_waited(r);
	out->retries = atomic_load(&r->retries);
	out->bytes_sent = atomic_load(&r->http.sent);
	out->bytes_received = atomic_load(&r->http.received);
}

void registry_cancel(struct registry *r)
{
	atomic_store(&r->http.cancelled, true);
}

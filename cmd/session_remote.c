/* The remote cache of a session: which repositories, and what came of it. */
#include <stdlib.h>
#include <string.h>

#include "cmd/session.h"
#include "publish/remote_cache.h"

/* The command line beats the environment, which beats the recipe. */
const char *session_cache_repo(const struct session *s)
{
	const char *said = s->options->cache;

	if (!said)
		said = getenv("IMGMAKE_CACHE");
	if (!said && s->recipe)
		said = s->recipe->cache;
	return said && *said && strcmp(said, "none") != 0 ? said : NULL;
}

int session_open_remote(struct session *s, struct err *e)
{
	const struct options *o = s->options;
	struct remote_cache_options r = {
		.store = &s->store,
		.registry = s->registry,
		.progress = terminal_progress(s->terminal),
		.repo = session_cache_repo(s),
		.read = &o->cache_read,
		.key = o->cache_key,
		.dry_run = s->store.read_only,
	};

	if (o->cache_key && !r.repo && !o->cache_read.len)
		return err_set(e, ERR_INVALID,
		               "--cache-key: there is no remote cache; give --cache or "
		               "--cache-read");
	if (s->remote || (!r.repo && !o->cache_read.len))
		return 0;
	return remote_cache_open(&s->remote, &r, e);
}

struct build_remote *session_remote(struct session *s)
{
	return s->remote ? remote_cache_build(s->remote) : NULL;
}

int session_without_remote(struct session *s, struct err *e)
{
	if (e->code != ERR_CHANGED || s->distrust)
		return -1;
	progress_warning(terminal_progress(s->terminal), "%s; making it anew", e->msg);
	s->distrust = true;
	return session_rebuild(s, e);
}

void session_wait_remote(struct session *s)
{
	if (s->remote)
		remote_cache_wait(s->remote);
}

void session_close_remote(struct session *s)
{
	struct remote_cache_counts n;
	AUTO_BUF size = BUF_INIT;

	if (!s->remote)
		return;
	remote_cache_wait(s->remote);
	remote_cache_counts(s->remote, &n);
	human_size(&size, n.bytes_sent);
	if (n.asked || n.put)
		terminal_note(s->terminal,
		              "remote cache: %zu of %zu found, %zu brought (%s sent)",
		              n.found, n.asked, n.put, size.s);
	remote_cache_close(s->remote);
	s->remote = NULL;
}

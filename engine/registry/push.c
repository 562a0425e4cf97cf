/* Making a blob exist in a repository: look, mount, upload. */
#include <errno.h>
#include <string.h>

#include "registry/blob.h"
#include "registry/blob_stream.h"
#include "registry/url.h"

int blob_exists(struct registry *r, struct host *h, const char *repo,
                const struct strlist *scopes, const struct digest *d, struct err *e)
{
	AUTO_ANSWER a = HTTP_ANSWER_INIT;
	AUTO_BUF path = BUF_INIT;
	struct call c = {
		.method = "HEAD", .host = h, .repo = repo, .scopes = scopes, .stay = true
	};

	buf_addf(&path, "/v2/%s/blobs/%s", repo, DIGEST_STR(d));
	c.path = path.s;
	if (call_run(r, &c, &a, e) < 0)
		/* ECR hangs up on what is missing. */
		return a.failure == HTTP_CUT ? 0 : -1;
	/* Nobody redirects to what is not there; a storage signed for GET would refuse
	 * our HEAD. */
	if (a.status / 100 == 2 || a.status / 100 == 3)
		return 1;
	/* Artifactory says 403 and ECR 400 for what is missing; an upload finds out what
	 * they mean. */
	if (a.status == 404 || a.status == 403 || a.status == 400 || a.status == 405)
		return 0;
	return call_refused(r, &c, "pull", "such blob", &a, e);
}

int registry_has_blob(struct registry *r, const struct reference *ref,
                      const struct descriptor *d, struct err *e)
{
	AUTO_STRLIST scopes = STRLIST_INIT;
	int rc;

	call_scope(&scopes, ref->repo, "pull");
	rc = blob_exists(r, host_get(r, ref->host), ref->repo, &scopes, &d->digest, e);
	return rc < 0 ? err_wrap(e, "look for a blob in %s/%s", ref->host, ref->repo)
	              : rc;
}

struct push {
	struct registry *r;
	struct host *host;
	const struct reference *ref;
	const struct push_blob *b;
	const struct descriptor *blob; /* of b */
	char *session;                 /* that a mount has left open, or NULL */
	struct err *e;
};

/* A session that is not needed after all; it would expire by itself. */
static void drop_session(struct push *p)
{
	AUTO_STRLIST scopes = STRLIST_INIT;
	AUTO_ANSWER a = HTTP_ANSWER_INIT;
	struct call c = { .method = "DELETE",
		          .host = p->host,
		          .repo = p->ref->repo,
		          .url = p->session,
		          .scopes = &scopes,
		          .tries = 1 };
	struct err ignored;

	if (!p->session)
		return;
	call_scope(&scopes, p->ref->repo, "pull,push");
	if (call_run(p->r, &c, &a, &ignored) < 0)
		a.status = 0;
	free(p->session);
	p->session = NULL;
}

static void take_session(struct push *p, const struct http_answer *a)
{
	const char *location = http_header(a, "location");
	struct err ignored;
	char *url;

	drop_session(p);
	if (!location || url_resolve(&url, a->url, location, &ignored) < 0)
		return;
	if (!strncmp(a->url, "https:", 6) && strncmp(url, "https:", 6) != 0)
		free(url);
	else
		p->session = url;
}

/* 1: mounted; 0: not; -1: cancelled. Whatever else goes wrong only costs the upload. */
static int mount_from(struct push *p, const char *from)
{
	AUTO_STRLIST scopes = STRLIST_INIT;
	AUTO_ANSWER a = HTTP_ANSWER_INIT;
	AUTO_BUF path = BUF_INIT;
	struct http_memory empty;
	struct call c = { .method = "POST",
		          .host = p->host,
		          .repo = p->ref->repo,
		          .scopes = &scopes,
		          .body = http_memory(&empty, "", 0) };

	buf_addf(&path, "/v2/%s/blobs/uploads/?mount=", p->ref->repo);
	url_escape(&path, DIGEST_STR(&p->blob->digest));
	buf_adds(&path, "&from=");
	url_escape(&path, from);
	c.path = path.s;
	call_scope(&scopes, p->ref->repo, "pull,push"); /* the destination first */
	call_scope(&scopes, from, "pull");
	if (call_run(p->r, &c, &a, p->e) < 0)
		return p->e->code == ERR_CANCELLED ? -1 : 0;
	if (a.status == 201)
		return 1;
	if (a.status == 202)
		take_session(p, &a);
	return 0;
}

/* From the one that has it, if that is known, else from any. */
static int mount_any(struct push *p, size_t start, size_t end)
{
	const struct strlist *from = p->b->from;
	int rc = 0;

	for (size_t i = start; rc == 0 && from && i < from->len && i < end; i++)
		if (strcmp(from->at[i], p->ref->repo) != 0)
			rc = mount_from(p, from->at[i]);
	return rc;
}

static int send_source(struct push *p, struct blob_source *s)
{
	AUTO_BUF what = BUF_INIT;
	int rc;

	buf_addf(&what, "push %s/%s %.19s", p->ref->host, p->ref->repo,
	         DIGEST_STR(&p->blob->digest));
	s->progress = p->r->progress;
	s->what = what.s;
	progress_begin(s->progress, NULL, what.s, p->blob->size);
	rc = upload_blob(p->r, p->ref, s, STEAL(p->session), p->e);
	progress_end(s->progress, NULL, what.s, rc < 0 ? s->at : p->blob->size);
	blob_source_close(s);
	return rc;
}

/* 1: what a mirror gave was wrong, and another one may be asked. */
static int stream_once(struct push *p, const struct reference *origin)
{
	struct blob_stream *from = blob_stream_new(p->r, origin, p->blob);
	struct blob_source s;
	int rc;

	blob_source_stream(&s, from, p->blob, p->e);
	rc = send_source(p, &s);
	if (rc < 0 && p->e->code == ERR_CORRUPT && blob_stream_distrust(from, p->e))
		rc = 1;
	blob_stream_free(from);
	return rc;
}

/* Bytes only pass through: they are not ours to keep. */
static int stream(struct push *p, const struct reference *origin)
{
	int rc;

	while (sem_wait(&p->r->streams) < 0 && errno == EINTR)
		;
	do
		rc = stream_once(p, origin);
	while (rc > 0);
	sem_post(&p->r->streams);
	return rc;
}

static int send(struct push *p)
{
	struct blob_source s;

	if (p->b->origin && !blobs_has(p->b->store, &p->blob->digest, NULL))
		return stream(p, p->b->origin);
	if (blob_source_open(&s, p->b->store, p->blob, p->e) < 0)
		return -1;
	return send_source(p, &s);
}

static int push(struct push *p, enum push_outcome *how)
{
	/* Where mounting has failed once, a HEAD is the better guess. */
	size_t tried =
		p->b->known == PUSH_MOUNTABLE && !atomic_load(&p->host->mounts_fail);
	AUTO_STRLIST scopes = STRLIST_INIT;
	int rc;

	call_scope(&scopes, p->ref->repo, "pull,push");
	*how = PUSH_MOUNTED;
	rc = mount_any(p, 0, tried);
	if (rc)
		return rc < 0 ? -1 : 0;
	if (tried)
		atomic_store(&p->host->mounts_fail, true);
	*how = PUSH_PRESENT;
	rc = p->b->known == PUSH_ABSENT ? 0
	                                : blob_exists(p->r, p->host, p->ref->repo,
	                                              &scopes, &p->blob->digest, p->e);
	if (rc)
		return rc < 0 ? -1 : 0;
	*how = PUSH_MOUNTED;
	rc = mount_any(p, tried, SIZE_MAX);
	if (rc)
		return rc < 0 ? -1 : 0;
	*how = PUSH_SENT;
	return send(p);
}

int registry_push_blob(struct registry *r, const struct reference *ref,
                       const struct push_blob *b, enum push_outcome *how, struct err *e)
{
	struct push p = { .r = r,
		          .host = host_get(r, ref->host),
		          .ref = ref,
		          .b = b,
		          .blob = b->d,
		          .e = e };
	int rc = push(&p, how);

	drop_session(&p);
	if (rc == 0)
		return 0;
	return err_wrap(e, "push %.19s to %s/%s", DIGEST_STR(&b->d->digest), ref->host,
	                ref->repo);
}

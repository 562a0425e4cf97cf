/* Putting manifests under digests and tags (OCI distribution-spec 1.1, "Pushing
 * Manifests"). */
#include <string.h>

#include "registry/manifests.h"
#include "registry/referrers.h"
#include "registry/url.h"

/* A manifest on its way. */
struct put {
	struct registry *r;
	struct host *host;
	const struct reference *ref;
	const struct descriptor *d;
	const void *body;
};

/* 0: the registry has the manifest under that name already, as with an immutable tag. */
static int already_there(const struct put *p)
{
	struct reference tag = *p->ref;
	struct descriptor have;
	struct err e;

	tag.has_digest = tag.has_digest && !*tag.tag;
	if (registry_head_manifest(p->r, &tag, &have, &e) < 0)
		return -1;
	return digest_equal(&have.digest, &p->d->digest) ? 0 : -1;
}

/* There is no one status for an immutable tag: 409, 412, 400 or 403 with a word of it. */
static int put_refused(const struct put *p, const struct manifest_call *w,
                       const struct http_answer *a, struct err *e)
{
	if (a->status == 401 || a->status >= 500)
		return call_refused(p->r, &w->call, "push", w->what.s, a, e);
	if (already_there(p) == 0)
		return 0;
	if (a->status == 409 || a->status == 412 || strcasestr(a->body.s, "immutab"))
		return err_set(e, ERR_EXISTS,
		               "%s/%s: the tag %s is immutable and names another image",
		               p->host->name, p->ref->repo, p->ref->tag);
	return call_refused(p->r, &w->call, "push", w->what.s, a, e);
}

/* PUT under what `w` names. 0 with an answer of whatever status. */
static int put(const struct put *p, struct manifest_call *w, struct http_answer *a,
               struct err *e)
{
	AUTO_BUF type = BUF_INIT;
	struct http_memory bytes;

	buf_addf(&type, "Content-Type: %s", p->d->media_type);
	strlist_add(&w->headers, type.s);
	w->call.body = http_memory(&bytes, p->body, (size_t)p->d->size);
	if (call_run(p->r, &w->call, a, e) == 0)
		return 0;
	return err_wrap(e, "put %s of %s/%s", w->what.s, p->host->name, p->ref->repo);
}

/* The registry has taken it: as what we meant, and with what it refers to? */
static int check_put(const struct put *p, const struct http_answer *a, struct err *e)
{
	struct digest said;

	if (manifest_said_digest(a, p->host, &(struct reference){ 0 }, &said, e) > 0 &&
	    !digest_equal(&said, &p->d->digest))
		return err_set(e, ERR_CORRUPT, "%s/%s stored %s as %s", p->host->name,
		               p->ref->repo, DIGEST_STR(&p->d->digest),
		               DIGEST_STR(&said));
	return http_header(a, "oci-subject")
	               ? 0
	               : referrers_add(p->r, p->ref, p->d, p->body, e);
}

int registry_put_manifest(struct registry *r, const struct reference *ref,
                          const struct descriptor *d, const void *body, struct err *e)
{
	struct put p = { r, host_get(r, ref->host), ref, d, body };
	AUTO(manifest_call_fini) struct manifest_call w;
	AUTO_ANSWER a = HTTP_ANSWER_INIT;
	char text[DIGEST_TEXT];

	/* By tag it is there by digest too. */
	manifest_call_init(&w, "PUT", ref, p.host,
	                   *ref->tag ? ref->tag : digest_text(&d->digest, text));
	if (put(&p, &w, &a, e) < 0)
		return -1;
	return a.status / 100 == 2 ? check_put(&p, &a, e) : put_refused(&p, &w, &a, e);
}

/* --- Several tags ---------------------------------------------------------------------
 */

/* In several headers, or several in one. */
static bool says_tag(const struct http_answer *a, const char *tag)
{
	static const char between[] = ", \t";
	size_t n = strlen(tag);

	for (size_t i = 0; i < a->names.len; i++) {
		const char *s = a->values.at[i];

		if (strcmp(a->names.at[i], "oci-tag") != 0)
			continue;
		while (*(s += strspn(s, between))) {
			if (strcspn(s, between) == n && !strncmp(s, tag, n))
				return true;
			s += strcspn(s, between);
		}
	}
	return false;
}

/* All in one request, of whose answer OCI-Tag tells which it took (distribution-spec pull
 * request 600). Who knows nothing of this has taken none, and is not asked so again. */
static int put_at_once(const struct put *p, const struct strlist *tags, bool *done,
                       struct err *e)
{
	AUTO(manifest_call_fini) struct manifest_call w;
	AUTO_ANSWER a = HTTP_ANSWER_INIT;
	char text[DIGEST_TEXT];
	bool any = false;

	manifest_call_init(&w, "PUT", p->ref, p->host, digest_text(&p->d->digest, text));
	for (size_t i = 0; i < tags->len; i++) {
		buf_addf(&w.path, "%ctag=", i ? '&' : '?');
		url_escape(&w.path, tags->at[i]);
	}
	w.call.path = w.path.s;
	if (put(p, &w, &a, e) < 0)
		return -1;
	for (size_t i = 0; i < tags->len && a.status / 100 == 2; i++) {
		done[i] = says_tag(&a, tags->at[i]);
		any = any || done[i];
	}
	if (!any)
		atomic_store(&p->host->one_tag_each, true);
	return any ? check_put(p, &a, e) : 0;
}

int registry_put_tags(struct registry *r, const struct reference *ref,
                      const struct descriptor *d, const void *body,
                      const struct strlist *tags, struct err *e)
{
	struct put p = { r, host_get(r, ref->host), ref, d, body };
	AUTO_FREE bool *done = mem_alloc((tags->len + 1) * sizeof(*done));

	if (tags->len > 1 && !atomic_load(&p.host->one_tag_each) &&
	    put_at_once(&p, tags, done, e) < 0)
		return -1;
	for (size_t i = 0; i < tags->len; i++) {
		struct reference at = *ref;

		if (done[i])
			continue;
		at.has_digest = false;
		memset(at.tag, 0, sizeof(at.tag));
		strncpy(at.tag, tags->at[i], sizeof(at.tag) - 1);
		if (registry_put_manifest(r, &at, d, body, e) < 0)
			return err_wrap(e, "tag %s", tags->at[i]);
	}
	return 0;
}

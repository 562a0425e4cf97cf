/* Manifests: HEAD, GET, DELETE (OCI distribution-spec 1.1). */
#include <string.h>

#include "base/json.h"
#include "image/manifest.h"
#include "registry/call.h"
#include "registry/manifests.h"
#include "registry/mirror.h"

/* What a manifest is called in its URL: the digest wins. */
static const char *name_of(const struct reference *ref, char out[DIGEST_TEXT])
{
	return ref->has_digest ? digest_text(&ref->digest, out)
	       : *ref->tag     ? ref->tag
	                       : "latest";
}

void manifest_call_fini(struct manifest_call *w)
{
	buf_fini(&w->path);
	buf_fini(&w->what);
	strlist_fini(&w->scopes);
	strlist_fini(&w->headers);
}

void manifest_call_init(struct manifest_call *w, const char *method,
                        const struct reference *ref, struct host *h, const char *name)
{
	const char *actions = !strcmp(method, "PUT")      ? "pull,push"
	                      : !strcmp(method, "DELETE") ? "pull,delete"
	                                                  : "pull";

	*w = (struct manifest_call){ .path = BUF_INIT, .what = BUF_INIT };
	buf_addf(&w->path, "/v2/%s/manifests/%s", ref->repo, name);
	buf_addf(&w->what, "manifest %s", name);
	call_scope(&w->scopes, ref->repo, actions);
	if (!strcmp(method, "GET") || !strcmp(method, "HEAD"))
		strlist_add(&w->headers,
		            "Accept: " MEDIA_OCI_MANIFEST ", " MEDIA_OCI_INDEX
		            ", " MEDIA_DOCKER_MANIFEST ", " MEDIA_DOCKER_INDEX);
	w->call = (struct call){ .method = method,
		                 .host = h,
		                 .repo = ref->repo,
		                 .path = w->path.s,
		                 .scopes = &w->scopes,
		                 .headers = &w->headers,
		                 .counted = true,
		                 .limit = image_limits()->manifest };
}

/* Takes the media type of a Content-Type, without parameters. */
static void take_type(const char *header, char *out, size_t size)
{
	size_t n = header ? strcspn(header, "; \t") : 0;

	if (n >= size)
		n = 0;
	memcpy(out, header ? header : "", n);
	out[n] = '\0';
}

static bool is_image_type(const char *type)
{
	enum media_class c = media_class(type);

	return c == MEDIA_MANIFEST || c == MEDIA_INDEX;
}

int manifest_said_digest(const struct http_answer *a, const struct host *h,
                         const struct reference *ref, struct digest *out, struct err *e)
{
	const char *text = http_header(a, "docker-content-digest");
	struct err ignored;

	if (!text || digest_parse(out, text, &ignored) < 0)
		return 0;
	if (ref->has_digest && !digest_equal(out, &ref->digest))
		return err_set(e, ERR_CORRUPT,
		               "%s answers with %s where %s was asked for", h->name, text,
		               DIGEST_STR(&ref->digest));
	return 1;
}

/* The type by the body: its own word, else its shape. */
static const char *type_of_body(const json_t *root, struct err *e)
{
	const char *type = NULL;
	int64_t schema = 0;

	if (!json_is_object(root)) {
		err_set(e, ERR_INVALID, "it is not a JSON object");
		return NULL;
	}
	if (json_member_str(root, "mediaType", false, &type, e) < 0 ||
	    json_member_int(root, "schemaVersion", false, &schema, e) < 0)
		return NULL;
	if (schema == 1) {
		manifest_refuse_schema1(e);
		return NULL;
	}
	if (type && *type)
		return type;
	if (json_object_get(root, "manifests") && json_object_get(root, "layers")) {
		err_set(e, ERR_CORRUPT, "it is a manifest and an index at once");
		return NULL;
	}
	return json_object_get(root, "manifests") ? MEDIA_OCI_INDEX
	       : json_object_get(root, "layers")  ? MEDIA_OCI_MANIFEST
	                                          : "";
}

/* Body and header must agree (CVE-2021-41190). */
static int settle_type(struct descriptor *d, const struct http_answer *a, struct err *e)
{
	AUTO_JSON *root = NULL;
	char header[sizeof(d->media_type)];
	const char *type;

	if (json_read(&root, a->body.s, a->body.len, e) < 0)
		return -1;
	type = type_of_body(root, e);
	if (!type)
		return -1;
	take_type(http_header(a, "content-type"), header, sizeof(header));
	if (is_image_type(header) && *type && strcmp(header, type) != 0)
		return err_set(e, ERR_CORRUPT,
		               "it is served as %s but says it is another type", header);
	if (!*type)
		type = header;
	if (!is_image_type(type))
		return err_set(e, ERR_INVALID,
		               "it is neither an image manifest nor an index");
	strcpy(d->media_type, type); /* one of the known, all short */
	return 0;
}

static int check_body(struct descriptor *out, const struct http_answer *a,
                      const struct host *h, const struct reference *ref, struct err *e)
{
	struct digest said;
	int has;

	*out = (struct descriptor){ .size = (int64_t)a->body.len };
	digest_of(&out->digest, a->body.s, a->body.len);
	if (ref->has_digest && !digest_equal(&out->digest, &ref->digest))
		return err_set(e, ERR_CORRUPT, "its bytes are %s",
		               DIGEST_STR(&out->digest));
	has = manifest_said_digest(a, h, ref, &said, e);
	if (has < 0)
		return -1;
	if (has && !digest_equal(&said, &out->digest))
		return err_set(e, ERR_CORRUPT,
		               "it is announced as %s but its bytes are %s",
		               DIGEST_STR(&said), DIGEST_STR(&out->digest));
	return settle_type(out, a, e);
}

struct get {
	struct registry *r;
	struct descriptor *out;
	struct buf *body;
};

static int too_large(const struct manifest_call *w, const struct host *h,
                     const struct reference *ref, struct err *e)
{
	return err_set(
		e, ERR_LIMIT,
		"%s of %s/%s has more than %lld bytes" IMAGE_LIMIT_HINT("manifest"),
		w->what.s, h->name, ref->repo, (long long)w->call.limit);
}

static int refused(struct registry *r, const struct manifest_call *w,
                   const struct reference *ref, const struct http_answer *a,
                   struct err *e)
{
	const char *host = w->call.host->name;

	if (a->status != 404 || ref->has_digest)
		return call_refused(r, &w->call, "pull", w->what.s, a, e);
	return err_set(e, ERR_NOT_FOUND,
	               "%s/%s has no %s ('imgmake tags %s/%s' shows what it has)", host,
	               ref->repo, w->what.s, host, ref->repo);
}

static int get_from(void *self, const struct reference *ref, struct host *h,
                    struct err *e)
{
	AUTO(manifest_call_fini) struct manifest_call w;
	AUTO_ANSWER a = HTTP_ANSWER_INIT;
	struct get *g = self;
	char name[DIGEST_TEXT];

	manifest_call_init(&w, "GET", ref, h, name_of(ref, name));
	if (call_run(g->r, &w.call, &a, e) < 0)
		return e->code == ERR_LIMIT ? too_large(&w, h, ref, e)
		                            : err_wrap(e, "get %s of %s/%s", w.what.s,
		                                       h->name, ref->repo);
	if (a.status != 200)
		return refused(g->r, &w, ref, &a, e);
	if (check_body(g->out, &a, h, ref, e) < 0)
		return err_wrap(e, "%s of %s/%s", w.what.s, h->name, ref->repo);
	if (g->body)
		buf_add(g->body, a.body.s, a.body.len);
	return 0;
}

int registry_get_manifest(struct registry *r, const struct reference *ref,
                          struct descriptor *out, struct buf *body, struct err *e)
{
	struct get g = { r, out, body };

	return get_from(&g, ref, host_get(r, ref->host), e);
}

int registry_pull_manifest(struct registry *r, const struct reference *ref,
                           struct descriptor *out, struct buf *body, struct err *e)
{
	struct get g = { r, out, body };

	return mirror_try(r, ref, get_from, &g, e);
}

/* 1: the headers say all; 0: a GET has to; -1. */
static int read_head(struct descriptor *out, const struct http_answer *a,
                     const struct host *h, const struct reference *ref, struct err *e)
{
	const char *length = http_header(a, "content-length");
	int has;

	*out = (struct descriptor){ 0 };
	take_type(http_header(a, "content-type"), out->media_type,
	          sizeof(out->media_type));
	has = manifest_said_digest(a, h, ref, &out->digest, e);
	if (has < 0)
		return -1;
	if (!has && ref->has_digest)
		out->digest = ref->digest;
	if ((!has && !ref->has_digest) || !length || !is_image_type(out->media_type))
		return 0;
	out->size = strtoll(length, NULL, 10);
	return out->size > 0;
}

static int head_from(void *self, const struct reference *ref, struct host *h,
                     struct err *e)
{
	struct get *g = self;
	struct registry *r = g->r;
	struct descriptor *out = g->out;
	AUTO(manifest_call_fini) struct manifest_call w;
	AUTO_ANSWER a = HTTP_ANSWER_INIT;
	char name[DIGEST_TEXT];
	int rc;

	manifest_call_init(&w, "HEAD", ref, h, name_of(ref, name));
	rc = call_run(r, &w.call, &a, e);
	if (rc < 0 && a.failure != HTTP_CUT)
		return err_wrap(e, "look for %s of %s/%s", w.what.s, h->name, ref->repo);
	if (rc == 0 && (a.status == 404 || a.status == 401 || retry_status(a.status)))
		return refused(r, &w, ref, &a, e);
	rc = rc == 0 && a.status == 200 ? read_head(out, &a, h, ref, e) : 0;
	if (rc)
		return rc < 0 ? -1 : 0;
	/* Some answer a HEAD with 400, 403 or a hang-up for what is only missing, or
	 * leave out the digest: a GET tells. */
	return get_from(g, ref, h, e);
}

int registry_head_manifest(struct registry *r, const struct reference *ref,
                           struct descriptor *out, struct err *e)
{
	struct get g = { r, out, NULL };

	return head_from(&g, ref, host_get(r, ref->host), e);
}

int registry_find_manifest(struct registry *r, const struct reference *ref,
                           struct descriptor *out, struct err *e)
{
	struct get g = { r, out, NULL };

	return mirror_try(r, ref, head_from, &g, e);
}

int registry_delete_manifest(struct registry *r, const struct reference *ref,
                             struct err *e)
{
	struct host *h = host_get(r, ref->host);
	AUTO(manifest_call_fini) struct manifest_call w;
	AUTO_ANSWER a = HTTP_ANSWER_INIT;
	char name[DIGEST_TEXT];

	manifest_call_init(&w, "DELETE", ref, h, digest_text(&ref->digest, name));
	if (call_run(r, &w.call, &a, e) < 0)
		return err_wrap(e, "delete %s of %s/%s", w.what.s, h->name, ref->repo);
	if (a.status / 100 == 2 || a.status == 404)
		return 0;
	/* OCI distribution-spec 1.1, "Deleting manifests": 400 or 405 where it is off. */
	if (a.status == 400 || a.status == 405)
		return err_set(e, ERR_DENIED,
		               "%s lets nobody delete; its own rules for what is kept "
		               "must do it",
		               h->name);
	return call_refused(r, &w.call, "delete", w.what.s, &a, e);
}

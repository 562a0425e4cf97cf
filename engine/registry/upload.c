/* Uploads (OCI distribution-spec 1.1, "Pushing blobs"): POST opens a session, PATCH
 * sends, PUT commits. */
#include <ctype.h>
#include <string.h>

#include "os/clock.h"
#include "registry/blob.h"
#include "registry/url.h"
#include "store/uploads.h"

enum {
	ATTEMPTS = 5,
	COMMIT_PATIENCE = 5, /* times as long: a registry hashes what it got */
	CHUNK = 8 << 20,
	CHUNK_MIN = 256 << 10,
	SMALL = 64 << 10, /* not worth going on with where it stopped */
};

/* An upload that takes longer is worth a record, for the next process. */
#define NOTE_AFTER_NS 1000000000LL

struct upload {
	struct registry *r;
	struct host *host;
	const char *repo;
	struct blob_source *s;
	struct strlist scopes;
	char *location; /* of the session; NULL: none open */
	int64_t offset; /* bytes the session has */
	int64_t least;  /* that the registry wants in each chunk but the last */
	bool inherited; /* the session is of another process */
	struct upload_note note;
	int64_t note_at; /* clock_ns(); 0: noted from now on */
	struct err *e;
};

enum outcome { DONE, FAILED, RESUME, RESTART };

int64_t upload_offset(const char *range)
{
	const char *dash;

	if (!range)
		return -1;
	if (!strncmp(range, "bytes=", 6))
		range += 6;
	dash = range[0] == '0' && range[1] == '-' ? range + 1 : NULL;
	if (!dash || !isdigit((unsigned char)dash[1]) || strlen(dash + 1) > 18)
		return -1;
	return strtoll(dash + 1, NULL, 10) + 1;
}

static void forget_session(struct upload *u)
{
	free(u->location);
	u->location = NULL;
	u->offset = 0;
	u->inherited = false;
}

/* --- For the next process ------------------------------------------------------------
 */

/* A record is the way to go on by, and where: "0 https://…". */
static void note(struct upload *u)
{
	int way = atomic_load(&u->host->upload_way);
	AUTO_BUF text = BUF_INIT;
	struct err e;

	if (u->note_at || !u->location || way == UPLOAD_PUT)
		return;
	buf_addf(&text, "%d %s", way, u->location);
	if (upload_note_keep(&u->note, text.s, &e) < 0)
		progress_warning(u->r->progress, "%s", e.msg);
}

static void note_when_slow(void *self)
{
	struct upload *u = self;

	if (!u->note_at || clock_ns() < u->note_at)
		return;
	u->note_at = 0;
	note(u);
}

static void forget_note(struct upload *u)
{
	struct err e;

	if (upload_note_drop(&u->note, &e) < 0)
		progress_warning(u->r->progress, "%s", e.msg);
}

/* --- Sessions --------------------------------------------------------------------------
 */

static struct call session_call(struct upload *u, const char *method, const char *url)
{
	return (struct call){ .method = method,
		              .host = u->host,
		              .repo = u->repo,
		              .url = url,
		              .scopes = &u->scopes,
		              .tries = 1 };
}

/* Every answer may move the session elsewhere. */
static int take_location(struct upload *u, const struct http_answer *a)
{
	const char *location = http_header(a, "location");
	char *next;

	if (!location)
		return u->location ? 0
		                   : err_set(u->e, ERR_INVALID,
		                             "%s opened an upload without saying where",
		                             u->host->name);
	if (url_resolve(&next, a->url, location, u->e) < 0)
		return -1;
	if (!strncmp(a->url, "https:", 6) && strncmp(next, "https:", 6) != 0) {
		free(next);
		return err_set(u->e, ERR_DENIED,
		               "%s wants the upload over plain http; refused",
		               u->host->name);
	}
	free(u->location);
	u->location = next;
	note(u);
	return 0;
}

static int open_session(struct upload *u)
{
	AUTO_ANSWER a = HTTP_ANSWER_INIT;
	AUTO_BUF path = BUF_INIT;
	struct http_memory empty;
	struct call c = session_call(u, "POST", NULL);
	const char *least;

	buf_addf(&path, "/v2/%s/blobs/uploads/", u->repo);
	c.path = path.s;
	c.body = http_memory(&empty, "", 0);
	c.tries = RETRY_TRIES;
	if (call_run(u->r, &c, &a, u->e) < 0)
		return -1;
	if (a.status == 404 || a.status == 405)
		return call_no_uploads(&c, &a, u->e);
	if (a.status != 202)
		return call_refused(u->r, &c, "push", "place to upload to", &a, u->e);
	least = http_header(&a, "oci-chunk-min-length");
	u->least = least && isdigit((unsigned char)*least) ? strtoll(least, NULL, 10) : 0;
	u->offset = 0;
	return take_location(u, &a);
}

/* After a break: how much has arrived? */
static enum outcome ask_offset(struct upload *u)
{
	AUTO_ANSWER a = HTTP_ANSWER_INIT;
	struct call c = session_call(u, "GET", u->location);
	struct err ignored, *e = u->e;
	int64_t offset = -1, most = u->s->blob->size;
	int rc;

	c.tries = RETRY_TRIES;
	rc = call_run(u->r, &c, &a, &ignored);
	if (rc < 0 && ignored.code == ERR_CANCELLED) {
		*e = ignored;
		return FAILED;
	}
	if (rc == 0 && a.status / 100 == 2)
		offset = upload_offset(http_header(&a, "range"));
	/* "0-0" may be one byte or none. What we never read from the store cannot be
	 * there. */
	if (!u->inherited && u->s->hashed >= 0)
		most = u->s->hashed;
	if (offset <= 1 || offset > most || take_location(u, &a) < 0)
		return RESTART;
	u->offset = offset;
	return RESUME;
}

/* Goes on with what another process has left, as far as that is possible. */
static int inherit(struct upload *u)
{
	AUTO_BUF text = BUF_INIT;
	int found = upload_note_find(&u->note, &text, u->e);
	int way = UPLOAD_PATCH, fresh = UPLOAD_PATCH;
	enum outcome o;

	if (found < 0)
		progress_warning(u->r->progress, "%s", u->e->msg);
	if (found <= 0 || atomic_load(&u->host->upload_way) == UPLOAD_PUT)
		return 0;
	if (text.s[0] == '0' + UPLOAD_CHUNKS)
		way = UPLOAD_CHUNKS;
	if (text.len < 3 || (!strncmp(text.s + 2, "http:", 5) &&
	                     atomic_load(&u->host->scheme) != SCHEME_HTTP))
		return 0;
	free(u->location);
	u->location = mem_strdup(text.s + 2);
	u->inherited = true;
	u->note_at = 0;
	o = ask_offset(u);
	if (o == RESTART)
		forget_session(u);
	else if (o == RESUME)
		atomic_compare_exchange_strong(&u->host->upload_way, &fresh, way);
	return o == FAILED ? -1 : 0;
}

static void next_way(struct upload *u, int from, int to)
{
	atomic_compare_exchange_strong(&u->host->upload_way, &from, to);
}

/* No answer came. */
static enum outcome broken(struct upload *u, const struct http_answer *a, int way)
{
	switch (a->failure) {
	case HTTP_STALLED: next_way(u, way, UPLOAD_CHUNKS); return ask_offset(u);
	case HTTP_CUT:
	case HTTP_CONNECT:
	case HTTP_HANDSHAKE:
	case HTTP_RESOLVE: return u->location ? ask_offset(u) : RESTART;
	default: return FAILED;
	}
}

static int64_t chunk_size(const struct upload *u)
{
	int64_t most = atomic_load(&u->host->chunk_max);
	int64_t size = most ? most : CHUNK;

	return size > u->least ? size : u->least;
}

/* Bodies, not the session, were refused: it may go on in smaller ones. */
static enum outcome send_less(struct upload *u, int way)
{
	int64_t less = chunk_size(u) / 4;

	if (way != UPLOAD_CHUNKS)
		next_way(u, way, UPLOAD_CHUNKS);
	else if (less >= CHUNK_MIN && less >= u->least)
		atomic_store(&u->host->chunk_max, less);
	return ask_offset(u);
}

static enum outcome refused(struct upload *u, const struct call *c,
                            const struct http_answer *a, int way)
{
	call_refused(u->r, c, "push", "an upload", a, u->e);
	if (a->status == 401 || a->status == 403)
		return FAILED;
	if (a->status == 429)
		return RESUME; /* turned away at the door: the session is as it was */
	if (retry_status(a->status))
		return ask_offset(u);
	if (a->status == 416 && way == UPLOAD_CHUNKS)
		return ask_offset(u);
	if (a->status == 413 || a->status == 416)
		return send_less(u, way);
	if (!u->inherited)
		next_way(u, way, way == UPLOAD_PATCH ? UPLOAD_PUT : UPLOAD_CHUNKS);
	return RESTART;
}

static void add_range(struct strlist *headers, int64_t start, int64_t end)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "Content-Range: %lld-%lld", (long long)start, (long long)end - 1);
	strlist_take(headers, buf_take(&b));
}

/* Sends [offset, end). The whole of it goes without Content-Range, as all registries take
 * it. */
static enum outcome patch(struct upload *u, int64_t end, int way)
{
	AUTO_STRLIST headers = STRLIST_INIT;
	AUTO_ANSWER a = HTTP_ANSWER_INIT;
	struct call c = session_call(u, "PATCH", u->location);
	int64_t told;

	strlist_add(&headers, "Content-Type: application/octet-stream");
	if (u->offset > 0 || end < u->s->blob->size || way == UPLOAD_CHUNKS)
		add_range(&headers, u->offset, end);
	c.headers = &headers;
	c.body = blob_source_part(u->s, u->offset, end);
	c.counted = true;
	if (call_run(u->r, &c, &a, u->e) < 0)
		return broken(u, &a, way);
	if (a.status / 100 != 2)
		return refused(u, &c, &a, way);
	if (take_location(u, &a) < 0)
		return FAILED;
	told = upload_offset(http_header(&a, "range"));
	u->offset = way == UPLOAD_CHUNKS && told > u->offset && told < end ? told : end;
	return DONE;
}

/* Some commit and then fail to say so. */
static enum outcome commit_failed(struct upload *u, const struct call *c,
                                  const struct http_answer *a, int way, bool answered)
{
	struct err keep = *u->e;
	int there;

	if (!answered && (keep.code == ERR_CANCELLED || keep.code == ERR_CORRUPT))
		return FAILED;
	if (answered && (a->status == 401 || a->status == 403 || a->status == 429))
		return refused(u, c, a, way);
	there = blob_exists(u->r, u->host, u->repo, &u->scopes, &u->s->blob->digest,
	                    u->e);
	if (there > 0)
		return DONE;
	if (there < 0 && u->e->code == ERR_CANCELLED)
		return FAILED;
	*u->e = keep;
	if (way == UPLOAD_PUT && atomic_load(&u->host->upload_way) == UPLOAD_PATCH &&
	    (!answered || !retry_status(a->status)))
		atomic_store(&u->host->small_by_patch, true);
	if (!answered)
		return a->failure == HTTP_STOPPED ? FAILED : RESTART;
	call_refused(u->r, c, "push", "an upload", a, u->e);
	if (!retry_status(a->status) && a->status != 404 && !u->inherited)
		next_way(u, way,
		         way == UPLOAD_PATCH && a->status != 413 ? UPLOAD_PUT
		                                                 : UPLOAD_CHUNKS);
	return RESTART;
}

static enum outcome commit(struct upload *u, int way)
{
	AUTO_STRLIST headers = STRLIST_INIT;
	AUTO_ANSWER a = HTTP_ANSWER_INIT;
	AUTO_FREE char *url =
		url_add_query(u->location, "digest", DIGEST_STR(&u->s->blob->digest));
	struct call c = session_call(u, "PUT", url);
	struct http_memory empty;

	strlist_add(&headers, "Content-Type: application/octet-stream");
	c.headers = &headers;
	c.stall_s = COMMIT_PATIENCE * u->r->http.stall_s;
	c.counted = true;
	c.body = way == UPLOAD_PUT ? blob_source_part(u->s, 0, u->s->blob->size)
	                           : http_memory(&empty, "", 0);
	if (call_run(u->r, &c, &a, u->e) < 0)
		return commit_failed(u, &c, &a, way, false);
	if (a.status / 100 != 2)
		return commit_failed(u, &c, &a, way, true);
	return DONE;
}

/* A small blob goes with its commit, if nobody minds: a request less. */
static int choose_way(const struct upload *u)
{
	int way = atomic_load(&u->host->upload_way);
	bool small = u->s->blob->size <= SMALL && u->offset == 0;

	if (way == UPLOAD_PATCH && small && !atomic_load(&u->host->small_by_patch))
		return UPLOAD_PUT;
	return way;
}

static enum outcome attempt(struct upload *u)
{
	int way = choose_way(u);
	int64_t size = u->s->blob->size;
	enum outcome o = DONE;

	if (!u->location && open_session(u) < 0)
		return FAILED;
	while (o == DONE && way != UPLOAD_PUT && u->offset < size) {
		int64_t end = size;

		if (way == UPLOAD_CHUNKS && end - u->offset > chunk_size(u))
			end = u->offset + chunk_size(u);
		o = patch(u, end, way);
	}
	return o == DONE ? commit(u, way) : o;
}

static int run_upload(struct upload *u)
{
	int64_t best = 0;

	for (int n = 0; n < ATTEMPTS; n++) {
		enum outcome o = attempt(u);

		if (o == DONE)
			return 0;
		if (o == FAILED)
			return -1;
		if (o == RESTART)
			forget_session(u);
		if (u->offset > best) { /* it moves: that is no failure */
			best = u->offset;
			n = -1;
		}
		if (n + 1 < ATTEMPTS) {
			struct err e;

			if (retry_pause(u->r, n < 0 ? 0 : n, &e) < 0) {
				*u->e = e;
				return -1;
			}
		}
	}
	return -1;
}

int upload_blob(struct registry *r, const struct reference *ref, struct blob_source *s,
                char *location, struct err *e)
{
	struct upload u = { .r = r,
		            .host = host_get(r, ref->host),
		            .repo = ref->repo,
		            .s = s,
		            .location = location,
		            .note_at = clock_ns() + NOTE_AFTER_NS,
		            .e = e };
	AUTO_FREE char *repo = reference_repo_text(ref);
	int rc;

	call_scope(&u.scopes, ref->repo, "pull,push");
	upload_note_init(&u.note, r->store, repo, &s->blob->digest);
	s->tick = note_when_slow;
	s->user = &u;
	rc = inherit(&u);
	if (rc == 0)
		rc = run_upload(&u);
	if (rc == 0)
		forget_note(&u);
	s->tick = NULL;
	upload_note_fini(&u.note);
	forget_session(&u);
	strlist_fini(&u.scopes);
	return rc;
}

#include "publish/remote_cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/map.h"
#include "image/manifest.h"
#include "os/clock.h"
#include "publish/batch.h"
#include "publish/remote_sign.h"
#include "store/blobs.h"
#include "store/sources.h"

/* Annotations of an entry's manifest. */
#define NOTE_TEXT "io.imgmake.cache.entry"
#define NOTE_KEY "io.imgmake.cache.key"
#define NOTE_SIGNATURE "io.imgmake.cache.signature"
#define NOTE_CREATED "org.opencontainers.image.created"
#define MEDIA_EMPTY "application/vnd.oci.empty.v1+json"
#define MEDIA_ENTRY "application/vnd.imgmake.cache.v1"

enum { PUTS = 4, ENTRY_MAX = 3 << 20, SOURCES_ASKED = 3 };

struct repository {
	struct reference ref;
	char *name; /* "host/repo" */
	bool writes;
	atomic_bool broken;
	atomic_bool lies; /* and that was said */
};

enum blob_state { BLOB_MISSING, BLOB_COMING, BLOB_THERE };

struct remote_cache {
	struct build_remote build; /* first: found from it */
	struct remote_cache_options o;
	struct repository *repos;
	size_t n;
	struct remote_key *key; /* or NULL */
	struct batch *batch;
	atomic_size_t asked, found, put;
	atomic_llong sent;
	pthread_mutex_t lock;
	pthread_cond_t came;
	struct map there; /* blobs of the written repository → enum blob_state */
	struct map told;  /* tags of entries that were put */
};

const char *remote_kind_name(enum remote_kind kind)
{
	static const char *const names[REMOTE_KINDS] = { [REMOTE_RESULT] = "result",
		                                         [REMOTE_STEP] = "step",
		                                         [REMOTE_TABLE] = "table",
		                                         [REMOTE_CHECK] = "check",
		                                         [REMOTE_MOUNT] = "mount" };

	return names[kind];
}

const char *remote_tag(enum remote_kind kind, const struct digest *key,
                       char out[REMOTE_TAG])
{
	char hex[DIGEST_HEX + 1];

	snprintf(out, REMOTE_TAG, "%s-%s", remote_kind_name(kind), digest_hex(key, hex));
	return out;
}

/* Once: what fails now will fail for every other entry. */
static void give_up(struct remote_cache *c, struct repository *r, const struct err *e)
{
	if (e->code != ERR_CANCELLED && !atomic_exchange(&r->broken, true))
		progress_warning(c->o.progress,
		                 "remote cache %s: %s; going on without it", r->name,
		                 e->msg);
}

/* An entry that is none says nothing of the others; a build that may write puts its own
 * there. */
static void pass_over(struct remote_cache *c, struct repository *r, const struct err *e)
{
	if (!atomic_exchange(&r->lies, true))
		progress_warning(c->o.progress,
		                 "remote cache %s: %s; such entries are passed over",
		                 r->name, e->msg);
}

/* What is signed: an entry under another key would be another result. */
static void signed_text(const char *tag, const char *text, struct buf *out)
{
	buf_addf(out, "imgmake cache entry\n%s\n%s", tag, text);
}

/* --- Reading
 * ---------------------------------------------------------------------------- */

static const char *note(const struct manifest *m, const char *name)
{
	return json_string_value(json_object_get(m->annotations, name));
}

static int take_entry(const struct remote_cache *c, const char *tag,
                      const struct manifest *m, struct buf *text, struct err *e)
{
	const char *said = note(m, NOTE_TEXT), *key = note(m, NOTE_KEY),
		   *signature = note(m, NOTE_SIGNATURE);
	AUTO_BUF whole = BUF_INIT;

	if (!said || !key || strcmp(key, tag) != 0)
		return err_set(e, ERR_CORRUPT, "%s is no entry of that key", tag);
	signed_text(tag, said, &whole);
	if (c->key && (!signature || !remote_key_accepts(c->key, &whole, signature)))
		return err_set(e, ERR_CORRUPT,
		               "%s is not signed with the key that was given", tag);
	buf_reset(text);
	buf_adds(text, said);
	return 0;
}

static int read_entry(struct remote_cache *c, struct repository *r, const char *tag,
                      struct buf *text, struct err *e)
{
	struct reference ref = r->ref;
	AUTO_BUF body = BUF_INIT;
	struct descriptor d;
	struct manifest m;
	int rc;

	snprintf(ref.tag, sizeof(ref.tag), "%s", tag);
	if (registry_get_manifest(c->o.registry, &ref, &d, &body, e) < 0 ||
	    manifest_read(&m, d.media_type, body.s, body.len, e) < 0)
		return -1;
	rc = take_entry(c, tag, &m, text, e);
	manifest_fini(&m);
	return rc;
}

/* So that what is there is not brought again by a build that finds it here. */
static int note_entry(struct remote_cache *c, const struct repository *r,
                      const struct digest *key, struct err *e)
{
	return blob_sources_add(c->o.store->state, key, r->name, e);
}

static int get(struct build_remote *self, enum remote_kind kind, const struct digest *key,
               struct buf *text)
{
	struct remote_cache *c = (struct remote_cache *)self;
	char tag[REMOTE_TAG];
	struct err e;

	remote_tag(kind, key, tag);
	atomic_fetch_add(&c->asked, 1);
	for (size_t i = 0; i < c->n; i++) {
		struct repository *r = &c->repos[i];

		if (atomic_load(&r->broken))
			continue;
		if (read_entry(c, r, tag, text, &e) == 0) {
			atomic_fetch_add(&c->found, 1);
			if (kind == REMOTE_RESULT && r->writes &&
			    note_entry(c, r, key, &e) < 0)
				give_up(c, r, &e);
			return 1;
		}
		if (e.code == ERR_CORRUPT || e.code == ERR_INVALID || e.code == ERR_LIMIT)
			pass_over(c, r, &e);
		else if (e.code != ERR_NOT_FOUND)
			give_up(c, r, &e);
	}
	return 0;
}

/* --- Writing
 * ---------------------------------------------------------------------------- */

struct putting {
	struct remote_cache *cache;
	struct repository *repo;
	enum remote_kind kind;
	struct digest key;
	char tag[REMOTE_TAG];
	char *text;
	struct descriptor *blobs;
	size_t n;
};

/* True: it is there. False: the caller is the one to bring it, and then to say so. */
static bool is_there(struct remote_cache *c, const struct digest *d)
{
	char hex[DIGEST_HEX + 1];
	enum blob_state *state;
	bool there;

	digest_hex(d, hex);
	pthread_mutex_lock(&c->lock);
	while ((state = map_get(&c->there, hex)) && *state == BLOB_COMING)
		pthread_cond_wait(&c->came, &c->lock);
	if (!state) {
		state = mem_alloc(sizeof(*state));
		map_put(&c->there, hex, state);
	}
	there = *state == BLOB_THERE;
	if (!there)
		*state = BLOB_COMING;
	pthread_mutex_unlock(&c->lock);
	return there;
}

static void note_there(struct remote_cache *c, const struct digest *d, bool there)
{
	char hex[DIGEST_HEX + 1];

	pthread_mutex_lock(&c->lock);
	*(enum blob_state *)map_get(&c->there, digest_hex(d, hex)) =
		there ? BLOB_THERE : BLOB_MISSING;
	pthread_cond_broadcast(&c->came);
	pthread_mutex_unlock(&c->lock);
}

/* Mounted where another repository of the host has it, else sent. A blob that is not in
 * the store is in one of the repositories that were read. */
static int bring_blob(const struct putting *p, const struct descriptor *d, struct err *e)
{
	struct remote_cache *c = p->cache;
	AUTO_STRLIST known = STRLIST_INIT, from = STRLIST_INIT;
	const struct reference *origin = NULL;
	enum push_outcome how;
	struct push_blob b;
	struct reference r;
	struct err ignored;

	if (blob_sources_get(c->o.store->state, &d->digest, &known, e) < 0)
		return -1;
	for (size_t i = 0; i < known.len && from.len < SOURCES_ASKED; i++)
		if (reference_parse_repo(&r, known.at[i], &ignored) == 0 &&
		    !strcmp(r.host, p->repo->ref.host) &&
		    strcmp(r.repo, p->repo->ref.repo) != 0)
			strlist_add(&from, r.repo);
	for (size_t i = 0; i < c->n && !origin; i++)
		if (!c->repos[i].writes)
			origin = &c->repos[i].ref;
	b = (struct push_blob){
		.d = d, .from = &from, .origin = origin, .store = c->o.store->blobs
	};
	if (registry_push_blob(c->o.registry, &p->repo->ref, &b, &how, e) < 0)
		return -1;
	if (how == PUSH_SENT)
		atomic_fetch_add(&c->sent, d->size);
	/* So that a deploy to the same host mounts it from here. */
	return blob_sources_add(c->o.store->state, &d->digest, p->repo->name, e);
}

/* Once, though several entries name it: who comes second waits. */
static int put_blob(const struct putting *p, const struct descriptor *d, struct err *e)
{
	int rc;

	if (is_there(p->cache, &d->digest))
		return 0;
	rc = bring_blob(p, d, e);
	note_there(p->cache, &d->digest, rc == 0);
	return rc;
}

static json_t *created(void)
{
	time_t now = (time_t)clock_wall_s();
	char text[40];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static int annotations(const struct putting *p, json_t **out, struct err *e)
{
	const struct remote_key *key = p->cache->key;
	AUTO_BUF whole = BUF_INIT, signature = BUF_INIT;

	*out = json_pack("{s:s,s:s,s:o}", NOTE_KEY, p->tag, NOTE_TEXT, p->text,
	                 NOTE_CREATED, created());
	if (!*out)
		return err_set(e, ERR_INVALID, "an entry that is not UTF-8");
	if (!key || !remote_key_signs(key))
		return 0;
	signed_text(p->tag, p->text, &whole);
	if (remote_key_sign(key, &whole, &signature, e) < 0)
		return -1;
	json_object_set_new(*out, NOTE_SIGNATURE, json_string(signature.s));
	return 0;
}

/* A manifest has a configuration and a layer: where there is nothing to say, the empty
 * object (OCI image-spec 1.1, manifest.md, "Guidance for an Empty Descriptor"). */
static int put_manifest(const struct putting *p, const struct descriptor *empty,
                        struct err *e)
{
	struct manifest m = { .arena = ARENA_INIT, .media_type = MEDIA_OCI_MANIFEST };
	struct descriptor none = *empty, d = { .media_type = MEDIA_OCI_MANIFEST };
	struct reference ref = p->repo->ref;
	AUTO_BUF body = BUF_INIT;
	int rc;

	m.config = *empty;
	snprintf(m.artifact_type, sizeof(m.artifact_type), "%s", MEDIA_ENTRY);
	m.layers = p->n ? p->blobs : &none;
	m.n_layers = p->n ? p->n : 1;
	rc = annotations(p, &m.annotations, e);
	if (rc == 0) {
		manifest_write(&m, &body);
		digest_of(&d.digest, body.s, body.len);
		d.size = (int64_t)body.len;
		snprintf(ref.tag, sizeof(ref.tag), "%s", p->tag);
		rc = registry_put_manifest(p->cache->o.registry, &ref, &d, body.s, e);
	}
	json_decref(m.annotations);
	m.annotations = NULL;
	manifest_fini(&m);
	return rc;
}

static int put_all(const struct putting *p, struct err *e)
{
	struct descriptor empty = { .media_type = MEDIA_EMPTY, .size = 2 };

	if (blobs_put(p->cache->o.store->blobs, "{}", 2, &empty.digest, e) < 0 ||
	    put_blob(p, &empty, e) < 0)
		return -1;
	for (size_t i = 0; i < p->n; i++)
		if (put_blob(p, &p->blobs[i], e) < 0)
			return -1;
	/* docker-registry answers 400 to one of two machines that put the same at once.
	 */
	if (put_manifest(p, &empty, e) < 0 &&
	    (e->code != ERR_INVALID || put_manifest(p, &empty, e) < 0))
		return -1;
	return p->kind == REMOTE_RESULT ? note_entry(p->cache, p->repo, &p->key, e) : 0;
}

/* Never the batch's failure: the others are told by `broken`. */
static int put_one(void *arg, struct err *e)
{
	struct putting *p = arg;

	if (!atomic_load(&p->repo->broken)) {
		if (put_all(p, e) == 0)
			atomic_fetch_add(&p->cache->put, 1);
		else
			give_up(p->cache, p->repo, e);
	}
	free(p->text);
	free(p->blobs);
	free(p);
	return 0;
}

/* Two threads may find out the same; and registries fail when they get the same twice at
 * once. */
static bool told_before(struct remote_cache *c, const char *tag)
{
	bool before;

	pthread_mutex_lock(&c->lock);
	before = map_get(&c->told, tag) != NULL;
	map_put(&c->told, tag, c);
	pthread_mutex_unlock(&c->lock);
	return before;
}

static void put(struct build_remote *self, const struct remote_entry *entry)
{
	struct remote_cache *c = (struct remote_cache *)self;
	char tag[REMOTE_TAG];

	if (told_before(c, remote_tag(entry->kind, &entry->key, tag)))
		return;
	for (size_t i = 0; i < c->n; i++) {
		struct putting *p;

		if (!c->repos[i].writes || strlen(entry->text) > ENTRY_MAX)
			continue;
		p = mem_alloc(sizeof(*p));
		p->cache = c;
		p->repo = &c->repos[i];
		p->kind = entry->kind;
		p->key = entry->key;
		strcpy(p->tag, tag);
		p->text = mem_strdup(entry->text);
		p->n = entry->n;
		p->blobs = mem_alloc((entry->n + 1) * sizeof(*p->blobs));
		if (entry->n)
			memcpy(p->blobs, entry->blobs, entry->n * sizeof(*p->blobs));
		batch_add(c->batch, put_one, p);
	}
}

/* --- Life
 * ------------------------------------------------------------------------------- */

static int add_repo(struct remote_cache *c, const char *name, bool writes, struct err *e)
{
	struct repository *r = &c->repos[c->n];

	if (reference_parse_repo(&r->ref, name, e) < 0)
		return err_wrap(e, "remote cache '%s'", name);
	r->name = reference_repo_text(&r->ref);
	r->writes = writes && !c->o.dry_run;
	registry_make_spare(c->o.registry, &r->ref);
	strlist_add(&c->build.repos, r->name);
	c->n++;
	return 0;
}

static int add_repos(struct remote_cache *c, struct err *e)
{
	if (c->o.repo && add_repo(c, c->o.repo, true, e) < 0)
		return -1;
	for (size_t i = 0; i < c->o.read->len; i++)
		if (add_repo(c, c->o.read->at[i], false, e) < 0)
			return -1;
	return c->o.key ? remote_key_load(&c->key, c->o.key, e) : 0;
}

int remote_cache_open(struct remote_cache **out, const struct remote_cache_options *o,
                      struct err *e)
{
	struct remote_cache *c = mem_alloc(sizeof(*c));

	c->build = (struct build_remote){ .get = get, .put = put };
	c->o = *o;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->came, NULL);
	c->repos = mem_alloc((o->read->len + 2) * sizeof(*c->repos));
	c->batch = batch_new(PUTS);
	if (add_repos(c, e) < 0) {
		remote_cache_close(c);
		return -1;
	}
	if (o->repo && c->key && !remote_key_signs(c->key)) {
		remote_cache_close(c);
		return err_set(
			e, ERR_INVALID,
			"the key of the remote cache is a public one: entries cannot "
			"be signed with it; give --cache-read instead of --cache");
	}
	c->build.writes = o->repo && !o->dry_run;
	*out = c;
	return 0;
}

struct build_remote *remote_cache_build(struct remote_cache *c)
{
	return &c->build;
}

void remote_cache_wait(struct remote_cache *c)
{
	struct err none;

	if (batch_wait(c->batch, &none) < 0)
		return; /* put_one never fails */
}

void remote_cache_counts(struct remote_cache *c, struct remote_cache_counts *out)
{
	out->asked = atomic_load(&c->asked);
	out->found = atomic_load(&c->found);
	out->put = atomic_load(&c->put);
	out->bytes_sent = atomic_load(&c->sent);
}

void remote_cache_close(struct remote_cache *c)
{
	if (!c)
		return;
	remote_cache_wait(c);
	batch_free(c->batch);
	for (size_t i = 0; i < c->n; i++)
		free(c->repos[i].name);
	free(c->repos);
	remote_key_free(c->key);
	strlist_fini(&c->build.repos);
	for (size_t i = 0; i < c->there.len; i++)
		free(c->there.at[i].value);
	map_fini(&c->there);
	map_fini(&c->told);
	pthread_cond_destroy(&c->came);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

#include "publish/closure.h"

#include <string.h>

#include "image/config.h"
#include "image/manifest.h"

enum { NESTING_MAX = 4, DOCUMENTS_MAX = 1000 };

#define VERSION_ANNOTATION "org.opencontainers.image.version"
#define BASE_ANNOTATION "org.opencontainers.image.base.name"

static int read_remote(const struct content *from, const struct descriptor *d,
                       struct buf *body, struct err *e)
{
	struct reference ref = *from->ref;
	struct descriptor got;

	ref.tag[0] = '\0';
	ref.digest = d->digest;
	ref.has_digest = true;
	return registry_pull_manifest(from->registry, &ref, &got, body, e);
}

static int read_any(const struct content *from, const struct descriptor *d,
                    struct buf *body, struct err *e)
{
	size_t limit = (size_t)image_limits()->manifest;

	if (from->store && blobs_has(from->store, &d->digest, NULL)) {
		if (blobs_read(from->store, &d->digest, limit, body, e) == 0)
			return 0;
		/* A rotten one is put aside by now, and may be had anew. */
		if (e->code != ERR_CORRUPT || !from->registry)
			return -1;
		buf_reset(body);
	}
	if (from->registry)
		return read_remote(from, d, body, e);
	return err_set(e, ERR_NOT_FOUND, "manifest %s is not in the store",
	               DIGEST_STR(&d->digest));
}

static int read_body(const struct content *from, const struct descriptor *d,
                     struct buf *body, struct err *e)
{
	if (read_any(from, d, body, e) < 0)
		return -1;
	if ((int64_t)body->len != d->size)
		return err_set(e, ERR_CORRUPT,
		               "manifest %s has %zu bytes, its descriptor says %lld",
		               DIGEST_STR(&d->digest), body->len, (long long)d->size);
	return 0;
}

static struct document *find_document(struct closure *c, const struct digest *d)
{
	for (size_t i = 0; i < c->documents.len; i++)
		if (digest_equal(&c->documents.at[i].d.digest, d))
			return &c->documents.at[i];
	return NULL;
}

#define add_once(list, d)                                                                \
	do {                                                                             \
		size_t at_ = 0;                                                          \
		while (at_ < (list)->len &&                                              \
		       !digest_equal(&(list)->at[at_].digest, &(d)->digest))             \
			at_++;                                                           \
		if (at_ == (list)->len)                                                  \
			vec_push(list, *(d));                                            \
	} while (0)

static const char *annotation(struct arena *a, const json_t *annotations, const char *key)
{
	const char *s = json_string_value(json_object_get(annotations, key));

	return s && *s ? arena_strdup(a, s) : NULL;
}

/* All artifacts may share one empty configuration, which tells them apart from nothing.
 */
static const struct digest *manifest_image(const struct manifest *m,
                                           const struct descriptor *d)
{
	return media_class(m->config.media_type) == MEDIA_CONFIG ? &m->config.digest
	                                                         : &d->digest;
}

static int add_manifest(struct closure *c, struct document *doc, struct err *e)
{
	struct manifest m;

	if (manifest_read(&m, doc->d.media_type, doc->body, (size_t)doc->d.size, e) < 0)
		return err_wrap(e, "manifest %s", DIGEST_STR(&doc->d.digest));
	for (size_t i = 0; i < m.n_layers; i++)
		if (media_foreign(m.layers[i].media_type))
			add_once(&c->foreign, &m.layers[i]);
		else
			add_once(&c->layers, &m.layers[i]);
	add_once(&c->configs, &m.config);
	doc->image = *manifest_image(&m, &doc->d);
	doc->version = annotation(&c->arena, m.annotations, VERSION_ANNOTATION);
	if (!c->base_name)
		c->base_name = annotation(&c->arena, m.annotations, BASE_ANNOTATION);
	manifest_fini(&m);
	return 0;
}

static int load_document(struct closure *c, const struct content *from,
                         const struct descriptor *d, const struct buf *body, int depth,
                         struct err *e);

static int load_part(struct closure *c, const struct content *from,
                     const struct descriptor *d, int depth, struct err *e)
{
	AUTO_BUF body = BUF_INIT;

	if (find_document(c, &d->digest))
		return 0;
	if (c->documents.len >= DOCUMENTS_MAX)
		return err_set(e, ERR_LIMIT, "the image has more than %d manifests",
		               DOCUMENTS_MAX);
	if (read_body(from, d, &body, e) < 0)
		return -1;
	return load_document(c, from, d, &body, depth, e);
}

/* Attestations are entries of no platform; they say things of the image and are none of
 * it. */
static bool is_platform(const struct descriptor *d)
{
	return strcmp(d->platform.os, "unknown") != 0;
}

static int add_index(struct closure *c, const struct content *from, struct document *doc,
                     int depth, struct err *e)
{
	struct image_index ix;
	struct hasher h;
	int rc = 0;

	if (depth >= NESTING_MAX)
		return err_set(e, ERR_LIMIT, "indexes are nested more than %d deep",
		               NESTING_MAX);
	if (index_read(&ix, doc->d.media_type, doc->body, (size_t)doc->d.size, e) < 0)
		return err_wrap(e, "index %s", DIGEST_STR(&doc->d.digest));
	doc->version = annotation(&c->arena, ix.annotations, VERSION_ANNOTATION);
	hasher_init(&h);
	for (size_t i = 0; rc == 0 && i < ix.n; i++) {
		const struct document *part;

		rc = load_part(c, from, &ix.manifests[i], depth + 1, e);
		part = rc == 0 ? find_document(c, &ix.manifests[i].digest) : NULL;
		if (!part || !is_platform(&ix.manifests[i]))
			continue;
		hasher_digest(&h, &part->image);
		if (!doc->version)
			doc->version = part->version;
	}
	hasher_end(&h, &doc->image);
	index_fini(&ix);
	return rc;
}

static int load_document(struct closure *c, const struct content *from,
                         const struct descriptor *d, const struct buf *body, int depth,
                         struct err *e)
{
	struct document doc = { .d = *d };
	int rc;

	doc.body = arena_memdup(&c->arena, body->s, body->len);
	switch (media_class(d->media_type)) {
	case MEDIA_MANIFEST: rc = add_manifest(c, &doc, e); break;
	case MEDIA_INDEX: rc = add_index(c, from, &doc, depth, e); break;
	default:
		return err_set(e, ERR_INVALID,
		               "%s is neither a manifest nor an index, but %.100s",
		               DIGEST_STR(&d->digest), d->media_type);
	}
	if (rc == 0)
		vec_push(&c->documents, doc);
	return rc;
}

/* Replaces an index by the manifest of one platform, which may be in an index within. 1:
 * done; 0: there is none. */
static int narrow(const struct content *from, const struct platform *only, int depth,
                  struct descriptor *d, struct buf *body, struct err *e)
{
	const struct descriptor *found;
	struct image_index ix;
	int rc = 0;

	if (depth >= NESTING_MAX)
		return err_set(e, ERR_LIMIT, "indexes are nested more than %d deep",
		               NESTING_MAX);
	if (index_read(&ix, d->media_type, body->s, body->len, e) < 0)
		return -1;
	found = index_select(&ix, only);
	for (size_t i = 0; rc == 0 && i < (found ? 1 : ix.n); i++) {
		const struct descriptor *next = found ? found : &ix.manifests[i];
		bool index = media_class(next->media_type) == MEDIA_INDEX;

		if (!found && (!index || next->platform.os[0]))
			continue;
		buf_reset(body);
		*d = *next;
		rc = read_body(from, d, body, e) < 0 ? -1
		     : index ? narrow(from, only, depth + 1, d, body, e)
		             : 1;
	}
	index_fini(&ix);
	return rc;
}

/* An image without an index is for whatever its configuration says. */
static int check_platform(const struct closure *c, const struct content *from,
                          const struct platform *only, struct err *e)
{
	const struct descriptor *d = &c->configs.at[0];
	size_t limit = (size_t)image_limits()->config;
	struct image_config config;
	struct platform have;
	AUTO_BUF body = BUF_INIT;
	char is[100], wanted[100];

	if (!from->store || !from->registry || media_class(d->media_type) != MEDIA_CONFIG)
		return 0;
	if (registry_fetch_blob(from->registry, from->ref, d, from->store, e) < 0 ||
	    blobs_read(from->store, &d->digest, limit, &body, e) < 0 ||
	    config_read(&config, body.s, body.len, e) < 0)
		return -1;
	config_platform(&config, &have);
	config_fini(&config);
	if (!have.os[0] || platform_fits(only, &have))
		return 0;
	return err_set(e, ERR_NOT_FOUND, "the image is for %s only, not for %s",
	               platform_text(&have, is), platform_text(only, wanted));
}

/* Leaves the one platform in *d and body, if only one is wanted. */
static int choose_platform(const struct content *from, const struct platform *only,
                           struct descriptor *d, struct buf *body, struct err *e)
{
	char text[100];
	int found;

	if (!only || media_class(d->media_type) != MEDIA_INDEX)
		return 0;
	found = narrow(from, only, 0, d, body, e);
	if (found)
		return found < 0 ? -1 : 0;
	return err_set(e, ERR_NOT_FOUND, "the image has no platform %s",
	               platform_text(only, text));
}

static int load_root(struct closure *c, const struct content *from, struct descriptor *d,
                     struct buf *body, const struct platform *only, struct err *e)
{
	bool whole = media_class(d->media_type) != MEDIA_INDEX;
	const struct document *root;

	*c = (struct closure){ .arena = ARENA_INIT };
	if (choose_platform(from, only, d, body, e) < 0)
		return -1;
	if (load_document(c, from, d, body, 0, e) < 0 ||
	    (only && whole && check_platform(c, from, only, e) < 0)) {
		closure_fini(c);
		return -1;
	}
	root = &c->documents.at[c->documents.len - 1];
	c->root = *d;
	c->image = root->image;
	c->version = root->version;
	return 0;
}

int closure_load(struct closure *c, const struct content *from,
                 const struct descriptor *root, const struct platform *only,
                 struct err *e)
{
	struct descriptor d = *root;
	AUTO_BUF body = BUF_INIT;

	if (read_body(from, &d, &body, e) < 0)
		return -1;
	return load_root(c, from, &d, &body, only, e);
}

int closure_fetch(struct closure *c, const struct content *from,
                  const struct platform *only, struct err *e)
{
	struct descriptor d;
	AUTO_BUF body = BUF_INIT;

	if (registry_pull_manifest(from->registry, from->ref, &d, &body, e) < 0)
		return -1;
	return load_root(c, from, &d, &body, only, e);
}

void closure_fini(struct closure *c)
{
	arena_fini(&c->arena);
	vec_fini(&c->documents);
	vec_fini(&c->layers);
	vec_fini(&c->configs);
	vec_fini(&c->foreign);
}

/* The version that the root itself tells; an index may leave it to its parts. */
static int shallow_version(struct document *out, struct arena *a, struct err *e)
{
	struct image_index ix;
	struct manifest m;

	if (media_class(out->d.media_type) == MEDIA_INDEX) {
		if (index_read(&ix, out->d.media_type, out->body, (size_t)out->d.size,
		               e) < 0)
			return -1;
		out->version = annotation(a, ix.annotations, VERSION_ANNOTATION);
		index_fini(&ix);
		return 0;
	}
	if (manifest_read(&m, out->d.media_type, out->body, (size_t)out->d.size, e) < 0)
		return -1;
	out->version = annotation(a, m.annotations, VERSION_ANNOTATION);
	out->image = *manifest_image(&m, &out->d);
	manifest_fini(&m);
	return 0;
}

int closure_peek(struct document *out, struct arena *a, const struct content *from,
                 bool deep, struct err *e)
{
	AUTO_BUF body = BUF_INIT;
	struct closure c;

	*out = (struct document){ 0 };
	if (registry_get_manifest(from->registry, from->ref, &out->d, &body, e) < 0)
		return -1;
	out->d.size = (int64_t)body.len;
	out->body = arena_memdup(a, body.s, body.len);
	if (shallow_version(out, a, e) < 0)
		return -1;
	if (media_class(out->d.media_type) != MEDIA_INDEX || (!deep && out->version))
		return 0;
	if (load_root(&c, from, &out->d, &body, NULL, e) < 0)
		return -1;
	out->image = c.image;
	out->version = c.version ? arena_strdup(a, c.version) : NULL;
	closure_fini(&c);
	return 0;
}

#include "publish/copy.h"

#include <string.h>

#include "publish/batch.h"
#include "store/sources.h"

enum { CONNECTIONS = 8 };

/* Sets a closure under the name that `to` says, and ships it. */
static int ship_as(struct deploy_result *out, const struct ship_item *what,
                   const char *to, const struct ship_options *o, struct err *e)
{
	struct ship_item item = *what;
	const char *tag = what->to.tag;

	if (item.to.has_digest &&
	    !digest_equal(&item.to.digest, &item.image->root.digest))
		return err_set(e, ERR_INVALID,
		               "%s: the image is %s, and a digest cannot be chosen", to,
		               DIGEST_STR(&item.image->root.digest));
	item.tags = &tag;
	item.n_tags = *tag != '\0';
	return ship(out, &item, 1, o, e);
}

/* Layers that are kept outside go along where the source has them all the same. */
static int find_foreign(struct closure *c, const struct reference *from,
                        const struct ship_options *o, struct err *e)
{
	for (size_t i = 0; i < c->foreign.len; i++) {
		int has = registry_has_blob(o->registry, from, &c->foreign.at[i], e);

		if (has < 0)
			return -1;
		if (has)
			vec_push(&c->layers, c->foreign.at[i]);
	}
	return 0;
}

int image_copy(struct deploy_result *out, const char *from, const char *to,
               const struct platform *only, const struct ship_options *o, struct err *e)
{
	struct ship_item item = { .name = from };
	struct content content = { .registry = o->registry, .store = o->store->blobs };
	struct reference source;
	struct closure c;
	int rc;

	*out = (struct deploy_result){ 0 };
	if (reference_parse(&source, from, e) < 0 || reference_parse(&item.to, to, e) < 0)
		return -1;
	content.ref = &source;
	if (closure_fetch(&c, &content, only, e) < 0)
		return -1;
	item.origin = &source;
	item.image = &c;
	rc = find_foreign(&c, &source, o, e);
	if (rc == 0)
		rc = ship_as(out, &item, to, o, e);
	closure_fini(&c);
	return rc;
}

int image_push(struct deploy_result *out, const char *name, const struct descriptor *root,
               const char *to, const struct ship_options *o, struct err *e)
{
	struct ship_item item = { .name = name };
	struct content content = { .store = o->store->blobs };
	struct closure c;
	int rc;

	*out = (struct deploy_result){ 0 };
	if (reference_parse(&item.to, to, e) < 0 ||
	    closure_load(&c, &content, root, NULL, e) < 0)
		return -1;
	item.image = &c;
	rc = ship_as(out, &item, to, o, e);
	closure_fini(&c);
	return rc;
}

struct fetch {
	const struct ship_options *o;
	const struct reference *from;
	const struct descriptor *d;
};

static int fetch(void *arg, struct err *e)
{
	struct fetch *f = arg;

	return registry_fetch_blob(f->o->registry, f->from, f->d, f->o->store->blobs, e);
}

/* Configurations, and `layers` too. */
static int fetch_blobs(const struct closure *c, const struct reference *from, bool layers,
                       const struct ship_options *o, struct err *e)
{
	size_t n = c->configs.len + (layers ? c->layers.len : 0);
	AUTO_FREE struct fetch *all = mem_alloc((n + 1) * sizeof(*all));
	struct batch *b = batch_new(o->connections > 0 ? o->connections : CONNECTIONS);
	int rc;

	for (size_t i = 0; i < n; i++) {
		const struct descriptor *d = i < c->configs.len
		                                     ? &c->configs.at[i]
		                                     : &c->layers.at[i - c->configs.len];

		all[i] = (struct fetch){ o, from, d };
		batch_add(b, fetch, &all[i]);
	}
	rc = batch_wait(b, e);
	batch_free(b);
	return rc;
}

/* Where its layers can be mounted from, should it become a base, or streamed from. */
static int remember(const struct closure *c, const struct reference *from,
                    const struct ship_options *o, struct err *e)
{
	AUTO_FREE char *repo = reference_repo_text(from);

	for (size_t i = 0; i < c->layers.len; i++)
		if (blob_sources_add(o->store->state, &c->layers.at[i].digest, repo, e) <
		    0)
			return -1;
	return 0;
}

/* Documents only after all that they refer to. */
static int keep(const struct closure *c, const struct reference *from, bool layers,
                const struct ship_options *o, struct err *e)
{
	enum codec codec;

	if (layers && c->foreign.len &&
	    media_layer_codec(c->foreign.at[0].media_type, &codec, e) < 0)
		return -1;
	if (fetch_blobs(c, from, layers, o, e) < 0)
		return -1;
	for (size_t i = 0; i < c->documents.len; i++) {
		const struct document *doc = &c->documents.at[i];

		if (blobs_put(o->store->blobs, doc->body, (size_t)doc->d.size, NULL, e) <
		    0)
			return -1;
	}
	return remember(c, from, o, e);
}

static int fetch_image(struct descriptor *root, const char *from, bool layers,
                       const struct platform *only, const struct ship_options *o,
                       struct err *e)
{
	struct content content = { .registry = o->registry, .store = o->store->blobs };
	struct reference source;
	struct closure c;
	int rc;

	if (reference_parse(&source, from, e) < 0)
		return -1;
	content.ref = &source;
	if (closure_fetch(&c, &content, only, e) < 0)
		return -1;
	*root = c.root;
	rc = keep(&c, &source, layers, o, e);
	closure_fini(&c);
	return rc < 0 ? err_wrap(e, "pull %s", from) : 0;
}

int image_pull(struct descriptor *root, const char *from, const struct platform *only,
               const struct ship_options *o, struct err *e)
{
	if (fetch_image(root, from, true, only, o, e) < 0)
		return -1;
	return image_name_put(o->store, from, root, e);
}

int image_pull_documents(struct descriptor *root, const char *from,
                         const struct ship_options *o, struct err *e)
{
	return fetch_image(root, from, false, NULL, o, e);
}

/* From the first of the repositories that has it. */
static int fetch_known(const struct descriptor *d, const struct strlist *repos,
                       const struct ship_options *o, struct err *e)
{
	struct reference r;

	err_set(e, ERR_NOT_FOUND,
	        "%s is not in the store, and no registry is known to have it; pull the "
	        "image, or build it again",
	        DIGEST_STR(&d->digest));
	for (size_t i = 0; i < repos->len && e->code != ERR_CANCELLED; i++)
		if (reference_parse_repo(&r, repos->at[i], e) == 0 &&
		    registry_fetch_blob(o->registry, &r, d, o->store->blobs, e) == 0)
			return 0;
	return -1;
}

static int fetch_missing(const struct descriptor *d, const struct reference *from,
                         const struct ship_options *o, struct err *e)
{
	AUTO_FREE char *repo = from ? reference_repo_text(from) : NULL;
	AUTO_STRLIST repos = STRLIST_INIT;

	if (blobs_has(o->store->blobs, &d->digest, NULL))
		return 0;
	if (blob_sources_get(o->store->state, &d->digest, &repos, e) < 0)
		return -1;
	for (size_t i = 0; o->others && i < o->others->len; i++)
		strlist_add(&repos, o->others->at[i]);
	if (repo)
		strlist_add(&repos, repo);
	return fetch_known(d, &repos, o, e);
}

int image_complete(const struct descriptor *root, const struct reference *from,
                   const struct ship_options *o, struct err *e)
{
	struct content content = { .store = o->store->blobs };
	struct closure c;
	int rc = closure_load(&c, &content, root, NULL, e);

	if (rc < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < c.layers.len; i++)
		rc = fetch_missing(&c.layers.at[i], from, o, e);
	for (size_t i = 0; rc == 0 && i < c.configs.len; i++)
		rc = fetch_missing(&c.configs.at[i], from, o, e);
	closure_fini(&c);
	return rc;
}

static int name_key(const char *name, char **key, struct err *e)
{
	struct reference ref;

	if (reference_parse(&ref, name, e) < 0)
		return -1;
	*key = reference_text(&ref);
	return 0;
}

int image_name_put(struct store *s, const char *name, const struct descriptor *d,
                   struct err *e)
{
	AUTO_FREE char *key = NULL;
	AUTO_JSON *j = descriptor_json(d);
	AUTO_BUF text = BUF_INIT;

	if (name_key(name, &key, e) < 0)
		return -1;
	json_write(&text, j);
	return state_put(s->state, STATE_IMAGES, key, strlen(key), text.s, text.len, e);
}

int image_name_get(struct store *s, const char *name, struct descriptor *out,
                   struct err *e)
{
	AUTO_FREE char *key = NULL;
	AUTO_JSON *j = NULL;
	AUTO_BUF text = BUF_INIT;
	int found;

	if (name_key(name, &key, e) < 0)
		return -1;
	found = state_get(s->state, STATE_IMAGES, key, strlen(key), &text, e);
	if (found <= 0)
		return found;
	if (json_read(&j, text.s, text.len, e) < 0 || descriptor_read(out, j, e) < 0)
		return err_wrap(e, "the store's record of image %s", name);
	return 1;
}

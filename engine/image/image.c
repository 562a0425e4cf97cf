#include "image/image.h"

#include <string.h>

/* Indexes within indexes; real ones have one inside another at most. */
enum { NESTING_MAX = 4 };

/* The document at `d`, of the size that was promised. */
static int read_document(struct blobs *store, const struct descriptor *d, struct buf *out,
                         struct err *e)
{
	if (blobs_read(store, &d->digest, (size_t)image_limits()->manifest, out, e) < 0)
		return -1;
	if ((int64_t)out->len != d->size)
		return err_set(e, ERR_CORRUPT,
		               "%s has %zu bytes, but was said to have %lld",
		               DIGEST_STR(&d->digest), out->len, (long long)d->size);
	return 0;
}

static int load_manifest(struct blobs *store, const struct descriptor *d,
                         struct manifest *m, struct err *e)
{
	AUTO_BUF body = BUF_INIT;

	if (read_document(store, d, &body, e) < 0)
		return -1;
	return manifest_read(m, d->media_type, body.s, body.len, e);
}

static int load_index(struct blobs *store, const struct descriptor *d,
                      struct image_index *ix, struct err *e)
{
	AUTO_BUF body = BUF_INIT;

	if (read_document(store, d, &body, e) < 0)
		return -1;
	return index_read(ix, d->media_type, body.s, body.len, e);
}

static int load_config(struct blobs *store, const struct descriptor *d,
                       struct image_config *c, struct err *e)
{
	AUTO_BUF body = BUF_INIT;

	if (media_class(d->media_type) != MEDIA_CONFIG)
		return err_set(e, ERR_INVALID,
		               "it is no image, but an artifact of type %s",
		               d->media_type);
	if (blobs_read(store, &d->digest, (size_t)image_limits()->config, &body, e) < 0)
		return -1;
	if ((int64_t)body.len != d->size)
		return err_set(
			e, ERR_CORRUPT,
			"configuration %s has %zu bytes, but was said to have %lld",
			DIGEST_STR(&d->digest), body.len, (long long)d->size);
	return config_read(c, body.s, body.len, e);
}

int image_peek(struct blobs *store, const struct digest *d, struct descriptor *out,
               struct err *e)
{
	AUTO_BUF body = BUF_INIT;
	AUTO_JSON *j = NULL;
	const char *type = NULL;

	memset(out, 0, sizeof(*out));
	if (blobs_read(store, d, (size_t)image_limits()->manifest, &body, e) < 0 ||
	    json_read(&j, body.s, body.len, e) < 0 ||
	    json_member_str(j, "mediaType", false, &type, e) < 0)
		return -1;
	if (!type)
		type = json_object_get(j, "manifests") ? MEDIA_OCI_INDEX
		                                       : MEDIA_OCI_MANIFEST;
	if (media_class(type) != MEDIA_MANIFEST && media_class(type) != MEDIA_INDEX)
		return err_set(e, ERR_INVALID, "%s is neither a manifest nor an index",
		               DIGEST_STR(d));
	memcpy(out->media_type, type, strlen(type) + 1); /* a known one: it is short */
	out->digest = *d;
	out->size = (int64_t)body.len;
	return 0;
}

/* Manifests of images below an index, with their platforms. */
struct leaves {
	VEC(struct descriptor) list;
	struct blobs *store;
};

/* The platform of a manifest whose descriptor does not say it; os stays "" if it is not
 * here, or no image. */
static int learn_platform(struct blobs *store, struct descriptor *d, struct err *e)
{
	struct image_config c;
	struct manifest m;

	if (!blobs_has(store, &d->digest, NULL))
		return 0;
	if (load_manifest(store, d, &m, e) < 0)
		return -1;
	if (!m.artifact_type[0] && blobs_has(store, &m.config.digest, NULL)) {
		if (load_config(store, &m.config, &c, e) < 0) {
			manifest_fini(&m);
			return -1;
		}
		config_platform(&c, &d->platform);
		config_fini(&c);
	}
	manifest_fini(&m);
	return 0;
}

static int collect(struct leaves *all, const struct descriptor *d, int depth,
                   struct err *e)
{
	struct descriptor leaf = *d;
	struct image_index ix;
	int rc = 0;

	if (media_class(d->media_type) == MEDIA_MANIFEST) {
		if (!leaf.platform.os[0] && learn_platform(all->store, &leaf, e) < 0)
			return -1;
		if (leaf.platform.os[0] && strcmp(leaf.platform.os, "unknown") != 0)
			vec_push(&all->list, leaf);
		return 0;
	}
	if (media_class(d->media_type) != MEDIA_INDEX)
		return 0;
	if (depth == NESTING_MAX)
		return err_set(e, ERR_LIMIT, "indexes are nested more than %d deep",
		               NESTING_MAX);
	if (load_index(all->store, d, &ix, e) < 0)
		return -1;
	for (size_t i = 0; i < ix.n && rc == 0; i++)
		rc = collect(all, &ix.manifests[i], depth + 1, e);
	index_fini(&ix);
	return rc;
}

static int leaves_of(struct leaves *all, struct blobs *store,
                     const struct descriptor *root, struct err *e)
{
	struct descriptor plain = *root;

	*all = (struct leaves){ .store = store };
	/* What someone noted beside the root does not count: its configuration does. */
	memset(&plain.platform, 0, sizeof(plain.platform));
	if (collect(all, &plain, 0, e) == 0)
		return 0;
	vec_fini(&all->list);
	return -1;
}

static int none_fits(const struct leaves *all, const struct platform *want, struct err *e)
{
	AUTO_BUF have = BUF_INIT;

	for (size_t i = 0; i < all->list.len; i++)
		buf_addf(&have, "%s%s", i ? ", " : "",
		         platform_text(&all->list.at[i].platform, (char[100]){ 0 }));
	if (!have.len)
		return err_set(e, ERR_NOT_FOUND,
		               "there is no image in it, but only artifacts if anything");
	if (!want)
		return err_set(
			e, ERR_INVALID,
			"there are several platforms, %s: choose one with --platform",
			have.s);
	return err_set(e, ERR_NOT_FOUND, "there is no image for %s, only for %s",
	               platform_text(want, (char[100]){ 0 }), have.s);
}

static int choose(const struct leaves *all, const struct platform *want,
                  struct descriptor *out, struct err *e)
{
	struct image_index ix = { .manifests = all->list.at, .n = all->list.len };
	const struct descriptor *best = NULL;

	if (want)
		best = index_select(&ix, want);
	else if (ix.n == 1)
		best = ix.manifests;
	if (!best)
		return none_fits(all, want, e);
	*out = *best;
	return 0;
}

static int pick(struct blobs *store, const struct descriptor *root,
                const struct platform *want, struct descriptor *out, struct err *e)
{
	struct leaves all;
	int rc;

	if (media_class(root->media_type) == MEDIA_OTHER)
		return err_set(e, ERR_INVALID,
		               "%.120s is the type of neither a manifest nor an index",
		               root->media_type);
	if (!blobs_has(store, &root->digest, NULL))
		return err_set(e, ERR_NOT_FOUND, "%s is not in the store",
		               DIGEST_STR(&root->digest));
	if (leaves_of(&all, store, root, e) < 0)
		return -1;
	rc = choose(&all, want, out, e);
	vec_fini(&all.list);
	return rc;
}

int image_open(struct image *im, struct blobs *store, const struct descriptor *root,
               const struct platform *want, struct err *e)
{
	memset(im, 0, sizeof(*im));
	if (pick(store, root, want, &im->manifest_desc, e) < 0)
		return -1;
	if (load_manifest(store, &im->manifest_desc, &im->manifest, e) < 0)
		return -1;
	if (load_config(store, &im->manifest.config, &im->config, e) < 0) {
		image_fini(im);
		return -1;
	}
	if (config_layer_count(&im->config) == im->manifest.n_layers)
		return 0;
	err_set(e, ERR_INVALID,
	        "the manifest has %zu layers, but the configuration has %zu",
	        im->manifest.n_layers, config_layer_count(&im->config));
	image_fini(im);
	return -1;
}

void image_fini(struct image *im)
{
	manifest_fini(&im->manifest);
	config_fini(&im->config);
	memset(im, 0, sizeof(*im));
}

bool image_can_open(struct blobs *store, const struct descriptor *root,
                    const struct platform *want)
{
	struct image im;
	struct err e;

	if (image_open(&im, store, root, want, &e) < 0)
		return false;
	image_fini(&im);
	return true;
}

bool image_is_whole(struct blobs *store, const struct descriptor *root,
                    const struct platform *want)
{
	bool whole = true;
	struct image im;
	struct err e;

	if (image_open(&im, store, root, want, &e) < 0)
		return false;
	for (size_t i = 0; i < im.manifest.n_layers && whole; i++) {
		const struct descriptor *d = &im.manifest.layers[i];
		int64_t size;

		whole = blobs_has(store, &d->digest, &size) && size == d->size;
	}
	image_fini(&im);
	return whole;
}

int image_list_platforms(struct blobs *store, const struct descriptor *root,
                         struct platform **out, size_t *n, struct err *e)
{
	struct leaves all;

	if (leaves_of(&all, store, root, e) < 0)
		return -1;
	*n = all.list.len;
	*out = mem_alloc(*n * sizeof(**out));
	for (size_t i = 0; i < *n; i++)
		(*out)[i] = all.list.at[i].platform;
	vec_fini(&all.list);
	return 0;
}

typedef int blob_fn(void *self, const struct descriptor *d, struct err *e);

static int each_of_manifest(struct blobs *store, const struct descriptor *d, blob_fn *fn,
                            void *self, struct err *e)
{
	struct manifest m;
	int rc;

	if (load_manifest(store, d, &m, e) < 0)
		return -1;
	rc = fn(self, &m.config, e);
	for (size_t i = 0; i < m.n_layers && rc == 0; i++)
		rc = fn(self, &m.layers[i], e);
	manifest_fini(&m);
	return rc;
}

static int each_below(struct blobs *store, const struct descriptor *d, int depth,
                      blob_fn *fn, void *self, struct err *e)
{
	struct image_index ix;
	int rc = 0;

	if (media_class(d->media_type) == MEDIA_MANIFEST) {
		rc = each_of_manifest(store, d, fn, self, e);
	} else if (media_class(d->media_type) == MEDIA_INDEX) {
		if (depth == NESTING_MAX)
			return err_set(e, ERR_LIMIT,
			               "indexes are nested more than %d deep",
			               NESTING_MAX);
		if (load_index(store, d, &ix, e) < 0)
			return -1;
		for (size_t i = 0; i < ix.n && rc == 0; i++)
			rc = each_below(store, &ix.manifests[i], depth + 1, fn, self, e);
		index_fini(&ix);
	}
	return rc < 0 ? -1 : fn(self, d, e);
}

int image_each_blob(struct blobs *store, const struct descriptor *root, blob_fn *fn,
                    void *self, struct err *e)
{
	return each_below(store, root, 0, fn, self, e);
}

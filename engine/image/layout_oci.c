/* Import of OCI image layouts (OCI image-spec 1.1, image-layout.md). */
#include <string.h>

#include "image/layout_files.h"
#include "image/manifest.h"

#define REF_NAME "org.opencontainers.image.ref.name"
#define IMAGE_NAME "io.containerd.image.name"

enum { NESTING_MAX = 4, LAYOUT_FILE_MAX = 4096 };

static int check_version(struct layout_files *f, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	AUTO_JSON *j = NULL;
	const char *version = NULL;

	if (layout_files_read(f, "oci-layout", LAYOUT_FILE_MAX, &text, e) < 0) {
		if (e->code == ERR_NOT_FOUND)
			return err_set(e, ERR_INVALID,
			               "%s is not an OCI image layout: it has no file "
			               "'oci-layout'",
			               f->what);
		return -1;
	}
	if (json_read(&j, text.s, text.len, e) < 0 ||
	    json_member_str(j, "imageLayoutVersion", true, &version, e) < 0)
		return err_wrap(e, "%s: oci-layout", f->what);
	if (strncmp(version, "1.", 2) != 0)
		return err_set(e, ERR_INVALID,
		               "%s: layouts of version '%.40s' are not known", f->what,
		               version);
	return 0;
}

static const char *annotation(const struct image_index *ix, size_t i, const char *key)
{
	return json_string_value(json_object_get(ix->entry_annotations[i], key));
}

static bool is_image(const struct image_index *ix, size_t i)
{
	enum media_class class = media_class(ix->manifests[i].media_type);

	return class == MEDIA_MANIFEST || class == MEDIA_INDEX;
}

static bool has_tag(const struct image_index *ix, size_t i, const char *tag)
{
	const char *ref = annotation(ix, i, REF_NAME),
		   *name = annotation(ix, i, IMAGE_NAME);

	return (ref && layout_same_name(ref, tag)) ||
	       (name && layout_same_name(name, tag));
}

static int none_chosen(const struct layout_files *f, const struct image_index *ix,
                       const char *tag, struct err *e)
{
	AUTO_BUF have = BUF_INIT;
	size_t n = 0;

	for (size_t i = 0; i < ix->n; i++) {
		const char *name = annotation(ix, i, REF_NAME);

		if (!is_image(ix, i))
			continue;
		buf_addf(&have, "%s%.100s", n++ ? ", " : "",
		         name ? name : DIGEST_STR(&ix->manifests[i].digest));
	}
	if (!n)
		return err_set(e, ERR_NOT_FOUND, "%s: there is no image in it", f->what);
	if (tag)
		return err_set(e, ERR_NOT_FOUND,
		               "%s: nothing in it is tagged '%.100s'; there is: %.400s",
		               f->what, tag, have.s);
	return err_set(e, ERR_INVALID,
	               "%s: there are several images; name one of: %.400s", f->what,
	               have.s);
}

/* The entry that the tag names, or the only one. The same image under two tags is one. */
static int choose(const struct layout_files *f, const struct image_index *ix,
                  const char *tag, struct descriptor *root, struct err *e)
{
	const struct descriptor *found = NULL;

	for (size_t i = 0; i < ix->n; i++) {
		const struct descriptor *d = &ix->manifests[i];

		if (!is_image(ix, i) || (tag && !has_tag(ix, i, tag)))
			continue;
		if (found && !digest_equal(&found->digest, &d->digest)) {
			if (tag)
				return err_set(e, ERR_INVALID,
				               "%s: the tag '%.100s' is in it for two "
				               "images",
				               f->what, tag);
			return none_chosen(f, ix, tag, e);
		}
		found = d;
	}
	if (!found)
		return none_chosen(f, ix, tag, e);
	*root = *found;
	return 0;
}

static int read_index(struct layout_files *f, const char *tag, struct descriptor *root,
                      struct err *e)
{
	AUTO_BUF body = BUF_INIT;
	struct image_index ix;
	int rc;

	if (check_version(f, e) < 0 ||
	    layout_files_read(f, "index.json", image_limits()->manifest, &body, e) < 0)
		return -1;
	if (index_read(&ix, "", body.s, body.len, e) < 0)
		return err_wrap(e, "%s: index.json", f->what);
	rc = choose(f, &ix, tag, root, e);
	index_fini(&ix);
	return rc;
}

struct importing {
	struct layout_files *files;
	struct blobs *store;
};

static void blob_name(const struct descriptor *d, char out[100])
{
	char hex[DIGEST_HEX + 1];

	memcpy(out, "blobs/sha256/", 13);
	memcpy(out + 13, digest_hex(&d->digest, hex), DIGEST_HEX + 1);
}

static int take_blob(struct importing *im, const struct descriptor *d, struct err *e)
{
	char name[100];

	blob_name(d, name);
	return layout_files_store(im->files, name, d, im->store, e);
}

/* A manifest or index, in the store only once all that it refers to is. */
static int read_document(struct importing *im, const struct descriptor *d,
                         struct buf *body, struct err *e)
{
	struct digest got;
	char name[100];

	blob_name(d, name);
	if (layout_files_read(im->files, name, image_limits()->manifest, body, e) < 0)
		return -1;
	digest_of(&got, body->s, body->len);
	if (!digest_equal(&got, &d->digest) || (int64_t)body->len != d->size)
		return err_set(e, ERR_CORRUPT, "%s: '%s' is not what its name says",
		               im->files->what, name);
	return 0;
}

/* Layers that lie elsewhere by their nature are refused: their URLs are never asked. What
 * is of no platform is no image: BuildKit's attestations have an image's configuration,
 * and statements for layers. */
static int check_layers(const struct manifest *m, const struct descriptor *d,
                        struct err *e)
{
	bool image = !m->artifact_type[0] && strcmp(d->platform.os, "unknown") != 0;
	enum codec codec;

	for (size_t i = 0; i < m->n_layers; i++)
		if ((image || media_foreign(m->layers[i].media_type)) &&
		    media_layer_codec(m->layers[i].media_type, &codec, e) < 0)
			return -1;
	return 0;
}

static int take_manifest(struct importing *im, const struct descriptor *d,
                         const struct buf *body, struct err *e)
{
	struct manifest m;
	int rc;

	if (manifest_read(&m, d->media_type, body->s, body->len, e) < 0)
		return -1;
	rc = check_layers(&m, d, e);
	if (rc == 0)
		rc = take_blob(im, &m.config, e);
	for (size_t i = 0; i < m.n_layers && rc == 0; i++)
		rc = take_blob(im, &m.layers[i], e);
	manifest_fini(&m);
	return rc;
}

static int take(struct importing *im, const struct descriptor *d, int depth,
                struct err *e)
{
	enum media_class class = media_class(d->media_type);
	AUTO_BUF body = BUF_INIT;
	struct image_index ix;
	int rc = 0;

	if (class != MEDIA_MANIFEST && class != MEDIA_INDEX)
		return take_blob(im, d, e);
	if (depth == NESTING_MAX)
		return err_set(e, ERR_LIMIT, "indexes are nested more than %d deep",
		               NESTING_MAX);
	if (read_document(im, d, &body, e) < 0)
		return -1;
	if (class == MEDIA_MANIFEST) {
		rc = take_manifest(im, d, &body, e);
	} else {
		if (index_read(&ix, d->media_type, body.s, body.len, e) < 0)
			return -1;
		for (size_t i = 0; i < ix.n && rc == 0; i++)
			rc = take(im, &ix.manifests[i], depth + 1, e);
		index_fini(&ix);
	}
	return rc < 0 ? -1 : take_blob(im, d, e);
}

int layout_oci_import(struct layout_files *f, struct blobs *store, const char *tag,
                      struct descriptor *root, struct err *e)
{
	struct importing im = { f, store };

	if (read_index(f, tag, root, e) < 0)
		return -1;
	if (store && take(&im, root, 0, e) < 0)
		return err_wrap(e, "%s", f->what);
	/* A layout's index may say of the root what its configuration says better. */
	memset(&root->platform, 0, sizeof(root->platform));
	return 0;
}

#include "image/manifest.h"

#include <string.h>

/* Annotations are an object of strings. Gives a new reference, or NULL if there are none.
 */
static int read_annotations(const json_t *j, json_t **out, struct err *e)
{
	json_t *a = NULL, *value;
	const char *key;

	*out = NULL;
	if (json_member_object(j, "annotations", false, &a, e) < 0)
		return -1;
	if (!a)
		return 0;
	json_object_foreach(a, key, value) if (!json_is_string(value)) return err_set(
		e, ERR_INVALID, "annotation '%.100s' is not a string", key);
	*out = json_incref(a);
	return 0;
}

static int read_subject(const json_t *j, struct descriptor *out, struct err *e)
{
	json_t *subject = NULL;

	if (json_member_object(j, "subject", false, &subject, e) < 0)
		return -1;
	if (subject && descriptor_read(out, subject, e) < 0)
		return err_wrap(e, "subject");
	return 0;
}

int manifest_refuse_schema1(struct err *e)
{
	return err_set(
		e, ERR_INVALID,
		"it is a Docker schema 1 manifest, a form given up in 2016; push the image "
		"again with a current tool, or copy it: skopeo copy --format oci");
}

static int read_schema_version(const json_t *j, struct err *e)
{
	int64_t version = 0;

	if (json_member_int(j, "schemaVersion", true, &version, e) < 0)
		return -1;
	if (version == 1)
		return manifest_refuse_schema1(e);
	if (version != 2)
		return err_set(e, ERR_INVALID, "schemaVersion %lld is not known",
		               (long long)version);
	return 0;
}

/* One meaning for each document: what shows members of both kinds could be read as one
 * thing here and as another elsewhere (CVE-2021-41190). */
static int check_members(const json_t *j, enum media_class class, struct err *e)
{
	bool as_index = json_object_get(j, "manifests");
	bool as_manifest = json_object_get(j, "layers") || json_object_get(j, "config");

	if (json_object_get(j, "fsLayers"))
		return err_set(e, ERR_INVALID,
		               "it mixes members of Docker's schema 1 and schema 2");
	if (as_index && as_manifest)
		return err_set(e, ERR_INVALID,
		               "it has members of both a manifest and an index");
	if (class == MEDIA_INDEX && as_manifest)
		return err_set(e, ERR_INVALID,
		               "its type is that of an index, but it is a manifest");
	if (class == MEDIA_MANIFEST && as_index)
		return err_set(e, ERR_INVALID,
		               "its type is that of a manifest, but it is an index");
	return 0;
}

/* The type of the document into `out`: the body's, the declared one, or what the members
 * show. */
static int settle_type(const json_t *j, const char *declared, enum media_class want,
                       char out[128], struct err *e)
{
	const char *said = NULL;

	if (json_member_str(j, "mediaType", false, &said, e) < 0)
		return -1;
	if (said && declared[0] && strcmp(said, declared) != 0)
		return err_set(e, ERR_INVALID,
		               "it was said to be %.120s, but says that it is %.120s",
		               declared, said);
	if (!said && declared[0])
		said = declared;
	if (!said)
		said = want == MEDIA_INDEX ? MEDIA_OCI_INDEX : MEDIA_OCI_MANIFEST;
	if (strlen(said) >= 128 || media_class(said) != want)
		return err_set(e, ERR_INVALID, "its type '%.120s' is not that of %s",
		               said, want == MEDIA_INDEX ? "an index" : "a manifest");
	memcpy(out, said, strlen(said) + 1);
	return check_members(j, want, e);
}

/* The document, parsed and of the kind wanted. */
static int open_document(json_t **out, const char *declared, enum media_class want,
                         char type[128], const void *body, size_t n, struct err *e)
{
	AUTO_JSON *j = NULL;

	if ((int64_t)n > image_limits()->manifest)
		return err_set(
			e, ERR_LIMIT,
			"it is larger than %lld bytes" IMAGE_LIMIT_HINT("manifest"),
			(long long)image_limits()->manifest);
	if (json_read(&j, body, n, e) < 0)
		return -1;
	if (!json_is_object(j))
		return err_set(e, ERR_INVALID, "it is not a JSON object");
	if (read_schema_version(j, e) < 0 || settle_type(j, declared, want, type, e) < 0)
		return -1;
	*out = STEAL(j);
	return 0;
}

/* Descriptors of an array, with their annotations. */
static int read_list(struct arena *a, const json_t *list, const char *what,
                     struct descriptor **out, json_t ***notes, size_t *n, struct err *e)
{
	size_t count = json_array_size(list);

	*out = arena_alloc(a, count * sizeof(**out));
	*notes = arena_alloc(a, count * sizeof(**notes));
	for (*n = 0; *n < count; ++*n) {
		const json_t *j = json_array_get(list, *n);

		if (descriptor_read(&(*out)[*n], j, e) < 0 ||
		    read_annotations(j, &(*notes)[*n], e) < 0)
			return err_wrap(e, "%s %zu", what, *n + 1);
	}
	return 0;
}

static int read_artifact_type(struct manifest *m, const json_t *j, struct err *e)
{
	const char *type = NULL;

	if (json_member_str(j, "artifactType", false, &type, e) < 0)
		return -1;
	if (!type && media_class(m->config.media_type) != MEDIA_CONFIG)
		type = m->config.media_type;
	if (!type)
		return 0;
	if (strlen(type) >= sizeof(m->artifact_type))
		return err_set(e, ERR_INVALID, "its artifactType is too long");
	memcpy(m->artifact_type, type, strlen(type) + 1);
	return 0;
}

static int fill_manifest(struct manifest *m, const json_t *j, struct err *e)
{
	json_t *config = NULL, *layers = NULL;

	if (json_member_object(j, "config", true, &config, e) < 0 ||
	    json_member_array(j, "layers", true, &layers, e) < 0)
		return -1;
	if ((int64_t)json_array_size(layers) > image_limits()->layers)
		return err_set(
			e, ERR_LIMIT,
			"it has %zu layers; at most %lld are read" IMAGE_LIMIT_HINT(
				"layers"),
			json_array_size(layers), (long long)image_limits()->layers);
	if (descriptor_read(&m->config, config, e) < 0)
		return err_wrap(e, "config");
	if (read_list(&m->arena, layers, "layer", &m->layers, &m->layer_annotations,
	              &m->n_layers, e) < 0)
		return -1;
	if (read_artifact_type(m, j, e) < 0 || read_subject(j, &m->subject, e) < 0)
		return -1;
	return read_annotations(j, &m->annotations, e);
}

int manifest_read(struct manifest *m, const char *media_type, const void *body, size_t n,
                  struct err *e)
{
	AUTO_JSON *j = NULL;

	memset(m, 0, sizeof(*m));
	if (open_document(&j, media_type, MEDIA_MANIFEST, m->media_type, body, n, e) ==
	            0 &&
	    fill_manifest(m, j, e) == 0)
		return 0;
	manifest_fini(m);
	return err_wrap(e, "manifest");
}

static void drop_all(json_t **list, size_t n)
{
	for (size_t i = 0; list && i < n; i++)
		json_decref(list[i]);
}

void manifest_fini(struct manifest *m)
{
	drop_all(m->layer_annotations, m->n_layers);
	json_decref(m->annotations);
	arena_fini(&m->arena);
	memset(m, 0, sizeof(*m));
}

static int fill_index(struct image_index *ix, const json_t *j, struct err *e)
{
	json_t *list = NULL;

	if (json_member_array(j, "manifests", true, &list, e) < 0)
		return -1;
	if (read_list(&ix->arena, list, "entry", &ix->manifests, &ix->entry_annotations,
	              &ix->n, e) < 0)
		return -1;
	return read_annotations(j, &ix->annotations, e);
}

int index_read(struct image_index *ix, const char *media_type, const void *body, size_t n,
               struct err *e)
{
	AUTO_JSON *j = NULL;

	memset(ix, 0, sizeof(*ix));
	if (open_document(&j, media_type, MEDIA_INDEX, ix->media_type, body, n, e) == 0 &&
	    fill_index(ix, j, e) == 0)
		return 0;
	index_fini(ix);
	return err_wrap(e, "index");
}

void index_fini(struct image_index *ix)
{
	drop_all(ix->entry_annotations, ix->n);
	json_decref(ix->annotations);
	arena_fini(&ix->arena);
	memset(ix, 0, sizeof(*ix));
}

static int by_key(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Adds `annotations` to `j`, sorted; an empty object is left out. */
static void put_annotations(json_t *j, json_t *annotations)
{
	size_t n = json_object_size(annotations), i = 0;
	AUTO_FREE const char **keys = NULL;
	json_t *sorted, *value;
	const char *key;

	if (n == 0)
		return;
	keys = mem_alloc(n * sizeof(*keys));
	json_object_foreach(annotations, key, value) keys[i++] = key;
	qsort(keys, n, sizeof(*keys), by_key);
	sorted = json_object();
	for (i = 0; i < n; i++)
		json_object_set(sorted, keys[i], json_object_get(annotations, keys[i]));
	json_object_set_new(j, "annotations", sorted);
}

/* An entry with its annotations before its platform, as in the specification's examples
 * of writers: {mediaType, digest, size, annotations, platform}. */
static json_t *entry_json(const struct descriptor *d, json_t *annotations)
{
	json_t *j = descriptor_json(d);
	json_t *platform = json_incref(json_object_get(j, "platform"));

	json_object_del(j, "platform");
	put_annotations(j, annotations);
	if (platform)
		json_object_set_new(j, "platform", platform);
	return j;
}

static json_t *list_json(const struct descriptor *at, json_t *const *notes, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, entry_json(&at[i], notes ? notes[i] : NULL));
	return list;
}

static json_t *start_document(const char *media_type, const char *otherwise)
{
	json_t *j = json_object();

	json_object_set_new(j, "schemaVersion", json_integer(2));
	json_object_set_new(j, "mediaType",
	                    json_string(media_type[0] ? media_type : otherwise));
	return j;
}

void manifest_write(const struct manifest *m, struct buf *out)
{
	AUTO_JSON *j = start_document(m->media_type, MEDIA_OCI_MANIFEST);

	if (m->artifact_type[0] && strcmp(m->artifact_type, m->config.media_type) != 0)
		json_object_set_new(j, "artifactType", json_string(m->artifact_type));
	json_object_set_new(j, "config", descriptor_json(&m->config));
	json_object_set_new(j, "layers",
	                    list_json(m->layers, m->layer_annotations, m->n_layers));
	if (m->subject.media_type[0])
		json_object_set_new(j, "subject", descriptor_json(&m->subject));
	put_annotations(j, m->annotations);
	json_write(out, j);
}

void index_write(const struct image_index *ix, struct buf *out)
{
	AUTO_JSON *j = start_document(ix->media_type, MEDIA_OCI_INDEX);

	json_object_set_new(j, "manifests",
	                    list_json(ix->manifests, ix->entry_annotations, ix->n));
	put_annotations(j, ix->annotations);
	json_write(out, j);
}

const struct descriptor *index_select(const struct image_index *ix,
                                      const struct platform *want)
{
	const struct descriptor *best = NULL;

	for (size_t i = 0; i < ix->n; i++) {
		const struct descriptor *d = &ix->manifests[i];

		if (!d->platform.os[0] || !platform_fits(want, &d->platform))
			continue;
		if (platform_equal(want, &d->platform))
			return d;
		/* Of two that fit, the one that fits where the other is asked for is the
		 * lesser. */
		if (!best || platform_fits(&d->platform, &best->platform))
			best = d;
	}
	return best;
}

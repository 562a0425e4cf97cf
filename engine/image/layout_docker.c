/* Import of `docker save` archives. manifest.json lists the images; layers are plain or
 * compressed tars, and no manifest with digests comes with them: ours is made here, and
 * is the same each time. */
#include <stdio.h>
#include <string.h>

#include "image/codec.h"
#include "image/config.h"
#include "image/layout_files.h"
#include "image/manifest.h"
#include "os/fd.h"

struct saved {
	struct layout_files *files;
	json_t *entry;  /* of manifest.json; borrowed */
	json_t *layers; /* names; borrowed */
	struct image_config config;
	struct buf config_body, body;
	struct manifest manifest;
};

static bool entry_has_name(const json_t *entry, const char *name)
{
	const json_t *tags = json_object_get(entry, "RepoTags");

	for (size_t i = 0; i < json_array_size(tags); i++) {
		const char *tag = json_string_value(json_array_get(tags, i));

		if (tag && layout_same_name(tag, name))
			return true;
	}
	return false;
}

static int none_chosen(const struct layout_files *f, const json_t *list, const char *name,
                       struct err *e)
{
	AUTO_BUF have = BUF_INIT;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *tags = json_object_get(json_array_get(list, i), "RepoTags");
		const char *tag = json_string_value(json_array_get(tags, 0));

		buf_addf(&have, "%s%.100s", i ? ", " : "", tag ? tag : "(untagged)");
	}
	if (!have.len)
		return err_set(e, ERR_NOT_FOUND, "%s: there is no image in it", f->what);
	if (name)
		return err_set(e, ERR_NOT_FOUND,
		               "%s: there is no '%.100s' in it, but: %.400s", f->what,
		               name, have.s);
	return err_set(e, ERR_INVALID,
	               "%s: there are several images; name one of: %.400s", f->what,
	               have.s);
}

static int choose(struct saved *s, const json_t *list, const char *name, struct err *e)
{
	s->entry = NULL;
	if (!json_is_array(list))
		return err_set(e, ERR_INVALID, "%s: manifest.json is not a list",
		               s->files->what);
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *entry = json_array_get(list, i);

		if (name && !entry_has_name(entry, name))
			continue;
		if (s->entry)
			return none_chosen(s->files, list, name, e);
		s->entry = entry;
	}
	return s->entry ? 0 : none_chosen(s->files, list, name, e);
}

/* A name that holds a digest, "<hex>.json" or "blobs/sha256/<hex>", promises it. */
static bool promised(const char *name, struct digest *d)
{
	const char *slash = strrchr(name, '/');
	char text[DIGEST_TEXT];
	struct err e;

	name = slash ? slash + 1 : name;
	if (strlen(name) < DIGEST_HEX || (name[DIGEST_HEX] && name[DIGEST_HEX] != '.'))
		return false;
	snprintf(text, sizeof(text), "sha256:%.64s", name);
	return digest_parse(d, text, &e) == 0;
}

static int read_config(struct saved *s, struct err *e)
{
	struct descriptor *d = &s->manifest.config;
	const char *name = NULL;
	struct digest said;

	if (json_member_str(s->entry, "Config", true, &name, e) < 0 ||
	    layout_files_read(s->files, name, image_limits()->config, &s->config_body,
	                      e) < 0)
		return -1;
	strcpy(d->media_type, MEDIA_OCI_CONFIG);
	digest_of(&d->digest, s->config_body.s, s->config_body.len);
	d->size = (int64_t)s->config_body.len;
	if (promised(name, &said) && !digest_equal(&said, &d->digest))
		return err_set(e, ERR_CORRUPT, "'%.200s' is not what its name says",
		               name);
	return config_read(&s->config, s->config_body.s, s->config_body.len, e);
}

static enum codec sniff(const unsigned char magic[4])
{
	if (magic[0] == 0x1f && magic[1] == 0x8b)
		return CODEC_GZIP;
	if (!memcmp(magic, "\x28\xb5\x2f\xfd", 4))
		return CODEC_ZSTD;
	return CODEC_NONE;
}

/* A plain tar's digest is its diff ID; of others the name may tell it, else the bytes do.
 * What is told is checked when the layer is stored. */
static int describe_layer(struct saved *s, const char *name, size_t i, struct err *e)
{
	static const char *const types[] = { [CODEC_NONE] = MEDIA_OCI_LAYER,
		                             [CODEC_GZIP] = MEDIA_OCI_LAYER_GZIP,
		                             [CODEC_ZSTD] = MEDIA_OCI_LAYER_ZSTD };
	AUTO(layout_extent_close) struct layout_extent x = { -1, 0, 0 };
	struct descriptor *d = &s->manifest.layers[i];
	unsigned char magic[4] = { 0 };
	enum codec codec;

	if (layout_files_get(s->files, name, &x, e) < 0 ||
	    layout_extent_read(&x, 0, magic, sizeof(magic), e) < 0)
		return -1;
	codec = sniff(magic);
	strcpy(d->media_type, types[codec]);
	d->size = x.size;
	if (codec == CODEC_NONE)
		config_diff_id(&s->config, i, &d->digest);
	else if (!promised(name, &d->digest))
		return layout_files_digest(s->files, name, &d->digest, e);
	return 0;
}

static const char *layer_name(const struct saved *s, size_t i)
{
	return json_string_value(json_array_get(s->layers, i));
}

static int describe(struct saved *s, struct err *e)
{
	struct manifest *m = &s->manifest;

	if (read_config(s, e) < 0 ||
	    json_member_array(s->entry, "Layers", true, &s->layers, e) < 0)
		return -1;
	m->n_layers = json_array_size(s->layers);
	if (m->n_layers != config_layer_count(&s->config))
		return err_set(e, ERR_INVALID,
		               "there are %zu layers, but the configuration has %zu",
		               m->n_layers, config_layer_count(&s->config));
	m->layers = arena_alloc(&m->arena, m->n_layers * sizeof(*m->layers));
	for (size_t i = 0; i < m->n_layers; i++) {
		if (!layer_name(s, i))
			return err_set(e, ERR_INVALID,
			               "the name of layer %zu is not a string", i + 1);
		if (describe_layer(s, layer_name(s, i), i, e) < 0)
			return err_wrap(e, "layer %zu", i + 1);
	}
	strcpy(m->media_type, MEDIA_OCI_MANIFEST);
	manifest_write(m, &s->body);
	return 0;
}

/* SHA-256 of what the layer behind `fd` unpacks to. */
static int hash_unpacked(int fd, enum codec codec, struct digest *out, struct err *e)
{
	enum { CHUNK = 256 * 1024 };
	AUTO_FREE char *chunk = mem_alloc(CHUNK);
	struct decoder *decoder;
	struct fd_source in;
	struct source *src;
	struct hasher h;
	int64_t total = 0;
	ssize_t n;

	fd_source_init(&in, fd, "a layer");
	decoder = decoder_new(codec, &in.source, image_limits());
	src = decoder_source(decoder);
	hasher_init(&h);
	while ((n = src->read(src, chunk, CHUNK, e)) > 0) {
		hasher_add(&h, chunk, (size_t)n);
		total += n;
		if (total > image_limits()->unpacked) {
			n = err_set(e, ERR_LIMIT,
			            "it unpacks to more than %lld bytes" IMAGE_LIMIT_HINT(
					    "unpacked"),
			            (long long)image_limits()->unpacked);
			break;
		}
	}
	hasher_end(&h, out);
	decoder_free(decoder);
	return n < 0 ? -1 : 0;
}

/* A plain layer's diff ID is its digest, which was checked already. */
static int check_diff_id(struct saved *s, struct blobs *store, size_t i, struct err *e)
{
	const struct descriptor *d = &s->manifest.layers[i];
	struct digest want, got;
	AUTO_CLOSE int fd = -1;
	enum codec codec;

	if (media_layer_codec(d->media_type, &codec, e) < 0)
		return -1;
	if (codec == CODEC_NONE)
		return 0;
	fd = blobs_get(store, &d->digest, NULL, e);
	if (fd < 0 || hash_unpacked(fd, codec, &got, e) < 0)
		return -1;
	config_diff_id(&s->config, i, &want);
	if (digest_equal(&want, &got))
		return 0;
	return err_set(e, ERR_CORRUPT, "its diff ID is %s, but the configuration says %s",
	               DIGEST_STR(&got), DIGEST_STR(&want));
}

static int store_all(struct saved *s, struct blobs *store, struct err *e)
{
	for (size_t i = 0; i < s->manifest.n_layers; i++)
		if (layout_files_store(s->files, layer_name(s, i), &s->manifest.layers[i],
		                       store, e) < 0 ||
		    check_diff_id(s, store, i, e) < 0)
			return err_wrap(e, "layer %zu", i + 1);
	if (blobs_put(store, s->config_body.s, s->config_body.len, NULL, e) < 0)
		return -1;
	return blobs_put(store, s->body.s, s->body.len, NULL, e);
}

static void saved_fini(struct saved *s)
{
	manifest_fini(&s->manifest);
	config_fini(&s->config);
	buf_fini(&s->config_body);
	buf_fini(&s->body);
}

int layout_docker_import(struct layout_files *f, struct blobs *store, const char *tag,
                         struct descriptor *root, struct err *e)
{
	AUTO(saved_fini)
	struct saved s = { .files = f, .config_body = BUF_INIT, .body = BUF_INIT };
	AUTO_BUF text = BUF_INIT;
	AUTO_JSON *list = NULL;

	if (layout_files_read(f, "manifest.json", image_limits()->manifest, &text, e) <
	    0) {
		if (e->code == ERR_NOT_FOUND)
			return err_set(e, ERR_INVALID,
			               "%s is not an archive of docker save: it has no "
			               "file 'manifest.json'",
			               f->what);
		return -1;
	}
	if (json_read(&list, text.s, text.len, e) < 0)
		return err_wrap(e, "%s: manifest.json", f->what);
	if (choose(&s, list, tag, e) < 0)
		return -1;
	if (describe(&s, e) < 0 || (store && store_all(&s, store, e) < 0))
		return err_wrap(e, "%s", f->what);
	memset(root, 0, sizeof(*root));
	strcpy(root->media_type, MEDIA_OCI_MANIFEST);
	digest_of(&root->digest, s.body.s, s.body.len);
	root->size = (int64_t)s.body.len;
	return 0;
}

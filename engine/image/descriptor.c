#include "image/descriptor.h"

#include <stdio.h>
#include <string.h>

struct media {
	const char *type;
	enum media_class class;
	enum codec codec;
};

#define DOCKER_LAYER "application/vnd.docker.image.rootfs.diff.tar"

static const struct media known[] = {
	{ MEDIA_OCI_MANIFEST, MEDIA_MANIFEST, CODEC_NONE },
	{ MEDIA_OCI_INDEX, MEDIA_INDEX, CODEC_NONE },
	{ MEDIA_OCI_CONFIG, MEDIA_CONFIG, CODEC_NONE },
	{ MEDIA_OCI_LAYER, MEDIA_LAYER, CODEC_NONE },
	{ MEDIA_OCI_LAYER_GZIP, MEDIA_LAYER, CODEC_GZIP },
	{ MEDIA_OCI_LAYER_ZSTD, MEDIA_LAYER, CODEC_ZSTD },
	{ MEDIA_DOCKER_MANIFEST, MEDIA_MANIFEST, CODEC_NONE },
	{ MEDIA_DOCKER_INDEX, MEDIA_INDEX, CODEC_NONE },
	{ MEDIA_DOCKER_CONFIG, MEDIA_CONFIG, CODEC_NONE },
	{ MEDIA_DOCKER_LAYER_GZIP, MEDIA_LAYER, CODEC_GZIP },
	{ DOCKER_LAYER, MEDIA_LAYER, CODEC_NONE },
	{ DOCKER_LAYER ".zstd", MEDIA_LAYER, CODEC_ZSTD },
};

static const struct media *media_find(const char *type)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(known[i].type, type))
			return &known[i];
	return NULL;
}

enum media_class media_class(const char *media_type)
{
	const struct media *m = media_find(media_type);

	return m ? m->class : MEDIA_OTHER;
}

bool media_foreign(const char *media_type)
{
	return strstr(media_type, "nondistributable") || strstr(media_type, ".foreign.");
}

int media_layer_codec(const char *media_type, enum codec *out, struct err *e)
{
	const struct media *m = media_find(media_type);

	if (m && m->class == MEDIA_LAYER) {
		*out = m->codec;
		return 0;
	}
	if (media_foreign(media_type))
		return err_set(
			e, ERR_INVALID,
			"a layer of type %s is kept outside the registry, and such are not fetched",
			media_type);
	if (strstr(media_type, "+encrypted"))
		return err_set(e, ERR_INVALID, "a layer of type %s is encrypted",
		               media_type);
	return err_set(e, ERR_INVALID,
	               "'%s' is not the type of a layer that imgmake can read",
	               media_type);
}

/* type/subtype of RFC 6838, section 4.2: nothing that could end a header line. */
static bool media_type_valid(const char *s)
{
	size_t slashes = 0;

	for (size_t i = 0; s[i]; i++) {
		char c = s[i];

		if (c == '/')
			slashes++;
		else if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		         !(c >= '0' && c <= '9') && !strchr("!#$&-^_.+", c))
			return false;
	}
	return slashes == 1 && s[0] != '/' && s[strlen(s) - 1] != '/';
}

static int copy_member(const json_t *j, const char *key, bool need, char *out,
                       size_t size, struct err *e)
{
	const char *s = "";

	if (json_member_str(j, key, need, &s, e) < 0)
		return -1;
	if (strlen(s) >= size)
		return err_set(e, ERR_INVALID, "member '%s' is longer than %zu bytes",
		               key, size - 1);
	memcpy(out, s, strlen(s) + 1);
	return 0;
}

static int read_platform(struct platform *p, const json_t *j, struct err *e)
{
	json_t *o = NULL;

	if (json_member_object(j, "platform", false, &o, e) < 0)
		return -1;
	if (!o)
		return 0;
	if (copy_member(o, "os", true, p->os, sizeof(p->os), e) < 0 ||
	    copy_member(o, "architecture", true, p->arch, sizeof(p->arch), e) < 0 ||
	    copy_member(o, "variant", false, p->variant, sizeof(p->variant), e) < 0)
		return err_wrap(e, "platform");
	return 0;
}

int descriptor_read(struct descriptor *d, const json_t *j, struct err *e)
{
	const char *digest = NULL;

	memset(d, 0, sizeof(*d));
	if (!json_is_object(j))
		return err_set(e, ERR_INVALID, "a descriptor is not an object");
	if (copy_member(j, "mediaType", true, d->media_type, sizeof(d->media_type), e) <
	    0)
		return -1;
	if (!media_type_valid(d->media_type))
		return err_set(e, ERR_INVALID, "'%s' is not a media type", d->media_type);
	if (json_member_str(j, "digest", true, &digest, e) < 0 ||
	    digest_parse(&d->digest, digest, e) < 0)
		return -1;
	if (json_member_int(j, "size", true, &d->size, e) < 0)
		return -1;
	if (d->size < 0)
		return err_set(e, ERR_INVALID, "the size of %s is negative", digest);
	return read_platform(&d->platform, j, e);
}

json_t *descriptor_json(const struct descriptor *d)
{
	const struct platform *p = &d->platform;
	json_t *j = json_object();

	json_object_set_new(j, "mediaType", json_string(d->media_type));
	json_object_set_new(j, "digest", json_string(DIGEST_STR(&d->digest)));
	json_object_set_new(j, "size", json_integer(d->size));
	if (p->os[0]) {
		json_t *o = json_object();

		json_object_set_new(o, "architecture", json_string(p->arch));
		json_object_set_new(o, "os", json_string(p->os));
		if (p->variant[0])
			json_object_set_new(o, "variant", json_string(p->variant));
		json_object_set_new(j, "platform", o);
	}
	return j;
}

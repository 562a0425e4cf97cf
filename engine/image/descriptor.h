#ifndef IMAGE_DESCRIPTOR_H
#define IMAGE_DESCRIPTOR_H

/* What is said of a blob by those who refer to it (OCI image-spec 1.1, descriptor.md). A
 * plain value: copying it is fine. */
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/json.h"

#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define MEDIA_OCI_LAYER "application/vnd.oci.image.layer.v1.tar"
#define MEDIA_OCI_LAYER_GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define MEDIA_OCI_LAYER_ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"
#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_DOCKER_INDEX "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"
#define MEDIA_DOCKER_LAYER_GZIP "application/vnd.docker.image.rootfs.diff.tar.gzip"

struct platform {
	char os[32];      /* "linux" */
	char arch[32];    /* "amd64": GOARCH names */
	char variant[32]; /* "v7", mostly "" */
};

struct descriptor {
	char media_type[128];
	struct digest digest;
	int64_t size;
	struct platform platform; /* of an index's entries; os is "" when not given */
};

/* "os/arch[/variant]", normalised as containerd does (x86_64 → amd64, aarch64 → arm64,
 * arm64/v8 → arm64, arm → arm/v7). */
MUST_CHECK int platform_parse(struct platform *p, const char *text, struct err *e);
void platform_host(struct platform *p);
const char *platform_text(const struct platform *p, char out[100]);
bool platform_equal(const struct platform *a, const struct platform *b);
/* An image for `have` can run where `want` is asked for (arm/v6 on arm/v7). */
bool platform_fits(const struct platform *want, const struct platform *have);

/* Refuses unknown digest algorithms, sizes outside 0…2^63-1 and over-long media types. */
MUST_CHECK int descriptor_read(struct descriptor *d, const json_t *j, struct err *e);
json_t *descriptor_json(const struct descriptor *d); /* new reference */

enum media_class { MEDIA_OTHER, MEDIA_MANIFEST, MEDIA_INDEX, MEDIA_CONFIG, MEDIA_LAYER };
enum media_class media_class(const char *media_type);

/* A layer that is kept outside of registries, by its type. */
bool media_foreign(const char *media_type);

enum codec { CODEC_NONE, CODEC_GZIP, CODEC_ZSTD };
/* The compression that a layer's media type declares; foreign, encrypted or unknown
 * layers are ERR_INVALID. */
MUST_CHECK int media_layer_codec(const char *media_type, enum codec *out, struct err *e);

#endif

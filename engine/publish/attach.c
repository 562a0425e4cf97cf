#include "publish/attach.h"

#include <string.h>

#include "image/manifest.h"
#include "image/sbom.h"

#define MEDIA_EMPTY "application/vnd.oci.empty.v1+json"

static void describe(struct descriptor *d, const char *media_type, const char *body,
                     size_t n)
{
	memset(d, 0, sizeof(*d));
	strcpy(d->media_type, media_type);
	digest_of(&d->digest, body, n);
	d->size = (int64_t)n;
}

/* What the registry says of the image is by its digest: the platform would only be noise.
 */
static void refer_to(struct manifest *m, const struct descriptor *image)
{
	m->subject = *image;
	m->subject.platform = (struct platform){ .os = "" };
}

int attach_sbom(struct blobs *store, const struct descriptor *image,
                const struct descriptor *document, struct descriptor *out, struct err *e)
{
	static const char empty[] = "{}";
	struct descriptor layer = *document;
	json_t *title =
		json_pack("{s:s}", "org.opencontainers.image.title", "sbom.spdx.json");
	struct manifest m = {
		.media_type = MEDIA_OCI_MANIFEST,
		.artifact_type = SBOM_MEDIA_TYPE,
		.layers = &layer,
		.n_layers = 1,
		.layer_annotations = &title,
	};
	AUTO_BUF body = BUF_INIT;
	int rc;

	describe(&m.config, MEDIA_EMPTY, empty, sizeof(empty) - 1);
	refer_to(&m, image);
	manifest_write(&m, &body);
	manifest_fini(&m); /* with the annotation */
	describe(out, MEDIA_OCI_MANIFEST, body.s, body.len);
	rc = blobs_put(store, empty, sizeof(empty) - 1, NULL, e);
	return rc < 0 ? -1 : blobs_put(store, body.s, body.len, NULL, e);
}

#ifndef PUBLISH_ATTACH_H
#define PUBLISH_ATTACH_H

/* Documents that say something of an image, as artifacts that refer to it (OCI image-spec
 * 1.1, "Guidelines for Artifact Usage"). */
#include "image/descriptor.h"
#include "store/blobs.h"

/* Puts the manifest of an artifact with this one blob, an SPDX document, into the store,
 * and what it needs beside. *out is the manifest. */
MUST_CHECK int attach_sbom(struct blobs *store, const struct descriptor *image,
                           const struct descriptor *document, struct descriptor *out,
                           struct err *e);

#endif

#ifndef BUILD_SBOM_H
#define BUILD_SBOM_H

/* The bill of materials of an image that is made, or found. Private to build/. */
#include "build/node.h"

/* Appends the document of an image's node, whose manifest is known. */
MUST_CHECK int node_sbom(struct node *n, struct buf *out, struct err *e);

#endif

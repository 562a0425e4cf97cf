#ifndef IMAGE_SBOM_H
#define IMAGE_SBOM_H

/* A bill of materials: the packages that an image holds, as their managers have written
 * them down in it, told as an SPDX 2.3 document in JSON. The same image gives the same
 * bytes. */
#include <stdbool.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"

/* Raised when the same image gives other bytes. */
#define SBOM_VERSION "1"
#define SBOM_MEDIA_TYPE "application/spdx+json"

enum { SBOM_FILE_MAX = 256 << 20 }; /* bytes of a database */

enum sbom_kind {
	SBOM_NONE,
	SBOM_SYSTEM,   /* os-release: given first, where there is one */
	SBOM_DPKG,     /* status */
	SBOM_DPKG_ONE, /* a file of status.d, as images without dpkg have them */
	SBOM_APK,
	SBOM_RPM,
	SBOM_NPM,    /* package.json of an installed package */
	SBOM_PYTHON, /* METADATA or PKG-INFO of an installed distribution */
};

/* What a file of an image is by its path, which has no leading slash. SBOM_SYSTEM is
 * found otherwise: it is often a link. */
enum sbom_kind sbom_kind_of(const char *path);

struct sbom;
struct sbom *sbom_new(void);
void sbom_free(struct sbom *s); /* NULL is fine */

/* Takes the packages that a file names. ERR_INVALID: a database that cannot be read. */
MUST_CHECK int sbom_add(struct sbom *s, enum sbom_kind kind, const char *path,
                        const struct buf *content, struct err *e);

struct sbom_subject {
	const char *name;              /* of the image, for people */
	const struct digest *manifest; /* of one platform */
	const char *base_name;         /* of the base at the bottom, or NULL */
	const struct digest *base;     /* if it has a name */
	const char *created;           /* RFC 3339, in UTC and whole seconds */
};

/* Appends the document. */
void sbom_write(struct sbom *s, const struct sbom_subject *of, struct buf *out);

#endif

#ifndef IMAGE_SBOM_PACKAGE_H
#define IMAGE_SBOM_PACKAGE_H

/* What is known of packages. Inside of the bill of materials. */
#include "base/arena.h"
#include "base/vec.h"
#include "image/sbom.h"

/* Strings live in the arena; NULL: not said. */
struct sbom_package {
	const char *type;  /* as in package URLs: "deb" */
	const char *scope; /* their namespace; NULL: none, or the system's name */
	const char *name, *version;
	const char *arch, *epoch, *upstream;
	const char *license, *supplier, *homepage;
	const char *path; /* of the file that says so */
};

struct sbom {
	struct arena arena;
	VEC(struct sbom_package) packages;
	const char *system, *system_version; /* "debian", "12"; or NULL */
};

/* Those that have a name. */
void sbom_put(struct sbom *s, const struct sbom_package *p);

/* sbom_rpm.c */
MUST_CHECK int sbom_add_rpm(struct sbom *s, const char *path, const struct buf *content,
                            struct err *e);

/* sbom_license.c: whether it is an expression of SPDX, of licences on its list. */
bool sbom_license_valid(const char *text);

#endif

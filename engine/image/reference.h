#ifndef IMAGE_REFERENCE_H
#define IMAGE_REFERENCE_H

/* Names of images in registries, as Docker and containers write them (3-registry.md,
 * "names"): `ubuntu` is docker.io/library/ubuntu:latest; the first component is a host
 * only if it holds
 * `.` or `:` or an upper-case letter or is `localhost`. */
#include <stdbool.h>

#include "base/digest.h"

struct reference {
	char host[256]; /* "docker.io", "localhost:5000" */
	char repo[256]; /* "library/ubuntu" */
	char tag[129];  /* "" when there is none and a digest is given; else "latest" by
	                   default */
	struct digest digest;
	bool has_digest; /* then the digest wins over the tag */
};

MUST_CHECK int reference_parse(struct reference *r, const char *text, struct err *e);
/* Like it for `publish`: a repository without tag or digest; tag stays "". */
MUST_CHECK int reference_parse_repo(struct reference *r, const char *text, struct err *e);
/* "host/repo:tag@digest", what is absent left out. Caller frees. */
char *reference_text(const struct reference *r);
/* "host/repo". Caller frees. */
char *reference_repo_text(const struct reference *r);
/* [A-Za-z0-9_][A-Za-z0-9._-]{0,127} (OCI distribution-spec 1.1, "Pulling manifests"). */
bool reference_tag_valid(const char *tag);

#endif

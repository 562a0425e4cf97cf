#ifndef PUBLISH_VERSION_H
#define PUBLISH_VERSION_H

/* Versions as tags spell them: one to four numeric components, a semver prerelease, build
 * metadata (semver.org 2.0.0; `+` may be written `_`, which tags allow). A value that
 * borrows its text. */
#include <stdbool.h>
#include <stddef.h>

enum { VERSION_PARTS = 4 };

struct span {
	const char *s;
	size_t n;
};

struct version {
	struct span part[VERSION_PARTS]; /* digits, kept verbatim: "08" */
	int n;
	struct span pre;   /* "rc.1"; n 0: a release */
	struct span build; /* "b5" */
};

/* False if `text` is none. Takes no "v" and no prefix. */
bool version_read(struct version *v, const char *text, size_t n);

/* By precedence: numbers of any length, absent components as 0, then the prerelease;
 * build metadata never orders. */
int version_compare(const struct version *a, const struct version *b);
/* By the first `n` components only. */
int version_compare_parts(const struct version *a, const struct version *b, int n);
/* Two strings of digits as numbers. */
int version_compare_digits(struct span a, struct span b);
bool span_is_digits(struct span s);
bool span_equal(struct span a, struct span b);

/* What a prerelease is one of, "rc" of rc.1 and of rc1; empty if it starts with no
 * letter. */
struct span version_channel(const struct version *v);

#endif

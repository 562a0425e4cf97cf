#ifndef RECIPE_LOCKFILE_H
#define RECIPE_LOCKFILE_H

/* Imagefile.lock: digests of bases and of downloads and commits of repositories, decided
 * once. JSON, sorted, one entry a few lines, so that merges are readable: { "imgmake": 1,
 * "bases": { "docker.io/library/debian:12": { "digest": "sha256:…" } }, "downloads": {
 * "https://…": { "sha256": "…" } }, "git": { "https://….git#v1": { "commit": "…" } } } */
#include <stdbool.h>

#include "base/digest.h"
#include "base/json.h"

#define LOCKFILE_NAME "Imagefile.lock"

struct lockfile {
	json_t *root;
	int dir; /* borrowed */
	bool changed;
	bool exists;
};

/* A missing file is an empty lock. Unknown members survive. */
MUST_CHECK int lockfile_load(struct lockfile *l, int project_root, struct err *e);
/* Writes it if it changed (file_replace). */
MUST_CHECK int lockfile_save(struct lockfile *l, struct err *e);
void lockfile_fini(struct lockfile *l);

enum lock_section { LOCK_BASES, LOCK_DOWNLOADS, LOCK_GIT };
/* Of bases and downloads. 1: found, 0: not locked, -1: the file is damaged. */
MUST_CHECK int lockfile_get(const struct lockfile *l, enum lock_section s,
                            const char *name, struct digest *out, struct err *e);
void lockfile_set(struct lockfile *l, enum lock_section s, const char *name,
                  const struct digest *d);

/* A member of an entry of any section, as text that the lock owns: *out stays as it is
 * where an entry lacks it. */
MUST_CHECK int lockfile_get_text(const struct lockfile *l, enum lock_section s,
                                 const char *name, const char *member, const char **out,
                                 struct err *e);
/* NULL takes the member away. */
void lockfile_set_text(struct lockfile *l, enum lock_section s, const char *name,
                       const char *member, const char *value);

#endif

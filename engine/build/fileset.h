#ifndef BUILD_FILESET_H
#define BUILD_FILESET_H

/* Files of the project that a step names: found, filtered by the ignore file, and hashed. */
#include "base/arena.h"
#include "base/pattern.h"
#include "base/vec.h"
#include "image/toc.h"
#include "os/pool.h"
#include "recipe/recipe.h"

/* A directory with an Imagefile: nothing above it can be named. */
struct context {
	int fd;
	const char *dir;              /* relative to the project root */
	struct ignore *ignore;        /* of .imgmakeignore, else .dockerignore; NULL: none */
	const char *ignore_name;
	struct strlist outputs;       /* of host rules, relative to it: included, ignored or not */
};

MUST_CHECK int context_open(struct context **out, const struct recipe *r, const char *dir,
                            struct err *e);
void context_close(struct context *c);   /* NULL is fine */

struct project_file {
	const char *path;             /* relative to the context */
	const char *dest;             /* relative to the step's `to` */
	enum toc_type type;           /* FILE, DIR, SYMLINK, HARDLINK (to an earlier source) */
	bool executable;
	int64_t size, mtime;
	struct digest digest;         /* of files, after fileset_hash */
	const char *link;             /* text of a symlink; `path` of a hard link's first source */
	const void *capability;       /* security.capability, or NULL */
	size_t capability_size;
	uint64_t dev, ino;            /* of files with several names, else 0 */
};

struct fileset {
	struct arena arena;
	VEC(struct project_file) files;     /* sorted by dest; unique */
	bool single;                  /* one source that is no directory: `to` may be its name */
};

void fileset_free(struct fileset *f);   /* NULL is fine */

/* Finds what the copy's sources name. Nothing found is an error, unless optional. */
MUST_CHECK int fileset_collect(struct fileset **out, const struct context *c,
                               const struct step_copy *copy, struct err *e);
/* The same for plain patterns (deps of host rules): paths kept whole, hashed like the others. */
MUST_CHECK int fileset_glob(struct fileset **out, const struct context *c,
                            const struct strings *patterns, struct err *e);
/* Fills the digests, on several threads. */
MUST_CHECK int fileset_hash(struct fileset *f, const struct context *c, struct pool *pool,
                            struct err *e);
/* SHA-256 of one file. */
MUST_CHECK int file_digest(const struct context *c, const char *path, struct digest *out,
                           struct err *e);

#endif

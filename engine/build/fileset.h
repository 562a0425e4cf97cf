#ifndef BUILD_FILESET_H
#define BUILD_FILESET_H

/* Files of the project that a step names: found, filtered by the ignore file, and hashed.
 */
#include <sys/stat.h>

#include "base/arena.h"
#include "base/pattern.h"
#include "base/vec.h"
#include "build/key.h"
#include "image/toc.h"
#include "os/pool.h"
#include "recipe/recipe.h"

/* A directory with an Imagefile: nothing above it can be named. */
struct context {
	int fd;
	const char *dir;          /* relative to the project root */
	char *path;               /* absolute */
	struct stat_cache *cache; /* borrowed, as the pool is */
	struct pool *pool;
	const char *ignore_file; /* as context_open was given it */
	struct ignore *ignore;   /* of .imgmakeignore, else .dockerignore; NULL: none */
	const char *ignore_name;
	struct digest ignore_digest; /* of its bytes */
	struct strlist outputs; /* of host rules, relative to it: included, ignored or not
	                         */
};

/* Sets what is its own; cache and pool are the caller's to set. `dir` is relative to the
 * root, or absolute. `ignore_file` (relative to the root, or absolute): its ignore file,
 * "" is none; NULL: the one that is in `dir`. */
MUST_CHECK int context_open(struct context **out, const struct recipe *r, const char *dir,
                            const char *ignore_file, struct err *e);
void context_close(struct context *c); /* NULL is fine */
/* Reads its ignore file anew. Not while others look at it. */
MUST_CHECK int context_reload(struct context *c, const struct recipe *r, struct err *e);
/* A rule with that output, relative to the root, may make its ignore file. */
bool context_ignores_by(const struct context *c, const char *output);

struct project_file {
	const char *path;   /* relative to the context */
	const char *dest;   /* relative to the step's `to` */
	enum toc_type type; /* FILE, DIR, SYMLINK, HARDLINK (to an earlier source) */
	bool executable;
	int64_t size, mtime;
	struct digest digest;           /* of files, after fileset_hash */
	bool known;                     /* the digest is remembered, or hashed */
	const struct stat_place *place; /* of a file that is not known: its directory */
	const char *link; /* text of a symlink; `path` of a hard link's first source */
	const void *capability; /* security.capability, or NULL */
	size_t capability_size;
	uint64_t dev, ino; /* same for names of one file; ino 0: it has one name */
	/* Of files that come from an image or an archive, with metadata of their own: */
	const struct toc_entry *entry; /* NULL: of the project */
	size_t layer;                  /* of an image: where its content is */
	int64_t offset;                /* of an archive: in the spool; -1: not there */
};

struct fileset {
	struct arena arena;
	struct toc held;                /* of archives: what `entry` points into */
	VEC(struct project_file) files; /* in path_compare's order of dest; unique */
	bool single; /* one source that is no directory: `to` may be its name */
};

void fileset_free(struct fileset *f); /* NULL is fine */

/* Finds what the copy's sources name. Nothing found is an error, unless optional. */
MUST_CHECK int fileset_collect(struct fileset **out, const struct context *c,
                               const struct step_copy *copy, struct err *e);
/* What commands on the host see of what plain patterns name: paths kept whole, hashed
 * like the others. The ignore file hides nothing, but from "."; sockets and the like are
 * left out. What links lead to is found, too; what is outside of the project is the
 * link's digest, which only such a link has. */
MUST_CHECK int fileset_glob(struct fileset **out, const struct context *c,
                            const struct strings *patterns, struct err *e);
/* The same of one file or directory, whose name is no pattern. */
MUST_CHECK int fileset_made(struct fileset **out, const struct context *c,
                            const char *path, struct err *e);
/* As a copy sees it, one file or directory, whose name is no pattern. */
MUST_CHECK int fileset_named(struct fileset **out, const struct context *c,
                             const char *path, struct err *e);
/* The same for what a copy names in another image, whose tables of contents are `v`. */
MUST_CHECK int fileset_collect_image(struct fileset **out, const struct toc_view *v,
                                     const struct step_copy *copy, struct err *e);
/* For those who fill a set: sorts it, and makes the names of one file after the
 * first hard links to it. A place that two different files want is an error. */
MUST_CHECK int fileset_settle(struct fileset *f, struct err *e);
/* Of names of one file only the first has a digest; `f` itself where it is no other. */
const struct project_file *fileset_first_name(const struct fileset *set,
                                              const struct project_file *f);

/* Bytes of the directories in front of a pattern's first component with a wildcard. */
size_t fileset_fixed_part(const char *pattern);
/* Appends the pattern for `rest` below the directory `dir`, whose name is meant
 * literally. */
void fileset_pattern(const char *dir, const char *rest, struct buf *out);

/* Fills the digests that are not remembered, on several threads. */
MUST_CHECK int fileset_hash(struct fileset *f, const struct context *c, struct err *e);
/* The same for several sets of one context, so that no thread waits for the end of one of
 * them: large files are begun when their set is added, the others at the end. */
struct hashing;
struct hashing *hashing_begin(const struct context *c);
void hashing_add(struct hashing *h, struct fileset *f);
MUST_CHECK int hashing_end(struct hashing *h, struct err *e); /* releases it, too */
/* All of a set that goes into keys, hashed before; with each file's time where that
 * matters. */
void fileset_digest(const struct fileset *f, bool times, struct digest *out);
/* What people see of a file: its digest if it is an ordinary one, else a text. In the
 * arena. */
struct component file_shown(const struct project_file *f, bool times, struct arena *a);
/* The same as a field of a key, which the set must outlive. */
void fileset_key(const struct fileset *f, bool times, struct key *k);
void fileset_list(const void *set, struct key *k); /* for key_many */
/* SHA-256 of one file; links that stay in the project are followed. file_open_hashed
 * returns it open, at its start, and what it was before it was read. */
MUST_CHECK int file_open_hashed(const struct context *c, const char *path,
                                struct digest *out, struct stat *before, struct err *e);
MUST_CHECK int file_digest(const struct context *c, const char *path, struct digest *out,
                           struct err *e);

/* What is remembered of the directory that `path` is in: fills *place and *dir (NULL:
 * nothing). False: it cannot be opened. */
struct stat_dir;
struct stat_place;
bool context_recall(const struct context *c, const char *path, struct arena *a,
                    struct stat_place *place, const struct stat_dir **dir);
/* A host rule makes it. */
bool context_in_output(const struct context *c, const char *path);
/* A directory's absolute path, in the arena. */
const char *context_path(const struct context *c, const char *dir, struct arena *a);

#endif

#ifndef BUILD_GIT_H
#define BUILD_GIT_H

/* Repositories of git, read with the system's git. What a repository says is data: no
 * hook, filter, helper or submodule of it runs, and neither the user's nor the machine's
 * configuration of git counts. https and ssh only (http on loopback). Private to build/.
 */
#include "build/node.h"

enum { GIT_HASH_SIZE = 65 };

/* What a step's repository and ref come to. */
struct git_commit {
	char hash[GIT_HASH_SIZE];
	char tag[GIT_HASH_SIZE]; /* the object of an annotated tag, or "" */
	const char *name;        /* "refs/tags/v1"; "" where only the commit is known */
};

/* Whether it is a full hash: 40 hex digits, or 64. */
bool git_is_hash(const char *s);

/* step_git.c: the commit that the recipe or the lock file says; else the repository is
 * asked, and its answer locked. */
MUST_CHECK int git_plan(struct node *n, const struct step_git *s, struct git_commit *out,
                        struct err *e);

/* Asks the repository; `name` is in the arena. ERR_NOT_FOUND: it has no such ref. */
MUST_CHECK int git_resolve(struct build *b, const struct step_git *s, struct arena *a,
                           struct git_commit *out, struct err *e);

/* Makes the directory tmp/…, named by `dir` below the store's, with the commit's files
 * below tree/; with s->keep_dir a .git that is the same on every machine. The caller
 * removes it, after an error too. */
MUST_CHECK int git_check_out(struct build *b, const struct step_git *s,
                             const struct git_commit *c, struct buf *dir, struct err *e);

#endif

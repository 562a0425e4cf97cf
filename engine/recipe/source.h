#ifndef RECIPE_SOURCE_H
#define RECIPE_SOURCE_H

/* What evaluation may look at: files of the project, beneath the directory of the
 * Imagefile. */
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"

enum { SOURCE_FILE_MAX = 16 << 20 };

/* The project's root for an Imagefile in `dir` (absolute): the nearest directory upwards
 * with an Imagefile.lock or .git, else `dir`. Caller frees. */
char *source_root(const char *dir);

/* Appends the content of a regular file. `path` is relative and stays beneath `dir`,
 * symlinks too; at most SOURCE_FILE_MAX bytes. */
MUST_CHECK int source_read(int dir, const char *path, struct buf *out, struct err *e);

/* Appends the paths that match `pattern`, sorted, each once: files, links and
 * directories, but nothing named `.git` or below it, and not the directory itself.
 * `hidden` (relative to `dir`, cleaned) and what is below them are left out. Links are
 * not followed. */
MUST_CHECK int source_glob(int dir, const char *pattern, const struct strlist *hidden,
                           struct strlist *out, struct err *e);

#endif

#ifndef BASE_PATH_H
#define BASE_PATH_H

/* Lexical work on slash-separated paths. No file system is asked. */
#include <stdbool.h>

#include "base/buf.h"

/* Appends `path` without ".", "//" and trailing "/", with ".." folded; leading ".." stay
 * in relative paths and vanish in absolute ones. "" and "." give "." . */
void path_clean(struct buf *out, const char *path);
/* Appends `path` if absolute, else `base`/`path`; cleaned. */
void path_join(struct buf *out, const char *base, const char *path);
const char *path_base(const char *path); /* after the last slash; borrowed */
char *path_dir(const char *path);        /* before it, "." if none; caller frees */
/* path is dir or below it; both cleaned, or dir "" for ".". */
bool path_below(const char *path, const char *dir);
/* The order in which a tree is walked: as bytes, but `/` before all others, so that what
 * is below a directory directly follows it. */
int path_compare(const char *a, const char *b);
bool path_escapes(const char *path); /* cleaned relative path starts with ".." */
const char *path_next(const char **cursor, size_t *len); /* next component, NULL at the
                                                            end */

#endif

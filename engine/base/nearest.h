#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

/* "did you mean": the name that a mistyped one was probably meant to be. */
#include <stddef.h>

/* The candidate with the smallest edit distance (insert, delete, replace, swap of
 * neighbours; case counts a quarter), the first of equals, or NULL if none is near: at
 * most a third of the name, and one at least. Borrowed from `candidates`. */
const char *nearest_name(const char *name, const char *const *candidates, size_t n);

#endif

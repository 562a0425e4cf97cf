#ifndef BASE_GLOB_H
#define BASE_GLOB_H

/* The one matcher behind recipe patterns and ignore files: a short program of items over
 * the characters of a path, run as a set of states, so that time is at most items x
 * length whatever the pattern. Characters are UTF-8; a byte that is none stands for
 * itself. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

enum glob_form {
	GLOB_PROGRAM,
	GLOB_EXACT,  /* the path is `lit` */
	GLOB_PREFIX, /* starts with it */
	GLOB_SUFFIX, /* ends with it, or is it without its leading slash */
};

enum glob_kind {
	GLOB_CHAR,
	GLOB_NOT_SLASH,
	GLOB_ANY,
	GLOB_CLASS,      /* one of `ranges`, or none of them */
	GLOB_NAME_CLASS, /* the same, and never a slash */
	GLOB_FORK,       /* nothing, or what follows; skips the item after it */
	GLOB_DIRS,       /* anything up to a slash and including it */
	GLOB_START,      /* the start of the path */
};

struct glob_range {
	uint32_t lo, hi;
};

struct glob_item {
	enum glob_kind kind;
	bool star; /* any number of them */
	bool negated;
	uint32_t c;
	size_t first, count; /* of a class, in `ranges` */
};

struct glob {
	enum glob_form form;
	bool one_line; /* GLOB_ANY and GLOB_DIRS stop at a newline */
	VEC(struct glob_item) items;
	VEC(struct glob_range) ranges;
	char *lit; /* of a program: what each match must contain; NULL: nothing */
	size_t lit_len;
	bool lit_first; /* and start with */
};

/* Decodes one character of s[0..n), n > 0; returns its length. */
size_t glob_decode(const char *s, size_t n, uint32_t *c);

void glob_fini(struct glob *g);
void glob_literal(struct glob *g, enum glob_form form, const char *lit);
void glob_add(struct glob *g, enum glob_kind kind, bool star);
void glob_add_char(struct glob *g, uint32_t c);
void glob_add_dirs(struct glob *g); /* any number of whole components */
void glob_add_range(struct glob *g, uint32_t lo, uint32_t hi); /* to the class just added
                                                                */
/* A class with Go's path.Match syntax; *s stands behind its `[`, and then behind its `]`.
 * `bang`: `!` negates as `^` does. Returns -1 if it is malformed. */
MUST_CHECK int glob_parse_class(struct glob *g, const char **s, bool bang);
void glob_finish(struct glob *g); /* after the last item of a program */

/* `or_parent`: also true when a parent directory of the path matches. */
bool glob_match(const struct glob *g, const char *path, size_t n, bool or_parent);
/* False only when nothing below directory `dir` can match. */
bool glob_may_match_below(const struct glob *g, const char *dir, size_t n);

#endif

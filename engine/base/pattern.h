#ifndef BASE_PATTERN_H
#define BASE_PATTERN_H

/* File patterns of recipes (`*`, `?`, `[a-z]`, `**`) and ignore files with the semantics
 * of github.com/moby/patternmatcher, exactly. Paths are relative, slash-separated,
 * bytewise. */
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct pattern;
/* `*` and `?` never match `/`; `**` matches any number of components; a leading "./" and
 * a trailing
 * "/" do not count; `\` quotes. ERR_INVALID for an open `[` or a trailing `\`. */
MUST_CHECK int pattern_new(struct pattern **out, const char *text, struct err *e);
void pattern_free(struct pattern *p);
bool pattern_match(const struct pattern *p, const char *path);
/* False only when nothing below directory `dir` can match: it need not be entered. */
bool pattern_may_match_below(const struct pattern *p, const char *dir);
bool pattern_is_literal(const char *text); /* no *, ?, [ or \ */

/* An ignore file, or a list of exclusions. */
struct ignore;
/* Text of a .dockerignore: a line a pattern, `#` comments, `!` exceptions, leading BOM
 * dropped. `name` is for messages (".dockerignore:3: …"). */
MUST_CHECK int ignore_parse(struct ignore **out, const char *text, size_t n,
                            const char *name, struct err *e);
MUST_CHECK int ignore_from_list(struct ignore **out, const char *const *patterns,
                                size_t n, const char *name, struct err *e);
void ignore_free(struct ignore *ig); /* NULL is fine */
/* True if `path` or a parent of it is excluded (MatchesOrParentMatches). ig may be NULL.
 */
bool ignore_matches(const struct ignore *ig, const char *path);
/* True if directory `dir` is excluded and no exception can bring back anything below it.
 */
bool ignore_skips_directory(const struct ignore *ig, const char *dir);

#endif

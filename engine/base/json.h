#ifndef BASE_JSON_H
#define BASE_JSON_H

/* Strict reading of foreign JSON, and writing whose bytes are a function of the value.
 * Values are jansson's; the usual json_* calls apply. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { JSON_DEPTH_MAX = 64, JSON_DEPTH_MOST = 2000 };
/* How deep what json_read takes may be, from now on, for all threads: JSON_DEPTH_MAX, if
 * nobody says otherwise; JSON_DEPTH_MOST at most. */
void json_limit_depth(int depth);

static inline void json_unref_ptr(json_t **j)
{
	json_decref(*j);
}

#define AUTO_JSON AUTO(json_unref_ptr) json_t

/* Whole input is one value: no duplicate keys, no NUL in strings, depth at most 64.
 * *out belongs to the caller (json_decref). The message names line and column. */
MUST_CHECK int json_read(json_t **out, const char *text, size_t n, struct err *e);

/* The same of what holds secrets: no copy of it is left behind but *out, and the message
 * quotes nothing of it. */
MUST_CHECK int json_read_secret(json_t **out, const char *text, size_t n, struct err *e);

/* A string; bytes that are no UTF-8, which JSON cannot hold, become U+FFFD. */
json_t *json_utf8(const char *s);

/* Appends compact JSON, keys in order of insertion. */
void json_write(struct buf *b, const json_t *j);
/* Two-space indentation, keys sorted, final newline: for files that people read. */
void json_write_pretty(struct buf *b, const json_t *j);

/* Typed members of an object. Absent or null: *out untouched, returns 0 (unless `need`).
 * Another type is ERR_INVALID and names the member. Strings are borrowed from `j`. */
MUST_CHECK int json_member_str(const json_t *j, const char *key, bool need,
                               const char **out, struct err *e);
MUST_CHECK int json_member_int(const json_t *j, const char *key, bool need, int64_t *out,
                               struct err *e);
MUST_CHECK int json_member_bool(const json_t *j, const char *key, bool *out,
                                struct err *e);
MUST_CHECK int json_member_object(const json_t *j, const char *key, bool need,
                                  json_t **out, struct err *e);
MUST_CHECK int json_member_array(const json_t *j, const char *key, bool need,
                                 json_t **out, struct err *e);

#endif

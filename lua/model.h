#ifndef LUA_MODEL_H
#define LUA_MODEL_H

/* How the records of the standard library become structs: a table of fields for each
 * kind. */
#include <stddef.h>

enum field_type {
	TEXT,     /* const char *; "" when absent */
	OPT_TEXT, /* const char *; NULL when absent */
	BYTES,    /* const void * at `at`, size_t at `count` */
	TEXTS,    /* struct strings */
	PAIRS,    /* struct pairs, sorted by key */
	BOOL,
	MODE,    /* int; -1 when absent */
	INT64,   /* int64_t; 0 when absent */
	TIME,    /* int64_t; -1 when absent: times, and ids */
	WORD,    /* enum: index in `more`, a list of words; absent is 0 */
	TARGET,  /* struct target *; NULL when absent */
	TARGETS, /* struct target ** at `at`, size_t at `count` */
	JSON,    /* json_t * from text; NULL when absent */
	ROWS,    /* array at `at`, its length at `count`, `more` is a struct rows */
};

struct field {
	const char *name;
	enum field_type type;
	size_t at, count;
	const void *more;
};

struct rows {
	const struct field *fields; /* up to a NULL name */
	size_t size;                /* of an element */
};

extern const struct field model_publish_fields[];
extern const struct field model_target_fields[];
extern const struct field model_variable_fields[];
extern const struct field *const model_step_fields[]; /* by enum step_kind; none of
                                                         `layer` */

/* Names of enum target_kind and enum step_kind, in their order. */
extern const char *const model_target_words[];
extern const char *const model_step_words[];

#endif

#ifndef BUILD_KEY_H
#define BUILD_KEY_H

/* A key is SHA-256 over length-prefixed, named fields (2-architecture.md, "Keys"). The
 * fields are kept beside it, so that `why` can name the one that changed. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/vec.h"

struct component {
	const char *scope;    /* in front of the name; "" once key_components was asked */
	const char *name;     /* "step 3 copy: file src/app.py" */
	const char *text;     /* the value where it is short text, else NULL */
	struct digest digest; /* of the value */
};

/* Text does not make it another: it may tell more than what counts. That there is one
 * does, since digests of things of other kinds have it. */
bool component_same(const struct component *a, const struct component *b);

struct key;

/* A field that stands for many things, which are only named when somebody asks. */
struct key_many {
	size_t at; /* in `parts`, which holds the whole */
	const char *scope;
	void (*list)(const void *self, struct key *k); /* calls key_name */
	const void *self;
};

struct key {
	struct arena *arena; /* borrowed; holds texts */
	struct hasher *hash; /* of what was `pending`; NULL: of nothing */
	struct buf pending;
	const char *scope; /* in front of each name: "step 3 copy: " */
	VEC(struct component) parts;
	VEC(struct key_many) many;
};

void key_init(struct key *k, struct arena *a);
void key_fini(struct key *k); /* also after key_end */
/* Names what follows, up to the next scope: "" for none. It and all names are borrowed
 * until key_fini. */
void key_scope(struct key *k, const char *scope);
void key_str(struct key *k, const char *name, const char *value); /* NULL differs from ""
                                                                   */
void key_int(struct key *k, const char *name, int64_t value);
/* A list: hashed with its borders, shown with spaces. */
void key_strings(struct key *k, const char *name, const char *const *at, size_t n);
void key_digest(struct key *k, const char *name, const struct digest *d);
/* The same, and people see `text` instead; NULL: the digest. */
void key_shown(struct key *k, const char *name, const struct digest *d, const char *text);
/* `list` and what it needs must be there until the last key_components. */
void key_many(struct key *k, const char *name, const struct digest *whole,
              void (*list)(const void *self, struct key *k), const void *self);
void key_name(struct key *k, const char *name, const struct component *shown);
/* All fields, by name; borrowed until one is added. */
const struct component *key_components(struct key *k, size_t *n);
/* The key of all fields so far; more may follow. */
void key_value(struct key *k, struct digest *out);
/* The key of all fields: none may follow. */
void key_end(struct key *k, struct digest *out);

/* Records of STATE_TARGETS. */
void components_encode(const struct component *c, size_t n, struct buf *out);
/* Strings are borrowed from `data`. False for anything odd: such a record counts as one
 * that is not there, since it only says what was before. */
bool components_decode(struct arena *a, const void *data, size_t n,
                       struct component **out, size_t *count);

#endif

#ifndef STORE_GC_LIST_H
#define STORE_GC_LIST_H

/* What gc has before it. Inside of gc*.c and fsck.c. */
#include "base/arena.h"
#include "store/gc.h"

struct gc_item {
	enum gc_kind kind;
	const char *name;
	struct digest digest; /* of a blob */
	int64_t size, used;
	bool kept;    /* goes last */
	bool victim;  /* is to go */
	bool damaged; /* fsck has found */
	bool spared;  /* would be, but for being in use */
	bool needed;  /* by a record */
	size_t turn;  /* in which batch */
};

struct gc_record {
	enum state_table table;
	const void *key;
	size_t key_len;
	int64_t used;
	size_t first, n; /* of `needs` */
	bool absent;     /* a blob that it needs is not there; or it cannot be read */
	bool damaged;    /* absent, and just for that: fsck has told of the blob */
	bool vanished;   /* so is the project that it is about */
	bool told;
	const struct digest *missing; /* one that is absent; or NULL */
};

struct gc_list {
	struct arena arena;
	VEC(struct gc_item) items; /* the first `n_blobs` are blobs, by digest */
	size_t n_blobs;
	VEC(struct gc_record) records;
	VEC(size_t) needs; /* indices of blobs */
	const struct gc_rooms *rooms;
	struct blobs *blobs;
	int64_t now;
};

void gc_list_init(struct gc_list *l, const struct gc_rooms *rooms);
void gc_list_fini(struct gc_list *l);
/* Blobs, and then all else. */
MUST_CHECK int gc_list_read(struct gc_list *l, struct store *s, struct err *e);
MUST_CHECK int gc_list_blobs(struct gc_list *l, struct store *s, struct err *e);
/* Afterwards: those that gc may forget, and which blobs are kept. `max_age` as in
 * gc_options: a name that is older keeps nothing. */
MUST_CHECK int gc_list_records(struct gc_list *l, struct store *s, int64_t max_age,
                               struct err *e);
bool gc_too_old(const struct gc_list *l, int64_t used, int64_t max_age);

#endif

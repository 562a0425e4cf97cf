#ifndef BUILD_RESULT_H
#define BUILD_RESULT_H

/* What a step or a target came to, as kept in STATE_RESULTS, and where a layer's parts
 * are. */
#include "image/config.h"
#include "image/pack.h"
#include "image/toc.h"
#include "store/store.h"

struct layer_list { /* a vector */
	struct layer *at;
	size_t len, cap;
};

/* The manifest of an image that has the result, and what it says beside that. */
struct sealed {
	struct digest seal, manifest;
	int64_t size;
};

/* A file system: layers, lowest first, and the configuration that goes with them. */
struct result {
	struct image_config config; /* without root while it is `unread` */
	struct layer_list layers;
	/* The documents that it was once written to, as far as that is known. */
	struct digest document; /* of the configuration; zero: not known */
	VEC(struct sealed) manifests;
	struct buf record; /* of the store */
	size_t unread; /* where the configuration's text begins in it; 0: it was read */
};

void result_init(struct result *r, const struct platform *p);
void result_fini(struct result *r);
/* Layers and configuration. */
void result_copy(struct result *out, const struct result *r);
/* Whoever wants the configuration of a result that was loaded calls this first: most are
 * only looked up. */
MUST_CHECK int result_config(struct result *r, struct err *e);

/* 1: known under the key, and every layer that we made is in the store; 0: not known, or
 * gone; -1. *gone (may be NULL) tells the two apart. The layers of `below`, where it is
 * not NULL, are known to be there. */
MUST_CHECK int result_load(struct store *s, const struct digest *key,
                           const struct result *below, struct result *out, bool *gone,
                           struct err *e);
MUST_CHECK int result_save(struct store *s, const struct digest *key,
                           const struct result *r, struct err *e);

/* Appends what result_save writes. */
void result_record(const struct result *r, struct buf *out);

/* The same for the layers of one step, under its plan or result key, and for each shard.
 * An empty list: the step changed nothing. *out is to be freed by vec_fini when it is 1.
 */
MUST_CHECK int layer_list_load(struct store *s, const struct digest *key,
                               struct layer_list *out, struct err *e);
/* Under each of the n keys, in one transaction; with the layers' tables of contents. */
MUST_CHECK int layer_list_save(struct store *s, const struct digest *keys, size_t n,
                               const struct layer_list *l, struct err *e);

/* result_record.c: a target's record. *out as after result_load, and what is in `record`
 * is its own; -1: it is damaged, or of another version. */
MUST_CHECK int result_decode(struct result *out, struct buf *record);
/* False: it has something that such a record cannot have. */
bool result_encode(const struct result *r, struct buf *out);
/* Whether it is one, and no JSON. */
bool result_is_record(const void *data, size_t n);

/* As texts, for other machines. The configuration must have been read. */
void result_write(const struct result *r, struct buf *out);
void layer_list_write(const struct layer_list *l, struct buf *out);
MUST_CHECK int result_read(struct result *out, const struct buf *text, struct err *e);
MUST_CHECK int layer_list_read(struct layer_list *out, const struct buf *text,
                               struct err *e);

/* What is known of a layer by diff ID (STATE_LAYERS): its table of contents. 1: *toc is
 * its blob. */
MUST_CHECK int layer_toc_known(struct store *s, const struct digest *diff_id,
                               struct digest *toc, struct err *e);
MUST_CHECK int layer_toc_record(struct store *s, const struct digest *diff_id,
                                const struct digest *toc, struct err *e);

#endif

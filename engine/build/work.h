#ifndef BUILD_WORK_H
#define BUILD_WORK_H

/* One layer while its steps are applied. Private to build/. */
#include "build/account.h"
#include "build/extract.h"
#include "build/fileset.h"
#include "build/node.h"
#include "build/tree.h"

/* A file whose content is in a layer of another image, or below in this one. */
struct pending {
	const struct node *from;
	const struct result *in; /* of it */
	size_t layer;
	const char *source;    /* path there */
	struct tree_entry *to; /* whose it is, if the tree still has that when complete */
	int64_t offset;
};

struct work {
	struct node *node;
	const struct step *step;    /* whose layers it makes, if any */
	const struct result *below; /* layers and configuration so far */
	const struct toc **tocs;    /* of below's layers */
	struct tree tree;
	struct arena arena;
	struct spool spool;         /* contents out of archives and other images */
	VEC(struct fileset *) sets; /* kept as long as the tree borrows from them */
	VEC(int) fds;               /* blobs that the tree reads from */
	struct runner *run;         /* of a run step; see run.h */
	VEC(struct pending)
	pending; /* contents that are fetched only if the layer must be made */
};

MUST_CHECK int work_init(struct work *w, struct node *n, const struct result *below,
                         struct err *e);
void work_fini(struct work *w);

/* Puts what one step does into the tree. */
MUST_CHECK int work_step(struct work *w, const struct step *s, const struct step_plan *p,
                         struct err *e);
/* Fetches the pending contents of a complete tree that are in one of the shards (a bit
 * each). */
MUST_CHECK int work_fetch(struct work *w, uint64_t shards, struct err *e);

/* make_layers.c: the layers that the complete tree of w->step comes to, found or packed.
 * 1: all were found. The caller frees the list, in any case. */
struct shard_rule;
MUST_CHECK int work_layers(struct work *w, const struct shard_rule *r,
                           struct layer_list *out, struct err *e);
/* The same in one layer, packed in any case. */
MUST_CHECK int work_layer(struct work *w, struct layer_list *out, struct err *e);

/* step_copy.c: puts a file set under `to`. */
struct placing {
	const char *to;                /* as written; relative to the workdir so far */
	int mode, dir_mode;            /* -1: not given */
	const char *chmod, *dir_chmod; /* the same in letters; NULL or "": not given */
	bool below_to; /* dir_mode is not that of `to` and what is above it: as Docker */
	const char *owner; /* "" : not given */
	enum mtime_kind mtime;
	int64_t mtime_value;
	const struct node *from; /* whose layers have the contents, or NULL */
	int spool;               /* fd of the spool, for archives */
};
MUST_CHECK int work_place(struct work *w, struct fileset *set, const struct placing *p,
                          struct err *e);
MUST_CHECK int work_copy(struct work *w, const struct step_copy *c,
                         const struct step_plan *p, struct err *e);

/* step_archive.c */
MUST_CHECK int work_unpack(struct work *w, const struct step_unpack *u,
                           const struct step_plan *p, struct err *e);
MUST_CHECK int work_add(struct work *w, const struct step_add *a,
                        const struct step_plan *p, struct err *e);

/* step_git.c */
MUST_CHECK int work_git(struct work *w, const struct step_git *s,
                        const struct step_plan *p, struct err *e);

/* work_account.c: entries in the lists of accounts, and the home. */
MUST_CHECK int work_account(struct work *w, const struct step_account *a, struct err *e);

/* Shared by steps. The owner of `spec`; "" is 0:0. */
MUST_CHECK int work_owner(struct work *w, const char *spec, struct owner *out,
                          struct err *e);
/* account_reader: a list of accounts as the image so far has it. */
MUST_CHECK int work_read_accounts(void *work, const char *path, struct buf *text,
                                  struct err *e);
/* The mtime of a file under the step's rule. */
int64_t work_mtime(const struct work *w, enum mtime_kind kind, int64_t value,
                   const struct digest *content, int64_t own);
/* Joins with the workdir so far and resolves: parents always, the last component if
 * `last`. */
MUST_CHECK int work_resolve(struct work *w, const char *path, bool last, struct buf *out,
                            const struct toc_entry **entry, struct err *e);
const char *work_keep(struct work *w, const char *s); /* copies into the arena */

/* Times are these, unless the recipe says otherwise: zip can hold 1980 and nothing
 * before. */
enum { MTIME_DEFAULT = 315619200 };
int64_t build_epoch(const struct build *b);

#endif

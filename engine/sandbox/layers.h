#ifndef SANDBOX_LAYERS_H
#define SANDBOX_LAYERS_H

/* Unpacked layers, the lower directories of overlayfs: rootfs/ in the store
 * (2-architecture.md, "Store"). Each layer is a directory of its own, made once for each
 * diff ID and id map and shared between builds. What it hides is marked as overlayfs and
 * fuse-overlayfs know it: whiteouts are character devices 0:0, which any user may make
 * (Linux 5.8), or empty files ".wh.NAME" where the store is on an overlay itself; opaque
 * directories have trusted.overlay.opaque where we may set that (as root: mount without
 * "userxattr"), else user.overlay.opaque (mount with it).
 *
 * A name is where applying one layer after the other would have put it: with "lib" a
 * symlink to "usr/lib" in a lower layer, "lib/x" is unpacked as "usr/lib/x", which a
 * directory "lib" would hide from overlayfs. Where a layer's directory depends so on the
 * layers below, its name does too. */
#include "image/toc.h"
#include "image/unpack.h"
#include "sandbox/sandbox.h"
#include "store/store.h"

/* Who reads and makes files of a root file system: `call` is sandbox_call for those who
 * need it for that, with its sandbox; or NULL, then we do it ourselves. */
struct inside {
	int (*call)(struct sandbox *s, int (*fn)(void *arg, struct err *e), void *arg,
	            struct err *e);
	struct sandbox *sandbox;
};

MUST_CHECK int inside_call(const struct inside *in, int (*fn)(void *arg, struct err *e),
                           void *arg, struct err *e);

/* One layer of an image. */
struct layers_item {
	struct digest diff_id;
	struct descriptor blob; /* in the store */
	const struct toc *toc;  /* what layer_scan or the packer said of it */
	/* The layer's files, if they lie beside since it was scanned, or NULL. */
	struct layer_files *files;
};

/* What was found out about layers above others, for all who open some in one process: a
 * chain of steps looks at each layer once. For any number of threads; the tables that
 * were given with it stay as they are until it is freed. */
struct layers_memory;
struct layers_memory *layers_memory_new(void);
void layers_memory_free(struct layers_memory *m); /* NULL is fine */

struct layers_options {
	struct store *store;
	struct layers_memory *memory;    /* or NULL */
	const struct layers_item *items; /* lowest first */
	size_t n;
	/* Names whose ids the files' owners are: "root", "single", "range-100000-65536".
	 * Of letters, digits,
	 * '-' and '_'. */
	const char *map;
	struct inside inside;
	int threads; /* unpack at once; 1 or more */
};

/* Layers in use. */
struct layers {
	int dir;              /* of rootfs/ */
	struct strlist paths; /* absolute, lowest first; of two equal ones only the upper
	                       */
	/* The layers' tables with names as they are unpacked. For the view that a
	 * difference is taken against. Strings are those of the items' tables. */
	const struct toc **tables;
	size_t n_tables;
	struct unpack_report report;     /* of what was unpacked now */
	const struct layer_plan **plans; /* private, as the rest: one a layer, and */
	struct layer_plan **own;         /* those that no memory keeps for us */
	struct layers_hold *holds;
	size_t n_holds;
	struct buf boot; /* what the lock of one says that is whole in this boot */
};

#define LAYERS_INIT                                                                      \
	{                                                                                \
		.dir = -1, .boot = BUF_INIT                                              \
	}

/* Unpacks what is not there yet. Checked against the diff IDs and the tables while it is
 * read. No directory is used until it is whole. They stay until layers_close.
 * ERR_CORRUPT: a blob or a table is not what it should be. */
MUST_CHECK int layers_open(struct layers *l, const struct layers_options *o,
                           struct err *e);
void layers_close(struct layers *l); /* also after an error */
struct toc_view layers_view(const struct layers *l);

/* Makes an empty directory the root that the view has: its owner, mode and attributes.
 * For an upper directory, since overlayfs takes those of the root from it. `fd` is
 * borrowed. */
MUST_CHECK int layers_make_root(int fd, const struct toc_view *v,
                                const struct inside *inside, struct err *e);

/* Removes those of `only` (names in rootfs/; NULL: all) that nobody uses and nobody did
 * since `before`, seconds since 1970; those killed half way too. *removed (may be NULL)
 * is how many. When one was last used is the ctime of its lock, "NAME.lock". */
struct layers_choice {
	const struct strlist *only;
	int64_t before;
	const struct inside *inside;
};
MUST_CHECK int layers_sweep(struct store *store, const struct layers_choice *c,
                            size_t *removed, struct err *e);

/* Looks whether all that the table of an unpacked layer has is there, in type and size,
 * and nothing else; appends the path of the first that differs to `bad`. For a layer that
 * is named by its diff ID. One that is just being made is not looked at. */
struct layers_suspect {
	const char *name; /* in rootfs/ */
	const struct toc *toc;
};
MUST_CHECK int layers_check(struct store *store, const struct layers_suspect *s,
                            const struct inside *inside, struct buf *bad, struct err *e);

#endif

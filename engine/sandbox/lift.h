#ifndef SANDBOX_LIFT_H
#define SANDBOX_LIFT_H

/* Files of layers put into a directory by those who own the files inside: call all of
 * this through sandbox_call. */
#include "base/map.h"
#include "base/vec.h"
#include "sandbox/layers.h"

/* Copies of unpacked layers' files, and of the directories above them, in an upper
 * directory, as overlayfs makes them when they are written to. */
struct lifting {
	const struct layers *layers;
	struct toc_view view;
	int to;                     /* directory */
	VEC(int) lower;             /* of the layers' directories; filled by need */
	VEC(struct toc_entry) dirs; /* made, and to be ended */
	struct map made;            /* their paths */
	struct unpack_report report;
	struct arena arena;
};

/* All that follows in `from` to where `to` is; `path` is for messages. Shares the blocks
 * where the file system can. */
MUST_CHECK int lift_bytes(int from, int to, const char *path, struct err *e);

/* `entry` has the path that it gets; time in nanoseconds. */
MUST_CHECK int lift_file(struct lifting *l, const struct toc_entry *entry, int64_t time,
                         struct err *e);
/* Gives the directories their metadata; nothing can be lifted after it. */
MUST_CHECK int lift_end(struct lifting *l, struct err *e);
void lift_fini(struct lifting *l);

/* An entry, at the path that it gets. Directories come before what is in them. */
struct lift_entry {
	struct toc_entry t;
	int64_t offset;    /* of a file's bytes in the spool */
	const char *first; /* of a further name of a file: the first, which comes before;
	                      else NULL */
};

/* Fills an empty directory. */
MUST_CHECK int lift_all(int to, const struct lift_entry *at, size_t n, int spool,
                        struct err *e);

#endif

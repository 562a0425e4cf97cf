#ifndef BUILD_ROOMS_OWN_H
#define BUILD_ROOMS_OWN_H

/* Inside of rooms*.c. */
#include "build/rooms.h"
#include "sandbox/layers.h"

struct rooms {
	struct gc_rooms gc;
	struct fsck_rooms fsck;
	struct store *store;
	struct blobs *look; /* the store's, without saying that they are used */
	struct sandbox *sandbox;
	bool probed;
	int64_t deadline; /* 0: none */
	struct inside inside;
};

/* Who may read and remove files of images; found out when first asked. */
MUST_CHECK int rooms_inside(struct rooms *r, const struct inside **out, struct err *e);

/* Bytes of directories below the store; -1: could not be read, or time was up.
 * rooms_measure.c */
MUST_CHECK int rooms_measure(struct rooms *r, const struct strlist *paths, int64_t *sizes,
                             struct err *e);
/* Directories with all in them. What cannot be removed is an error, after the others. */
MUST_CHECK int rooms_remove(struct rooms *r, const struct strlist *paths, struct err *e);

/* For fsck_rooms. rooms_fsck.c */
bool rooms_is_table(void *self, const struct digest *d);
MUST_CHECK int rooms_check_unpacked(void *self, struct fsck *f, bool repair,
                                    struct err *e);

#endif

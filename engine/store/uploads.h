#ifndef STORE_UPLOADS_H
#define STORE_UPLOADS_H

/* Uploads that have not come to their end: where the next process may go on with what a
 * killed one has begun. One upload of a blob to a repository at a time is known of;
 * others beside it go unnoted. */
#include "base/buf.h"
#include "base/digest.h"
#include "store/store.h"

struct upload_note {
	struct store *store; /* borrowed */
	struct digest key;
	int lock; /* that the note is ours; -1: not so far */
	bool kept;
};

/* `store` NULL or read only: nothing is noted. `repo` is "host/repo". */
void upload_note_init(struct upload_note *n, struct store *store, const char *repo,
                      const struct digest *blob);
/* 1: somebody who is no more has left `text`; 0: nobody, or somebody who is still at it.
 */
MUST_CHECK int upload_note_find(struct upload_note *n, struct buf *text, struct err *e);
/* Notes `text` in place of what was noted. 0 also when it is another's to note. */
MUST_CHECK int upload_note_keep(struct upload_note *n, const char *text, struct err *e);
MUST_CHECK int upload_note_drop(struct upload_note *n, struct err *e);
void upload_note_fini(struct upload_note *n); /* what is noted stays */

/* Forgets what is so old that no registry knows of it any more; with `all`, everything.
 */
MUST_CHECK int upload_notes_expire(struct state *s, bool all, struct err *e);

#endif

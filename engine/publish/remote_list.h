#ifndef PUBLISH_REMOTE_LIST_H
#define PUBLISH_REMOTE_LIST_H

/* What a repository of the remote cache holds, and removing from it what is too old or
 * too much. Tags that are no entries are left alone. */
#include "build/remote.h"
#include "registry/client.h"
#include "store/state.h"

struct remote_list;

struct remote_sum {
	size_t entries[REMOTE_KINDS];
	size_t blobs;           /* distinct ones */
	int64_t bytes;          /* of them */
	size_t others;          /* tags that are no entries */
	int64_t oldest, newest; /* seconds since 1970; 0: no entry says */
};

MUST_CHECK int remote_list_read(struct remote_list **out, struct registry *r,
                                const char *repo, struct err *e);
void remote_list_free(struct remote_list *l);              /* NULL is fine */
const char *remote_list_repo(const struct remote_list *l); /* "host/repo" */

/* Marks what was brought more than `max_age` seconds ago, then the oldest until blobs of
 * `max_size` bytes are left; -1: any. */
void remote_list_mark(struct remote_list *l, int64_t max_age, int64_t max_size);
/* All, or what is not marked. */
void remote_list_sum(const struct remote_list *l, bool unmarked, struct remote_sum *out);
/* Deletes what is marked, and lets `state` forget that it was there. The blobs go when
 * the registry collects its garbage. */
MUST_CHECK int remote_list_delete(struct remote_list *l, struct state *state,
                                  struct err *e);

#endif

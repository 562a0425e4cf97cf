#include "store/uploads.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/vec.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/lock.h"
#include "store/state.h"

/* A record is "SECONDS TEXT": when it was written, since 1970. Registries keep sessions
 * for a week at most. */
enum { LIFE_S = 7 * 24 * 60 * 60 };
static const char lock_name[] = "uploads";

void upload_note_init(struct upload_note *n, struct store *store, const char *repo,
                      const struct digest *blob)
{
	AUTO_BUF name = BUF_INIT;

	*n = (struct upload_note){ .lock = -1 };
	n->store = store && !store->read_only ? store : NULL;
	buf_addf(&name, "%s@%s", repo, DIGEST_STR(blob));
	digest_of(&n->key, name.s, name.len);
}

/* 1: it is ours, 0: another's. */
static int own(struct upload_note *n, struct err *e)
{
	int64_t number = 0;

	if (n->lock >= 0)
		return 1;
	for (int i = 0; i < 7; i++)
		number = number << 8 | n->key.b[i];
	n->lock = lock_number(n->store->dir, lock_name, number, e);
	return n->lock >= 0 ? 1 : e->code == ERR_EXISTS ? 0 : -1;
}

static bool is_over(const void *record, int64_t now)
{
	int64_t when = strtoll(record, NULL, 10);

	return now - when > LIFE_S || when - now > LIFE_S;
}

int upload_note_find(struct upload_note *n, struct buf *text, struct err *e)
{
	AUTO_BUF record = BUF_INIT;
	const char *blank;
	int found;

	if (!n->store)
		return 0;
	found = state_get(n->store->state, STATE_UPLOADS, n->key.b, DIGEST_SIZE, &record,
	                  e);
	if (found > 0)
		found = own(n, e);
	blank = found > 0 ? strchr(record.s, ' ') : NULL;
	if (!blank)
		return found < 0 ? -1 : 0;
	n->kept = true;
	if (is_over(record.s, clock_wall_s()))
		return 0;
	buf_adds(text, blank + 1);
	return 1;
}

int upload_note_keep(struct upload_note *n, const char *text, struct err *e)
{
	AUTO_BUF record = BUF_INIT;
	int ours = n->store ? own(n, e) : 0;

	if (ours <= 0)
		return ours;
	buf_addf(&record, "%" PRId64 " %s", clock_wall_s(), text);
	n->kept = true;
	return state_put(n->store->state, STATE_UPLOADS, n->key.b, DIGEST_SIZE, record.s,
	                 record.len, e);
}

int upload_note_drop(struct upload_note *n, struct err *e)
{
	if (!n->kept)
		return 0;
	n->kept = false;
	return state_put(n->store->state, STATE_UPLOADS, n->key.b, DIGEST_SIZE, NULL, 0,
	                 e);
}

void upload_note_fini(struct upload_note *n)
{
	fd_close(&n->lock);
}

struct expiry {
	bool all;
	int64_t now;
	VEC(struct digest) keys;
};

static int find_old(void *self, const struct state_record *r)
{
	struct expiry *x = self;
	AUTO_FREE char *record = mem_strndup(r->data, r->n);
	struct digest key;

	if (r->key_len != DIGEST_SIZE || (!x->all && !is_over(record, x->now)))
		return 0;
	memcpy(key.b, r->key, DIGEST_SIZE);
	vec_push(&x->keys, key);
	return 0;
}

int upload_notes_expire(struct state *s, bool all, struct err *e)
{
	struct expiry x = { .all = all, .now = clock_wall_s() };
	int rc = state_each(s, STATE_UPLOADS, find_old, &x, e);

	for (size_t i = 0; rc == 0 && i < x.keys.len; i++)
		rc = state_put(s, STATE_UPLOADS, x.keys.at[i].b, DIGEST_SIZE, NULL, 0, e);
	vec_fini(&x.keys);
	return rc;
}

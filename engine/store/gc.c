#include "store/gc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/fd.h"
#include "os/lock.h"
#include "store/blobs.h"
#include "store/gc_list.h"
#include "store/stat_cache.h"
#include "store/uploads.h"

enum {
	HOUR = 60 * 60,
	DAY = 24 * HOUR,
	VANISHED_AGE = 7 * DAY, /* a disk may just not be mounted */
	TURN = 4096,            /* things whose records go in one transaction */
	BATCH = 256,            /* blobs that are removed while nobody may ask for any */
	DOCUMENT_MAX = 1 << 20, /* bytes of a manifest or configuration, as a rule */
	GONE_MAX = 4096,        /* notes of what gc took */
};

#define DEFAULT_SIZE ((int64_t)20000000000)
static const char room_fact[] = "room"; /* STATE_FACTS: bytes, when: "123 456" */

struct gc {
	struct store *store;
	const struct gc_options *o;
	struct gc_report *report;
	struct gc_list list;
	int64_t before; /* what was used since is in use; INT64_MAX: nothing is */
	size_t *order;  /* of the items: victims, by their turn */
	size_t n_victims;
};

int64_t gc_default_size(const struct store *s)
{
	struct statvfs fs;
	int64_t tenth;

	if (s->dir < 0 || fstatvfs(s->dir, &fs) < 0)
		return DEFAULT_SIZE;
	tenth = (int64_t)(fs.f_blocks / 10 * fs.f_frsize);
	return tenth < DEFAULT_SIZE ? tenth : DEFAULT_SIZE;
}

/* --- Choosing ---------------------------------------------------------------------- */

static bool in_use(const struct gc *g, const struct gc_item *item)
{
	return item->used >= g->before;
}

static void choose(struct gc *g, struct gc_item *item)
{
	if (item->victim)
		return;
	if (in_use(g, item)) {
		if (item->spared)
			return;
		item->spared = true;
		g->report->in_use[item->kind].n++;
		g->report->in_use[item->kind].bytes += item->size;
		return;
	}
	item->victim = true;
	g->order[g->n_victims++] = (size_t)(item - g->list.items.at);
}

static int by_use(const void *a, const void *b, void *self)
{
	const struct gc_list *l = self;
	const struct gc_item *x = &l->items.at[*(const size_t *)a];
	const struct gc_item *y = &l->items.at[*(const size_t *)b];

	if (x->kept != y->kept)
		return x->kept ? 1 : -1;
	if (x->used != y->used)
		return x->used < y->used ? -1 : 1;
	return x < y ? -1 : 1;
}

static int64_t size_of(const struct gc *g)
{
	int64_t size = state_size(g->store->state);

	for (size_t i = 0; i < g->list.items.len; i++)
		if (!g->list.items.at[i].victim)
			size += g->list.items.at[i].size;
	return size;
}

/* The least recently used, until the rest fits. */
static void choose_for_size(struct gc *g, int64_t bound)
{
	struct gc_list *l = &g->list;
	AUTO_FREE size_t *all = mem_alloc((l->items.len + 1) * sizeof(*all));
	int64_t size = size_of(g);
	size_t n = 0;

	for (size_t i = 0; i < l->items.len; i++)
		if (!l->items.at[i].victim)
			all[n++] = i;
	if (n)
		qsort_r(all, n, sizeof(*all), by_use, l);
	for (size_t i = 0; i < n && size > bound; i++) {
		struct gc_item *item = &l->items.at[all[i]];

		choose(g, item);
		if (item->victim)
			size -= item->size;
	}
}

static void choose_all(struct gc *g)
{
	const struct gc_options *o = g->o;
	struct gc_list *l = &g->list;

	g->order = mem_alloc((l->items.len + 1) * sizeof(*g->order));
	for (size_t i = 0; i < l->items.len; i++) {
		struct gc_item *item = &l->items.at[i];

		g->report->had[item->kind].n++;
		g->report->had[item->kind].bytes += item->size;
		if (item->kind == GC_ROTTEN || item->kind == GC_LEFTOVERS ||
		    (!item->kept && gc_too_old(l, item->used, o->max_age)))
			choose(g, item);
	}
	if (o->all)
		choose_for_size(g, -1);
	else if (o->max_size >= 0 && size_of(g) > o->max_size)
		/* At an exit, some room for the next builds. */
		choose_for_size(g, o->on_exit ? o->max_size / 10 * 9 : o->max_size);
	for (size_t i = 0; i < g->n_victims; i++)
		l->items.at[g->order[i]].turn = i / TURN;
}

/* --- Records ----------------------------------------------------------------------- */

/* The turn of the first of its blobs that goes; SIZE_MAX: none does. */
static size_t turn_of(const struct gc *g, const struct gc_record *rec)
{
	size_t turn = SIZE_MAX;

	for (size_t i = 0; i < rec->n; i++) {
		const struct gc_item *blob =
			&g->list.items.at[g->list.needs.at[rec->first + i]];

		if (blob->victim && blob->turn < turn)
			turn = blob->turn;
	}
	return turn;
}

static bool is_knowledge(enum state_table t)
{
	return t == STATE_TARGETS || t == STATE_RULES || t == STATE_SOURCES;
}

/* Whatever becomes of the blobs. */
static bool is_over(const struct gc *g, const struct gc_record *rec)
{
	const struct gc_options *o = g->o;

	return rec->absent || (rec->vanished && rec->used < g->list.now - VANISHED_AGE) ||
	       (o->all && !is_knowledge(rec->table)) ||
	       gc_too_old(&g->list, rec->used + STATE_USE_GRAIN, o->max_age);
}

struct forgetting {
	VEC(struct state_change) changes;
	char when[24];
};

static void forget(struct forgetting *f, const struct gc_record *rec)
{
	struct state_change del = { .table = rec->table,
		                    .key = rec->key,
		                    .key_len = rec->key_len };
	struct state_change note = { STATE_GONE, rec->key, rec->key_len, f->when,
		                     strlen(f->when) };

	vec_push(&f->changes, del);
	if (rec->told && !rec->absent)
		vec_push(&f->changes, note);
}

/* Documents that no record names are those of bases, which are asked for by digest. */
static void note_bases(const struct gc *g, size_t turn, struct forgetting *f)
{
	for (size_t i = 0; i < g->list.n_blobs; i++) {
		const struct gc_item *blob = &g->list.items.at[i];
		struct state_change note = { STATE_GONE, blob->digest.b, DIGEST_SIZE,
			                     f->when, strlen(f->when) };

		if (blob->victim && blob->turn == turn && !blob->needed &&
		    blob->size <= DOCUMENT_MAX)
			vec_push(&f->changes, note);
	}
}

/* Those whose first blob goes in this turn, and in the first one those that go anyway. */
static int forget_turn(struct gc *g, size_t turn, struct err *e)
{
	struct forgetting f = { .when = "" };
	int64_t n = 0;
	int rc;

	snprintf(f.when, sizeof(f.when), "%" PRId64, g->list.now);
	for (size_t i = 0; i < g->list.records.len; i++) {
		const struct gc_record *rec = &g->list.records.at[i];

		if (is_over(g, rec) ? turn > 0 : turn_of(g, rec) != turn)
			continue;
		forget(&f, rec);
		n++;
	}
	note_bases(g, turn, &f);
	rc = g->o->dry_run
	             ? 0
	             : state_change(g->store->state, f.changes.at, f.changes.len, e);
	vec_fini(&f.changes);
	if (rc == 0)
		g->report->records += n;
	return rc;
}

/* --- Removing ---------------------------------------------------------------------- */

static void count_removed(struct gc *g, const struct gc_item *item)
{
	g->report->removed[item->kind].n++;
	g->report->removed[item->kind].bytes += item->size;
}

static int remove_blobs(struct gc *g, const size_t *at, size_t n, struct err *e)
{
	struct digest list[BATCH];
	bool gone[BATCH];
	size_t of[BATCH] = { 0 }, blobs = 0;

	for (size_t i = 0; i < n; i++) {
		if (g->list.items.at[at[i]].kind != GC_BLOBS)
			continue;
		of[blobs] = at[i];
		list[blobs++] = g->list.items.at[at[i]].digest;
	}
	if (!blobs)
		return 0;
	if (blobs_evict(g->store->blobs, list, blobs, g->before, gone, e) < 0)
		return -1;
	for (size_t i = 0; i < blobs; i++)
		if (gone[i])
			count_removed(g, &g->list.items.at[of[i]]);
	return 0;
}

static int remove_rotten(struct gc *g, const size_t *at, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		const struct gc_item *item = &g->list.items.at[at[i]];
		AUTO_BUF path = BUF_INIT;

		if (item->kind != GC_ROTTEN)
			continue;
		buf_addf(&path, "rotten/%s", item->name);
		if (unlinkat(g->store->dir, path.s, 0) < 0 && errno != ENOENT)
			return err_sys(e, "remove %s", path.s);
		count_removed(g, item);
	}
	return 0;
}

static int remove_others(struct gc *g, enum gc_kind kind, const size_t *at, size_t n,
                         struct err *e)
{
	AUTO_STRLIST names = STRLIST_INIT;
	bool gone[BATCH] = { false };
	size_t of[BATCH] = { 0 };
	int rc;

	for (size_t i = 0; i < n; i++) {
		if (g->list.items.at[at[i]].kind != kind)
			continue;
		of[names.len] = at[i];
		strlist_add(&names, g->list.items.at[at[i]].name);
	}
	if (!names.len)
		return 0;
	rc = g->o->rooms->remove(g->o->rooms->self, kind, &names, g->before, gone, e);
	for (size_t i = 0; i < names.len; i++)
		if (gone[i])
			count_removed(g, &g->list.items.at[of[i]]);
	return rc;
}

static int remove_batch(struct gc *g, const size_t *at, size_t n, struct err *e)
{
	static const enum gc_kind kinds[] = { GC_UNPACKED, GC_CACHES, GC_LEFTOVERS };

	if (remove_blobs(g, at, n, e) < 0 || remove_rotten(g, at, n, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (remove_others(g, kinds[i], at, n, e) < 0)
			return -1;
	return 0;
}

static int remove_turn(struct gc *g, const size_t *at, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i += BATCH) {
		size_t some = n - i < BATCH ? n - i : BATCH;

		for (size_t k = 0; k < some && g->o->dry_run; k++)
			count_removed(g, &g->list.items.at[at[i + k]]);
		if (!g->o->dry_run && remove_batch(g, at + i, some, e) < 0)
			return -1;
	}
	return 0;
}

static bool must_stop(const struct gc *g)
{
	const struct gc_options *o = g->o;

	return (o->stop && atomic_load(o->stop)) ||
	       (o->deadline && clock_ns() > o->deadline);
}

static int remove_all(struct gc *g, struct err *e)
{
	size_t turn = 0;

	do {
		size_t at = turn * TURN;
		size_t n = g->n_victims - at < TURN ? g->n_victims - at : TURN;

		if (must_stop(g)) {
			g->report->stopped = true;
			return 0;
		}
		if (forget_turn(g, turn, e) < 0 ||
		    remove_turn(g, g->order + at, n, e) < 0)
			return -1;
	} while (++turn * TURN < g->n_victims);
	return 0;
}

/* --- Notes ------------------------------------------------------------------------- */

struct note {
	struct digest key;
	int64_t when;
};

struct notes {
	VEC(struct note) list;
};

static int read_note(void *self, const struct state_record *r)
{
	struct notes *n = self;
	struct note note = { .when = 0 };
	char text[24] = "";

	if (r->key_len != DIGEST_SIZE)
		return 0;
	memcpy(text, r->data, r->n < sizeof(text) ? r->n : sizeof(text) - 1);
	memcpy(note.key.b, r->key, DIGEST_SIZE);
	note.when = strtoll(text, NULL, 10);
	vec_push(&n->list, note);
	return 0;
}

static int by_when(const void *a, const void *b)
{
	const struct note *x = a, *y = b;

	return x->when < y->when ? -1 : x->when > y->when;
}

/* The oldest notes go, so that they do not grow without end. */
static int bound_notes(struct state *s, struct err *e)
{
	struct notes notes = { { NULL, 0, 0 } };
	VEC(struct state_change) changes = { NULL, 0, 0 };
	int rc = state_each(s, STATE_GONE, read_note, &notes, e);

	if (rc == 0 && notes.list.len > GONE_MAX) {
		qsort(notes.list.at, notes.list.len, sizeof(*notes.list.at), by_when);
		for (size_t i = 0; i < notes.list.len - GONE_MAX; i++) {
			struct state_change c = { STATE_GONE, notes.list.at[i].key.b,
				                  DIGEST_SIZE, NULL, 0 };

			vec_push(&changes, c);
		}
		rc = state_change(s, changes.at, changes.len, e);
	}
	vec_fini(&changes);
	vec_fini(&notes.list);
	return rc;
}

int gc_when(struct store *s, const struct digest *key, int64_t *when, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int found = state_get(s->state, STATE_GONE, key->b, DIGEST_SIZE, &text, e);

	if (found > 0)
		*when = strtoll(text.s, NULL, 10);
	return found;
}

/* --- When -------------------------------------------------------------------------- */

static int note_room(struct state *s, int64_t bytes, int64_t when, struct err *e)
{
	char text[48];

	snprintf(text, sizeof(text), "%" PRId64 " %" PRId64, bytes, when);
	return state_put(s, STATE_FACTS, room_fact, strlen(room_fact), text, strlen(text),
	                 e);
}

bool gc_due(struct store *s, int64_t max_size)
{
	int64_t added = blobs_added(s->blobs), now = clock_wall_s(), bytes = 0, when = 0;
	AUTO_BUF text = BUF_INIT;
	struct err ignored;
	char *end;
	bool due;

	if (!added || s->read_only)
		return false;
	if (state_get(s->state, STATE_FACTS, room_fact, strlen(room_fact), &text,
	              &ignored) > 0) {
		bytes = strtoll(text.s, &end, 10);
		when = strtoll(end, NULL, 10);
	}
	bytes += added;
	due = (max_size >= 0 && bytes > max_size) || now - when >= DAY || when > now;
	/* What cannot be noted is found by the next gc. */
	if (!due && note_room(s->state, bytes, when, &ignored) < 0)
		return false;
	return due;
}

/* --- All together ------------------------------------------------------------------ */

/* Since when what was used may still be in use. */
static int find_users(struct gc *g, struct err *e)
{
	struct store *s = g->store;
	int64_t oldest = s->opened, other;
	int alone = g->o->on_exit ? 0 : s->lease < 0 ? 1 : lock_raise(s->lease, e);

	if (alone < 0)
		return -1;
	other = s->lease < 0 ? -1 : lock_lowest_shown(s->lease);
	g->report->others = other >= 0;
	if (other >= 0 && other < oldest)
		oldest = other;
	g->before = oldest - BLOB_USE_GRAIN;
	if (g->list.now - HOUR < g->before)
		g->before = g->list.now - HOUR;
	if (alone)
		g->before = INT64_MAX;
	return 0;
}

static int collect(struct gc *g, struct err *e)
{
	int64_t left;

	if (find_users(g, e) < 0 || gc_list_read(&g->list, g->store, e) < 0 ||
	    gc_list_records(&g->list, g->store, g->o->all ? -1 : g->o->max_age, e) < 0)
		return -1;
	choose_all(g);
	if (remove_all(g, e) < 0)
		return -1;
	if (!g->o->dry_run && (stat_cache_sweep(g->store->state, e) < 0 ||
	                       upload_notes_expire(g->store->state, g->o->all, e) < 0))
		return -1;
	if (g->before == INT64_MAX && !g->o->dry_run) {
		g->o->rooms->tidy(g->o->rooms->self);
		if (state_compact(&g->store->state, g->store->dir, e) < 0)
			return -1;
	}
	g->report->state = left = state_size(g->store->state);
	if (g->o->dry_run)
		return 0;
	for (int i = 0; i < GC_KINDS; i++)
		left += g->report->had[i].bytes - g->report->removed[i].bytes;
	return bound_notes(g->store->state, e) < 0
	               ? -1
	               : note_room(g->store->state, left, g->list.now, e);
}

int gc_run(struct store *s, const struct gc_options *o, struct gc_report *r,
           struct err *e)
{
	struct gc g = { .store = s, .o = o, .report = r };
	AUTO_CLOSE int lock = -1;
	int rc;

	memset(r, 0, sizeof(*r));
	if (!o->dry_run) {
		/* One at a time; at an exit the one that is at it will do. */
		lock = o->on_exit ? lock_try(s->dir, "gc.lock", true, e)
		                  : lock_take(s->dir, "gc.lock", true, e);
		if (lock < 0)
			return o->on_exit && e->code == ERR_EXISTS ? 0 : -1;
	}
	gc_list_init(&g.list, o->rooms);
	rc = collect(&g, e);
	gc_list_fini(&g.list);
	free(g.order);
	if (s->lease >= 0 && rc == 0)
		rc = lock_share(s->lease, e);
	return rc < 0 ? err_wrap(e, "gc") : 0;
}

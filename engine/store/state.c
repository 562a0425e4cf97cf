#include "store/state.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "os/clock.h"
#include "os/fd.h"

/* The map is address space, not memory or disk. */
#define MAP_SIZE ((size_t)64 << 30)
enum { READERS = 512, LMDB_KEY_MAX = 500, COMPACT_MIN = 4 << 20 };

struct state {
	MDB_env *env; /* NULL: a store that does not exist yet, opened for reading */
	MDB_dbi tables[STATE_TABLES];
	bool present[STATE_TABLES];
	bool read_only;
	_Atomic(MDB_txn *) idle; /* one for reading, reset: for whoever comes next */
	pthread_mutex_t lock;    /* guards: */
	struct buf used; /* keys of STATE_USED to be written, u32 length and bytes */
};

static const char *const names[STATE_TABLES] = {
	[STATE_RESULTS] = "results", [STATE_TARGETS] = "targets",
	[STATE_IMAGES] = "images",   [STATE_LAYERS] = "layers",
	[STATE_RULES] = "rules",     [STATE_CHECKS] = "checks",
	[STATE_SOURCES] = "sources", [STATE_FACTS] = "facts",
	[STATE_GONE] = "gone",       [STATE_SIZES] = "sizes",
	[STATE_FILES] = "files",     [STATE_USED] = "used",
	[STATE_TIMES] = "times",     [STATE_UPLOADS] = "uploads",
};

static int failed(int rc, const char *what, struct err *e)
{
	/* LMDB locks a place for each reader by its pid. */
	if (rc == EAGAIN)
		return err_set(
			e, ERR_FAILED,
			"the store is in use by a process of another container that has "
			"the same number (%d); start this one again, or give each "
			"container a store of its own",
			(int)getpid());
	if (rc == MDB_MAP_FULL)
		errno = ENOSPC;
	else if (rc > 0)
		errno = rc;
	else
		return err_set(
			e, ERR_CORRUPT,
			"%s: %s (the store's state.mdb; imgmake fsck --repair puts it aside, which costs only "
			"a rebuild)",
			what, mdb_strerror(rc));
	return err_sys(e, "%s the store's state", what);
}

static int open_tables(struct state *s, struct err *e)
{
	unsigned flags = s->read_only ? MDB_RDONLY : 0;
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, flags, &txn);

	for (int i = 0; rc == 0 && i < STATE_TABLES; i++) {
		rc = mdb_dbi_open(txn, names[i], s->read_only ? 0 : MDB_CREATE,
		                  &s->tables[i]);
		s->present[i] = rc == 0;
		if (rc == MDB_NOTFOUND && s->read_only)
			rc = 0;
		if (rc)
			mdb_txn_abort(txn);
	}
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	return rc ? failed(rc, "open", e) : 0;
}

/* LMDB wants a path; the directory may have been given as any fd. */
static void path_of(int dir, char out[64])
{
	snprintf(out, 64, "/proc/self/fd/%d/state.mdb", dir);
}

static int open_env(struct state *s, int store_dir, struct err *e)
{
	/* Pages are synced before what points to them; that itself only with the next
	 * transaction. A power cut undoes the last one, which costs a step done again;
	 * syncing it would cost each step a second wait for the disk. */
	unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NOMETASYNC |
	                 (s->read_only ? MDB_RDONLY : 0);
	char path[64];
	int dead, rc;

	path_of(store_dir, path);
	rc = mdb_env_create(&s->env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(s->env, STATE_TABLES);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(s->env, READERS);
	if (rc == 0)
		rc = mdb_env_set_mapsize(s->env, MAP_SIZE);
	if (rc == 0)
		rc = mdb_env_open(s->env, path, flags, 0600);
	if (rc == EACCES || rc == EROFS) {
		/* A store on a read-only file system: no writer can exist, so no lock is
		 * needed. */
		if (s->read_only)
			rc = mdb_env_open(s->env, path, flags | MDB_NOLOCK, 0600);
	}
	/* Slots of readers that were killed would keep old pages alive. */
	if (rc == 0 && !s->read_only)
		rc = mdb_reader_check(s->env, &dead);
	return rc ? failed(rc, "open", e) : 0;
}

int state_open(struct state **out, int store_dir, bool read_only, struct err *e)
{
	struct state *s = mem_alloc(sizeof(*s));
	struct stat st;

	*out = s;
	s->read_only = read_only;
	s->used = (struct buf)BUF_INIT;
	pthread_mutex_init(&s->lock, NULL);
	if (read_only && (store_dir < 0 || fstatat(store_dir, "state.mdb", &st, 0) < 0))
		return 0;
	if (open_env(s, store_dir, e) == 0 && open_tables(s, e) == 0)
		return 0;
	state_close(s);
	*out = NULL;
	return -1;
}

/* Long keys (paths) are hashed: LMDB's limit is 511 bytes. The digest keeps them apart.
 */
static MDB_val key_of(const void *key, size_t n, struct digest *space)
{
	if (n <= LMDB_KEY_MAX)
		return (MDB_val){ n, (void *)key };
	digest_of(space, key, n);
	return (MDB_val){ DIGEST_SIZE, space->b };
}

/* Table, and then the record's own key. */
struct used_key {
	char s[1 + LMDB_KEY_MAX];
	size_t n;
};

static void used_key(struct used_key *out, enum state_table t, const MDB_val *key)
{
	out->s[0] = (char)t;
	memcpy(out->s + 1, key->mv_data, key->mv_size);
	out->n = 1 + key->mv_size;
}

/* When the record was last used, 0: never told. */
static int64_t last_used(struct state *s, MDB_txn *txn, const struct used_key *k)
{
	MDB_val key = { k->n, (void *)k->s }, v;
	int64_t when;

	if (!s->present[STATE_USED] || mdb_get(txn, s->tables[STATE_USED], &key, &v) ||
	    v.mv_size != sizeof(when))
		return 0;
	memcpy(&when, v.mv_data, sizeof(when));
	return when;
}

static int put_used(struct state *s, MDB_txn *txn, const void *key, size_t n)
{
	int64_t now = clock_wall_s();
	MDB_val k = { n, (void *)key }, v = { sizeof(now), &now };

	return mdb_put(txn, s->tables[STATE_USED], &k, &v, 0);
}

static void queue_use(struct state *s, const struct used_key *k)
{
	if (s->read_only)
		return;
	pthread_mutex_lock(&s->lock);
	buf_add_str(&s->used, k->s, k->n);
	pthread_mutex_unlock(&s->lock);
}

static void note_use(struct state *s, MDB_txn *txn, enum state_table t,
                     const MDB_val *key)
{
	struct used_key k;
	int64_t age;

	if (t > STATE_SOURCES)
		return;
	used_key(&k, t, key);
	age = clock_wall_s() - last_used(s, txn, &k);
	if (age >= STATE_USE_GRAIN || age <= -STATE_USE_GRAIN)
		queue_use(s, &k);
}

/* Not worth an error: gc would take some records for older than they are. */
static void write_used(struct state *s)
{
	MDB_txn *txn;
	int rc;

	if (!s->used.len || mdb_txn_begin(s->env, NULL, 0, &txn))
		return;
	rc = 0;
	for (size_t at = 0; rc == 0 && at < s->used.len;) {
		uint32_t n;

		memcpy(&n, s->used.s + at, sizeof(n));
		rc = put_used(s, txn, s->used.s + at + sizeof(n), n);
		at += sizeof(n) + n;
	}
	if (rc)
		mdb_txn_abort(txn);
	else
		(void)!mdb_txn_commit(txn);
}

void state_close(struct state *s)
{
	if (!s)
		return;
	if (s->env) {
		mdb_txn_abort(atomic_exchange(&s->idle, NULL));
		write_used(s);
		mdb_env_close(s->env);
	}
	buf_fini(&s->used);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Beginning one anew takes several times as long as all that a look-up needs. */
static int begin_read(struct state *s, MDB_txn **txn)
{
	int rc;

	*txn = atomic_exchange(&s->idle, NULL);
	if (!*txn)
		return mdb_txn_begin(s->env, NULL, MDB_RDONLY, txn);
	rc = mdb_txn_renew(*txn);
	if (rc)
		mdb_txn_abort(*txn);
	return rc;
}

static void end_read(struct state *s, MDB_txn *txn)
{
	mdb_txn_reset(txn);
	mdb_txn_abort(atomic_exchange(&s->idle, txn));
}

int state_get(struct state *s, enum state_table t, const void *key, size_t key_len,
              struct buf *out, struct err *e)
{
	struct digest space;
	MDB_val k = key_of(key, key_len, &space), v;
	MDB_txn *txn;
	int rc;

	if (!s->env || !s->present[t])
		return 0;
	rc = begin_read(s, &txn);
	if (rc)
		return failed(rc, "read", e);
	rc = mdb_get(txn, s->tables[t], &k, &v);
	if (rc == 0) {
		buf_reset(out);
		buf_add(out, v.mv_data, v.mv_size);
		note_use(s, txn, t, &k);
	}
	end_read(s, txn);
	if (rc == MDB_NOTFOUND)
		return 0;
	return rc ? failed(rc, "read", e) : 1;
}

static int change_one(struct state *s, MDB_txn *txn, const struct state_change *c)
{
	struct digest space;
	struct used_key used;
	MDB_val k = key_of(c->key, c->key_len, &space), v = { c->n, (void *)c->data }, u;
	int rc = c->data ? mdb_put(txn, s->tables[c->table], &k, &v, 0)
	                 : mdb_del(txn, s->tables[c->table], &k, NULL);

	if (rc == MDB_NOTFOUND)
		rc = 0;
	if (rc || c->table > STATE_SOURCES)
		return rc;
	used_key(&used, c->table, &k);
	if (c->data)
		return put_used(s, txn, used.s, used.n);
	u = (MDB_val){ used.n, used.s };
	rc = mdb_del(txn, s->tables[STATE_USED], &u, NULL);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int state_change(struct state *s, const struct state_change *list, size_t n,
                 struct err *e)
{
	bool deletes = false;
	MDB_txn *txn;
	int rc;

	if (s->read_only)
		return err_set(e, ERR_DENIED, "the store is open for reading only");
	if (!n)
		return 0;
	rc = mdb_txn_begin(s->env, NULL, 0, &txn);
	if (rc)
		return failed(rc, "write", e);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = change_one(s, txn, &list[i]);
		deletes |= !list[i].data;
	}
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	if (rc == 0 && deletes)
		rc = mdb_env_sync(s->env, 1);
	return rc ? failed(rc, "write", e) : 0;
}

int state_put(struct state *s, enum state_table t, const void *key, size_t key_len,
              const void *data, size_t n, struct err *e)
{
	struct state_change c = { t, key, key_len, data, n };

	return state_change(s, &c, 1, e);
}

struct state_view {
	struct state *state;
	MDB_txn *txn; /* NULL: of a store that does not exist yet */
};

int state_view_open(struct state_view **out, struct state *s, struct err *e)
{
	MDB_txn *txn = NULL;
	int rc = s->env ? mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn) : 0;

	if (rc)
		return failed(rc, "read", e);
	*out = mem_alloc(sizeof(**out));
	**out = (struct state_view){ s, txn };
	return 0;
}

void state_view_close(struct state_view *v)
{
	if (v && v->txn)
		mdb_txn_abort(v->txn);
	free(v);
}

int state_view_get(struct state_view *v, enum state_table t, const void *key,
                   size_t key_len, const void **out, size_t *n, struct err *e)
{
	struct digest space;
	MDB_val k = key_of(key, key_len, &space), found;
	int rc;

	if (!v->txn || !v->state->present[t])
		return 0;
	rc = mdb_get(v->txn, v->state->tables[t], &k, &found);
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc)
		return failed(rc, "read", e);
	*out = found.mv_data;
	*n = found.mv_size;
	return 1;
}

static int each(struct state *s, MDB_txn *txn, MDB_cursor *cursor, enum state_table t,
                int (*fn)(void *self, const struct state_record *r), void *self,
                int *stop)
{
	struct used_key used;
	MDB_val k, v;
	int rc;

	while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
		struct state_record r = { .key = k.mv_data,
			                  .data = v.mv_data,
			                  .key_len = k.mv_size,
			                  .n = v.mv_size };

		if (t <= STATE_SOURCES) {
			used_key(&used, t, &k);
			r.used = last_used(s, txn, &used);
			if (!r.used)
				queue_use(s, &used);
		}
		*stop = fn(self, &r);
		if (*stop)
			break;
	}
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int state_each(struct state *s, enum state_table t,
               int (*fn)(void *self, const struct state_record *r), void *self,
               struct err *e)
{
	MDB_cursor *cursor;
	MDB_txn *txn;
	int rc, stop = 0;

	if (!s->env || !s->present[t])
		return 0;
	rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	if (rc)
		return failed(rc, "read", e);
	rc = mdb_cursor_open(txn, s->tables[t], &cursor);
	if (rc == 0) {
		rc = each(s, txn, cursor, t, fn, self, &stop);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	return rc ? failed(rc, "read", e) : stop;
}

static int read_record(void *self, const struct state_record *r)
{
	hasher_add(self, r->key, r->key_len);
	hasher_add(self, r->data, r->n);
	return 0;
}

/* A list of free pages: how many, and then their numbers, the highest first. */
static bool is_free_list(const MDB_val *v, size_t last)
{
	const size_t *list = v->mv_data;
	size_t n = v->mv_size / sizeof(*list);

	if (!n || list[0] > n - 1)
		return false;
	for (size_t i = 1; i <= list[0]; i++)
		if (list[i] < 2 || list[i] > last || (i > 1 && list[i] >= list[i - 1]))
			return false;
	return true;
}

/* In a table of LMDB's own, the first one. */
static int try_free_pages(struct state *s, struct err *e)
{
	MDB_cursor *cursor = NULL;
	MDB_envinfo info;
	MDB_txn *txn;
	MDB_val k, v;
	int rc = mdb_env_info(s->env, &info);

	if (rc == 0)
		rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	if (rc)
		return failed(rc, "read", e);
	rc = mdb_cursor_open(txn, 0, &cursor);
	while (rc == 0 && (rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0)
		if (!is_free_list(&v, info.me_last_pgno))
			rc = MDB_CORRUPTED;
	if (cursor)
		mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return rc == MDB_NOTFOUND ? 0 : failed(rc, "read", e);
}

/* Takes free pages and cuts full ones, and undoes it. */
static int try_writing(struct state *s, struct err *e)
{
	enum { MANY = 20 };
	char name[] = "\xff?", text[2000] = "";
	MDB_val k = { sizeof(name), name }, v = { sizeof(text), text };
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

	if (rc)
		return failed(rc, "write", e);
	for (int i = 0; rc == 0 && i < STATE_TABLES * MANY; i++) {
		name[1] = (char)(i / STATE_TABLES);
		rc = mdb_put(txn, s->tables[i % STATE_TABLES], &k, &v, 0);
	}
	mdb_txn_abort(txn);
	return rc ? failed(rc, "write", e) : 0;
}

int state_try(struct state *s, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct hasher h; /* something has to look at the bytes */
	struct digest all;
	int rc = 0;

	if (!s->env)
		return 0;
	hasher_init(&h);
	for (int i = 0; rc == 0 && i < STATE_TABLES; i++)
		rc = state_each(s, (enum state_table)i, read_record, &h, e);
	hasher_end(&h, &all);
	if (rc < 0)
		return -1;
	/* Free pages, too. */
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open /dev/null");
	rc = mdb_env_copyfd2(s->env, fd, MDB_CP_COMPACT);
	if (rc)
		return failed(rc, "read", e);
	return try_free_pages(s, e) < 0 ? -1 : try_writing(s, e);
}

int64_t state_size(const struct state *s)
{
	struct stat st;
	int fd;

	if (!s->env || mdb_env_get_fd(s->env, &fd) || fstat(fd, &st) < 0)
		return 0;
	return st.st_size;
}

static int count_used(struct state *s, size_t *bytes, struct err *e)
{
	MDB_stat st;
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);

	*bytes = 0;
	if (rc)
		return failed(rc, "read", e);
	for (int i = 0; rc == 0 && i < STATE_TABLES; i++) {
		rc = mdb_stat(txn, s->tables[i], &st);
		if (rc == 0)
			*bytes += (st.ms_branch_pages + st.ms_leaf_pages +
			           st.ms_overflow_pages) *
			          st.ms_psize;
	}
	mdb_txn_abort(txn);
	return rc ? failed(rc, "read", e) : 0;
}

/* Durable before it takes the place of the other. */
static int write_compact(struct state *s, int store_dir, struct err *e)
{
	static const char name[] = "state.mdb.compact";
	AUTO_CLOSE int fd =
		openat(store_dir, name,
	               O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc;

	if (fd < 0)
		return err_sys(e, "create %s in the store", name);
	rc = mdb_env_copyfd2(s->env, fd, MDB_CP_COMPACT);
	if (rc)
		failed(rc, "compact", e);
	else
		rc = fd_sync(fd, name, e);
	if (rc == 0 && renameat(store_dir, name, store_dir, "state.mdb") < 0)
		rc = err_sys(e, "replace state.mdb");
	if (rc)
		unlinkat(store_dir, name, 0);
	return rc ? -1 : fd_sync(store_dir, "the store", e);
}

int state_compact(struct state **s, int store_dir, struct err *e)
{
	size_t used;

	if (state_size(*s) < COMPACT_MIN)
		return 0;
	if (count_used(*s, &used, e) < 0)
		return -1;
	if ((int64_t)used > state_size(*s) / 2)
		return 0;
	write_used(*s);
	buf_reset(&(*s)->used);
	if (write_compact(*s, store_dir, e) < 0)
		return -1;
	state_close(*s);
	return state_open(s, store_dir, false, e);
}

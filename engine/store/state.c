#include "store/state.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"

/* The map is address space, not memory or disk. */
#define MAP_SIZE ((size_t)64 << 30)
enum { READERS = 512, LMDB_KEY_MAX = 500 };

struct state {
	MDB_env *env; /* NULL: a store that does not exist yet, opened for reading */
	MDB_dbi tables[STATE_TABLES];
	bool present[STATE_TABLES];
	bool read_only;
};

static const char *const names[STATE_TABLES] = {
	[STATE_RESULTS] = "results", [STATE_TARGETS] = "targets",
	[STATE_IMAGES] = "images",   [STATE_LAYERS] = "layers",
	[STATE_RULES] = "rules",     [STATE_CHECKS] = "checks",
	[STATE_SOURCES] = "sources", [STATE_FACTS] = "facts",
};

static int failed(int rc, const char *what, struct err *e)
{
	if (rc == MDB_MAP_FULL)
		errno = ENOSPC;
	else if (rc > 0)
		errno = rc;
	else
		return err_set(
			e, ERR_CORRUPT,
			"%s: %s (the store's state.mdb; removing it costs only a rebuild)",
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
	unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | (s->read_only ? MDB_RDONLY : 0);
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
	if (read_only && (store_dir < 0 || fstatat(store_dir, "state.mdb", &st, 0) < 0))
		return 0;
	if (open_env(s, store_dir, e) == 0 && open_tables(s, e) == 0)
		return 0;
	state_close(s);
	*out = NULL;
	return -1;
}

void state_close(struct state *s)
{
	if (s && s->env)
		mdb_env_close(s->env);
	free(s);
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

int state_get(struct state *s, enum state_table t, const void *key, size_t key_len,
              struct buf *out, struct err *e)
{
	struct digest space;
	MDB_val k = key_of(key, key_len, &space), v;
	MDB_txn *txn;
	int rc;

	if (!s->env || !s->present[t])
		return 0;
	rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	if (rc)
		return failed(rc, "read", e);
	rc = mdb_get(txn, s->tables[t], &k, &v);
	if (rc == 0) {
		buf_reset(out);
		buf_add(out, v.mv_data, v.mv_size);
	}
	mdb_txn_abort(txn);
	if (rc == MDB_NOTFOUND)
		return 0;
	return rc ? failed(rc, "read", e) : 1;
}

int state_put(struct state *s, enum state_table t, const void *key, size_t key_len,
              const void *data, size_t n, struct err *e)
{
	struct digest space;
	MDB_val k = key_of(key, key_len, &space), v = { n, (void *)data };
	MDB_txn *txn;
	int rc;

	if (s->read_only)
		return err_set(e, ERR_DENIED, "the store is open for reading only");
	rc = mdb_txn_begin(s->env, NULL, 0, &txn);
	if (rc)
		return failed(rc, "write", e);
	rc = data ? mdb_put(txn, s->tables[t], &k, &v, 0)
	          : mdb_del(txn, s->tables[t], &k, NULL);
	if (rc == MDB_NOTFOUND)
		rc = 0;
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	return rc ? failed(rc, "write", e) : 0;
}

int state_each(struct state *s, enum state_table t,
               int (*fn)(void *self, const void *key, size_t key_len, const void *data,
                         size_t n),
               void *self, struct err *e)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	MDB_txn *txn;
	int rc, stop = 0;

	if (!s->env || !s->present[t])
		return 0;
	rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	if (rc)
		return failed(rc, "read", e);
	rc = mdb_cursor_open(txn, s->tables[t], &cursor);
	if (rc == 0) {
		while (!stop && (rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0)
			stop = fn(self, k.mv_data, k.mv_size, v.mv_data, v.mv_size);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	if (rc && rc != MDB_NOTFOUND)
		return failed(rc, "read", e);
	return stop;
}

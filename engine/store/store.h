#ifndef STORE_STORE_H
#define STORE_STORE_H

/* What this machine remembers, in one directory on a local disk (2-architecture.md,
 * "Store"). Several processes may have it open. */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct store {
	char *path;
	int dir;   /* fd of the directory */
	int lease; /* shared lock that says: this process is using the store, and shows
	              since when (seconds since 1970) */
	int64_t opened;
	bool read_only;
	struct blobs *blobs;
	struct state *state;
};

/* `path` NULL: $IMGMAKE_STORE, else $XDG_DATA_HOME/imgmake, else ~/.local/share/imgmake.
 * `read_only` writes nothing (a store that does not exist yet is then empty). */
MUST_CHECK int store_open(struct store *s, const char *path, bool read_only,
                          struct err *e);
void store_close(struct store *s);

/* Reads the whole state.mdb, and writes what it then undoes. LMDB trusts it, so what is
 * damaged may also end this process, or keep it busy for ever. ERR_CORRUPT: it is of no
 * use. */
MUST_CHECK int store_try_state(const char *path, struct err *e);

/* For a store whose state.mdb cannot be opened: puts that aside, into rotten/. ERR_EXISTS
 * while others use the store. */
MUST_CHECK int store_reset_state(const char *path, struct err *e);

#endif

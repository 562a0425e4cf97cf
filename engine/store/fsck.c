#include "store/fsck.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/lock.h"
#include "os/pool.h"
#include "store/blobs.h"
#include "store/gc_list.h"

struct fsck {
	struct store *store;
	const struct fsck_options *o;
	struct fsck_report *report;
	struct gc_list list;
	struct blobs *look;   /* without saying that they are used */
	pthread_mutex_t lock; /* guards what follows, and the list while blobs are read */
	int64_t read;
	bool failed;
	struct err why;
};

void fsck_tell(struct fsck *f, const struct fsck_finding *finding)
{
	f->report->findings++;
	f->report->repaired += finding->repaired;
	f->o->found(f->o->self, finding);
}

static bool stopped(const struct fsck *f)
{
	return f->o->stop && atomic_load(f->o->stop);
}

/* --- The store's own directories and files ------------------------------------------ */

/* Nobody else may look in: files of images keep their owners and their set-user-ID bits
 * there. */
static void check_mode(struct fsck *f, const char *path, bool dir)
{
	struct fsck_finding found = { .kind = "mode", .name = path };
	mode_t want = dir ? 0700 : 0600;
	char text[80];
	struct stat st;

	if (fstatat(f->store->dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (dir ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode)) {
		found.problem = dir ? "is no directory" : "is no regular file";
		fsck_tell(f, &found);
		return;
	}
	if ((st.st_mode & 07777) == want)
		return;
	snprintf(text, sizeof(text), "has mode %04o, not %04o", st.st_mode & 07777, want);
	found.problem = text;
	found.repaired = f->o->repair && fchmodat(f->store->dir, path, want, 0) == 0;
	fsck_tell(f, &found);
}

static void check_modes(struct fsck *f)
{
	static const char *const dirs[] = { ".",      "blobs",  "blobs/sha256", "tmp",
		                            "rotten", "rootfs", "cache",        "locks" };

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		check_mode(f, dirs[i], true);
	check_mode(f, "state.mdb", false);
}

static bool put_aside(struct fsck *f, const char *name)
{
	AUTO_BUF from = BUF_INIT, to = BUF_INIT;

	buf_addf(&from, "blobs/sha256/%s", name);
	buf_addf(&to, "rotten/%s", name);
	return renameat(f->store->dir, from.s, f->store->dir, to.s) == 0;
}

static int check_name(void *self, const char *name, const struct digest *d,
                      const struct stat *st)
{
	struct fsck *f = self;
	struct fsck_finding found = { .kind = "file" };
	AUTO_BUF path = BUF_INIT;

	if (d && S_ISREG(st->st_mode))
		return 0;
	buf_addf(&path, "blobs/sha256/%s", name);
	found.name = path.s;
	found.problem = d ? "is no regular file" : "is not named by a digest";
	found.repaired = f->o->repair && put_aside(f, name);
	fsck_tell(f, &found);
	return 0;
}

/* What is left although whoever is alone sweeps tmp/: files of other ids. Others' own is
 * younger than they are. */
static int check_leftovers(struct fsck *f, struct err *e)
{
	int64_t oldest = f->store->opened, other = lock_lowest_shown(f->store->lease);
	AUTO_STRLIST names = STRLIST_INIT;
	AUTO_FREE bool *gone = NULL;
	int rc = 0;

	if (other >= 0 && other < oldest)
		oldest = other;
	for (size_t i = 0; i < f->list.items.len; i++)
		if (f->list.items.at[i].kind == GC_LEFTOVERS &&
		    f->list.items.at[i].used < oldest)
			strlist_add(&names, f->list.items.at[i].name);
	gone = mem_alloc(names.len + 1);
	if (f->o->repair && names.len)
		rc = f->list.rooms->remove(f->list.rooms->self, GC_LEFTOVERS, &names,
		                           INT64_MAX, gone, e);
	for (size_t i = 0; i < names.len; i++) {
		AUTO_BUF path = BUF_INIT;

		buf_addf(&path, "tmp/%s", names.at[i]);
		fsck_tell(f, &(struct fsck_finding){
				     .kind = "leftover",
				     .name = path.s,
				     .problem = "was left by a killed process",
				     .repaired = gone[i] });
	}
	return rc;
}

/* --- Blobs ------------------------------------------------------------------------- */

struct reading {
	struct fsck *f;
	struct gc_item *item;
};

static void damaged(struct fsck *f, struct gc_item *item)
{
	struct fsck_finding found = { .kind = "blob",
		                      .problem = "its bytes are not those of its name" };
	char text[DIGEST_TEXT];

	item->damaged = true;
	found.name = digest_text(&item->digest, text);
	found.repaired = f->o->repair && put_aside(f, item->name);
	fsck_tell(f, &found);
}

static void read_blob(void *arg)
{
	struct reading *r = arg;
	struct fsck *f = r->f;
	bool whole = true;
	struct err e;
	int rc = 0;

	if (!stopped(f))
		rc = blobs_check(f->look, &r->item->digest, &whole, &e);
	pthread_mutex_lock(&f->lock);
	if (rc < 0 && e.code != ERR_NOT_FOUND && !f->failed) { /* gc may have taken it */
		f->failed = true;
		f->why = e;
	}
	if (rc == 0 && !whole)
		damaged(f, r->item);
	f->read += r->item->size;
	progress_bytes(f->o->progress, NULL, "check blobs", f->read, f->report->bytes);
	pthread_mutex_unlock(&f->lock);
}

static int check_blobs(struct fsck *f, struct err *e)
{
	size_t n = f->list.n_blobs;
	AUTO_FREE struct reading *all = mem_alloc((n + 1) * sizeof(*all));
	struct pool *pool;

	f->report->blobs = (int64_t)n;
	for (size_t i = 0; i < n; i++)
		f->report->bytes += f->list.items.at[i].size;
	progress_begin(f->o->progress, NULL, "check blobs", f->report->bytes);
	pool = pool_new(f->o->threads);
	for (size_t i = 0; i < n; i++) {
		all[i] = (struct reading){ f, &f->list.items.at[i] };
		pool_submit(pool, read_blob, &all[i]);
	}
	pool_free(pool);
	progress_end(f->o->progress, NULL, "check blobs", f->read);
	if (f->failed)
		*e = f->why;
	return f->failed ? -1 : 0;
}

/* --- Records ----------------------------------------------------------------------- */

/* "result 0123456789ab", "image docker.io/library/x:1", "image x of /home/me/project". */
static void name_record(const struct gc_record *rec, struct buf *out)
{
	static const char *const whats[] = { [STATE_RESULTS] = "result",
		                             [STATE_IMAGES] = "image",
		                             [STATE_LAYERS] = "layer" };
	const char *key = rec->key, *nul = memchr(key, '\0', rec->key_len);

	buf_addf(out, "%s ", whats[rec->table]);
	if (rec->table != STATE_IMAGES) {
		for (size_t i = 0; i < rec->key_len && i < 6; i++)
			buf_addf(out, "%02x", (unsigned char)key[i]);
		return;
	}
	if (nul)
		buf_add_printable(out, nul + 1, rec->key_len - (size_t)(nul + 1 - key));
	else
		buf_add_printable(out, key, rec->key_len);
	if (nul) {
		buf_adds(out, " of ");
		buf_add_printable(out, key, (size_t)(nul - key));
	}
}

static bool forget(struct fsck *f, const struct gc_record *rec)
{
	struct err ignored;

	return f->o->repair && state_put(f->store->state, rec->table, rec->key,
	                                 rec->key_len, NULL, 0, &ignored) == 0;
}

static bool has_bad_table(const struct fsck *f, const struct gc_record *rec)
{
	const struct fsck_rooms *rooms = f->o->rooms;

	return rec->table == STATE_LAYERS && rec->n &&
	       !rooms->is_table(rooms->self,
	                        &f->list.items.at[f->list.needs.at[rec->first]].digest);
}

static void check_record(struct fsck *f, const struct gc_record *rec)
{
	AUTO_BUF name = BUF_INIT, problem = BUF_INIT;
	struct fsck_finding found = { .kind = "record" };

	if (rec->damaged) {
		(void)!forget(f, rec); /* told with the blob */
		return;
	}
	if (rec->absent && rec->missing)
		buf_addf(&problem, "names %s, which is not there",
		         DIGEST_STR(rec->missing));
	else if (rec->absent)
		buf_adds(&problem, "cannot be read");
	else if (has_bad_table(f, rec))
		buf_adds(&problem, "names what is no table of contents");
	else
		return;
	name_record(rec, &name);
	found.name = name.s;
	found.problem = problem.s;
	found.repaired = forget(f, rec);
	fsck_tell(f, &found);
}

static int check_records(struct fsck *f, struct err *e)
{
	if (gc_list_records(&f->list, f->store, -1, e) < 0)
		return -1;
	f->report->records = (int64_t)f->list.records.len;
	for (size_t i = 0; i < f->list.records.len && !stopped(f); i++)
		check_record(f, &f->list.records.at[i]);
	return 0;
}

/* ----------------------------------------------------------------------------------- */

static int check_all(struct fsck *f, struct err *e)
{
	const struct fsck_rooms *rooms = f->o->rooms;

	check_modes(f);
	if (blobs_each(f->look, check_name, f, e) < 0 ||
	    gc_list_read(&f->list, f->store, e) < 0 || check_leftovers(f, e) < 0 ||
	    check_blobs(f, e) < 0 || check_records(f, e) < 0)
		return -1;
	if (!stopped(f) && rooms->unpacked(rooms->self, f, f->o->repair, e) < 0)
		return -1;
	return stopped(f) ? err_set(e, ERR_CANCELLED, "interrupted") : 0;
}

int fsck_run(struct store *s, const struct fsck_options *o, struct fsck_report *r,
             struct err *e)
{
	struct fsck f = { .store = s, .o = o, .report = r };
	int rc;

	memset(r, 0, sizeof(*r));
	if (blobs_open(&f.look, s->dir, true, e) < 0)
		return -1;
	pthread_mutex_init(&f.lock, NULL);
	gc_list_init(&f.list, o->rooms->gc);
	rc = check_all(&f, e);
	gc_list_fini(&f.list);
	pthread_mutex_destroy(&f.lock);
	blobs_close(f.look);
	return rc < 0 ? err_wrap(e, "fsck") : 0;
}

#ifndef BUILD_RUN_TIMES_H
#define BUILD_RUN_TIMES_H

/* Times of files in run steps with cache directories. All files that we put into layers
 * have the same time, so to make, ninja and cargo, which compare times with those of what
 * they keep in the cache, nothing would ever have changed. So a file shows the time at
 * which its content changed as that cache saw it. Private to build/. */
#include "build/run.h"
#include "sandbox/lift.h"

/* A regular file that the command sees. */
struct timed_file {
	const char *path;              /* inside, without leading slash */
	const struct toc_entry *entry; /* of a layer's file: what it is; else NULL */
	const char *staged; /* of one that was put beside: where, below the store; else
	                       NULL */
	struct digest identity; /* another one means that it changed */
	int64_t own;            /* time that it has, in nanoseconds, */
	int64_t shown;          /* and is to have */
};

/* Gives the files of this recipe's layers, and those that `m` staged, their times, by
 * putting the layers' into the upper directory where the time is another. To be called
 * last, just before the command runs. Without caches it does nothing. */
MUST_CHECK int run_times_show(struct run_mounts *m, struct work *w,
                              const struct layers *l, int upper, struct err *e);

/* For what is mounted: a file that is at `path` inside, made below the store as `staged`.
 */
void run_times_stage(struct run_mounts *m, struct work *w, const char *path,
                     const char *staged, const struct toc_entry *t);

/* run_from.c: what a mount names in another target, below the staging directory. *fd is
 * for the caller to close. */
MUST_CHECK int run_from(struct run_mounts *m, struct work *w, const struct run_mount *x,
                        size_t index, int *fd, struct err *e);

/* run_stage.c: files of the project, copied below the staging directory, for a mount;
 * what they are is what the key is of, or it is ERR_CHANGED. *fd is for the caller to
 * close. */
struct staged_as {
	const char *inside; /* where it is mounted */
	const char *staged; /* below the store */
};
struct staged_file {
	struct staged_as as;
	const struct fileset *set;
	const struct project_file *file; /* of it */
};
struct staged_dir {
	struct staged_as as;
	const struct fileset *set;
	const char *source; /* the directory, relative to the context; "" is that */
};
MUST_CHECK int run_stage_file(struct run_mounts *m, struct work *w,
                              const struct staged_file *f, int *fd, struct err *e);
MUST_CHECK int run_stage_dir(struct run_mounts *m, struct work *w,
                             const struct staged_dir *d, int *fd, struct err *e);

/* run_record.c: what one cache has seen, kept beside it. The caller has the record to
 * itself. */
struct run_record {
	const struct used_cache *cache;
	struct store *store;
	bool first;      /* nothing is in the cache, and nothing was */
	struct map seen; /* path → struct run_seen * */
	struct buf was;  /* the file's bytes */
	int64_t newest;  /* of all times in it */
	int64_t fresh;   /* later than all that the cache has; 0: not looked at yet */
	struct arena arena;
};

MUST_CHECK int run_record_load(struct run_record *r, struct store *s,
                               const struct used_cache *c, struct err *e);
void run_record_fini(struct run_record *r);
/* The record beside `dir`, for another machine, on which nothing in the cache says when
 * it was made here: by `newest`. Appends to `out`. */
MUST_CHECK int run_record_export(struct store *s, const char *dir, int64_t newest,
                                 struct buf *out, struct err *e);
/* Puts such a record beside `dir`. ERR_CORRUPT: it is none. */
MUST_CHECK int run_record_import(struct store *s, const char *dir, const struct buf *text,
                                 struct err *e);
/* Raises `shown` of the files, which are sorted by path, and remembers them, all others
 * being forgotten. It is on disk before the command runs: one that fails has used the
 * cache too. */
MUST_CHECK int run_record_update(struct run_record *r, struct timed_file *files, size_t n,
                                 struct err *e);

#endif

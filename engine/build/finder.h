#ifndef BUILD_FINDER_H
#define BUILD_FINDER_H

/* A search for files of the project. Private to fileset.c and fileset_follow.c. */
#include "build/fileset.h"

struct scan_dir;

/* One collection under way. */
struct finder {
	struct fileset *set;
	const struct context *context;
	struct ignore *exclude; /* relative to the source directory */
	bool parents, as_docker;
	bool named;   /* sources are no patterns */
	bool of_rule; /* what commands on the host see: nothing is hidden from them, and
	               * what links lead to is found, too */
	size_t strip; /* with parents: bytes of the path that are left off */
	size_t found;
	/* of the source being looked at: */
	const char *source;      /* as written, for messages */
	struct pattern *pattern; /* NULL: literal */
	size_t keep;             /* bytes of the path in front of what `dest` keeps */
	bool deep;               /* the pattern has `**` */
	bool sees_all;           /* the ignore file hides nothing */
	/* of a rule: */
	struct strlist dirs; /* whose content was taken */
	bool spare_outputs;  /* what rules make is left out */
	/* of the directory that was looked at last: */
	const struct scan_dir *dir;
	const struct stat_place *place;
};

/* A file or directory that is not found on a walk; a file is called `dest`. */
MUST_CHECK int finder_add(struct finder *f, const char *path, const char *dest,
                          const struct stat *st, struct err *e);
/* Appends the path that an open file below the context has there. */
MUST_CHECK int finder_path(const struct finder *f, int fd, struct buf *out,
                           struct err *e);
/* Finds what the links among the files found lead to: a file that a link in the project
 * leads to is found under its own name, what is outside of it becomes the link's digest.
 */
MUST_CHECK int finder_follow(struct finder *f, const struct strings *sources,
                             struct err *e);

#endif

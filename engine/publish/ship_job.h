#ifndef PUBLISH_SHIP_JOB_H
#define PUBLISH_SHIP_JOB_H

/* The private part of ship: one image on its way into one repository. */
#include <pthread.h>

#include "publish/batch.h"
#include "publish/ship.h"

/* A tag on its way. */
struct job_tag {
	struct deploy_tag *out;
	bool plain;
	bool fixed;   /* kept back whatever the registry holds */
	bool written; /* by us */
};

struct job {
	struct ship *ship;
	const struct ship_item *item;
	struct deploy_repo *out;
	struct job_tag *tags;
	struct document root; /* what tags are set to; in the repository already if
	                         `present` */
	bool present;
	bool moot;      /* said of a manifest that will not be there */
	bool settled;   /* each tag holds the image: nothing to do */
	bool no_config; /* the repository has not its configuration, and so not the image
	                 */
};

struct ship {
	const struct ship_options *o;
	struct batch *batch;
	struct job *jobs;
	size_t n;
	int64_t decided;      /* clock_ns() when what tags are to be was decided */
	pthread_mutex_t lock; /* for the amounts */
};

/* Which tags there would be, before the registry is asked. */
MUST_CHECK int job_expect(struct job *j, struct err *e);
/* One HEAD a tag, in parallel over all jobs; marks what is settled. */
MUST_CHECK int ship_look(struct ship *s, struct err *e);
/* Decides the tags of a job that is not settled, by what the repository holds. */
MUST_CHECK int job_decide(struct job *j, struct err *e);
/* The same once more, of what is up by now. */
MUST_CHECK int job_judge(struct job *j, struct err *e);
/* Makes all blobs of all jobs exist where they are needed; of a plan: finds out what that
 * takes. */
MUST_CHECK int ship_blobs(struct ship *s, struct err *e);
/* Sets the tags, then lets floats converge to releases that appeared meanwhile. */
MUST_CHECK int job_tag_all(struct job *j, struct err *e);

/* What the repository holds. Strings and bodies live in the job's arena. */
struct held {
	struct held_tag tag;
	struct document root; /* d.media_type "" if it was not fetched */
};

struct job_held {
	VEC(struct held) at;
};

/* Lists the tags and fetches those that the decision depends on. */
MUST_CHECK int job_hold(struct job *j, struct job_held *h, struct err *e);
void job_held_fini(struct job_held *h);
struct held *job_held_find(const struct job_held *h, const char *tag); /* or NULL */
/* As family_plan wants it; caller frees. */
struct held_tag *job_held_tags(const struct job_held *h);

/* The repository is known to lack that blob. */
bool job_lacks(const struct job *j, const struct digest *d);
struct reference job_ref(const struct job *j, const char *tag);
struct content job_content(const struct job *j, const struct reference *ref);
int job_wrap(const struct job *j, struct err *e); /* names image and repository */

#endif

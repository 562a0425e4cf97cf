#include <string.h>

#include "base/map.h"
#include "image/layout.h"
#include "publish/ahead.h"
#include "publish/ship_job.h"
#include "store/sources.h"

/* More places to mount from are not worth their requests, nor their records. */
enum { MOUNTS_MAX = 3, STREAMS_MAX = 4 };

/* A blob on its way to one registry: to one repository first, from where the others mount
 * it. */
struct load {
	struct ship *ship;
	struct descriptor d;
	bool is_layer;
	bool known;             /* to have been in the first repository */
	VEC(struct job *) jobs; /* one a repository */
};

struct loads {
	struct map by_key; /* "host sha256:…" → struct load * */
	VEC(struct load *) all;
};

static void loads_fini(struct loads *l)
{
	for (size_t i = 0; i < l->all.len; i++) {
		vec_fini(&l->all.at[i]->jobs);
		free(l->all.at[i]);
	}
	vec_fini(&l->all);
	map_fini(&l->by_key);
}

/* The last one: the others mount it from there. */
static void put_first(struct load *l)
{
	struct job **last = &l->jobs.at[l->jobs.len - 1], *j = *last;

	*last = l->jobs.at[0];
	l->jobs.at[0] = j;
}

static void add_load(struct loads *l, struct job *j, const struct descriptor *d,
                     bool is_layer)
{
	AUTO_BUF key = BUF_INIT;
	struct load *load;

	buf_addf(&key, "%s %s", j->item->to.host, DIGEST_STR(&d->digest));
	load = map_get(&l->by_key, key.s);
	if (!load) {
		load = mem_alloc(sizeof(*load));
		load->ship = j->ship;
		load->d = *d;
		load->is_layer = is_layer;
		map_put(&l->by_key, key.s, load);
		vec_push(&l->all, load);
	}
	for (size_t i = 0; i < load->jobs.len; i++)
		if (!strcmp(load->jobs.at[i]->item->to.repo, j->item->to.repo))
			return;
	vec_push(&load->jobs, j);
	if (j->ship->o->ahead &&
	    ahead_goes_to(j->ship->o->ahead, &j->item->to, &d->digest))
		put_first(load);
}

/* What will have to be sent goes first, so that asking for all else takes no time of its
 * own. */
static int find_known(struct load *l, struct err *e)
{
	AUTO_STRLIST known = STRLIST_INIT;

	if (blob_sources_get(l->ship->o->store->state, &l->d.digest, &known, e) < 0)
		return -1;
	l->known = strlist_has(&known, l->jobs.at[0]->out->repo);
	return 0;
}

static int new_and_larger_first(const void *a, const void *b)
{
	const struct load *x = *(struct load *const *)a, *y = *(struct load *const *)b;

	if (x->known != y->known)
		return x->known - y->known;
	return (y->d.size > x->d.size) - (y->d.size < x->d.size);
}

static int collect(struct loads *l, struct ship *s, struct err *e)
{
	*l = (struct loads){ .by_key = MAP_INIT };
	for (size_t i = 0; i < s->n; i++) {
		struct job *j = &s->jobs[i];
		const struct closure *c = j->item->image;

		if (j->present || !c)
			continue;
		for (size_t k = 0; k < c->layers.len; k++)
			add_load(l, j, &c->layers.at[k], true);
		for (size_t k = 0; k < c->configs.len; k++)
			add_load(l, j, &c->configs.at[k], false);
	}
	for (size_t i = 0; i < l->all.len; i++)
		if (find_known(l->all.at[i], e) < 0)
			return -1;
	if (l->all.len)
		qsort(l->all.at, l->all.len, sizeof(*l->all.at), new_and_larger_first);
	return 0;
}

static void add_mount(struct strlist *from, const struct job *j, const char *repo)
{
	if (from->len < MOUNTS_MAX && strcmp(repo, j->item->to.repo) != 0 &&
	    !strlist_has(from, repo))
		strlist_add(from, repo);
}

/* The repository of the base that the image names, as far as it is one of a registry. */
static bool base_repo(const struct job *j, struct reference *out)
{
	const char *name = j->item->image->base_name;
	enum layout_kind kind;
	struct err e;
	char *path = NULL, *tag = NULL;
	bool local;

	if (!name)
		return false;
	local = layout_parse(name, &kind, &path, &tag) != 0;
	free(path);
	free(tag);
	return !local && reference_parse(out, name, &e) == 0;
}

/* Where a blob may be found: repositories of the same host to mount from, and of any host
 * to stream from when the store has it not. */
struct origins {
	struct strlist from;
	bool sure; /* the first of them has it, and nothing tells that it is here, too */
	struct reference streams[STREAMS_MAX];
	size_t n_streams;
};

static void add_origin(struct origins *o, const struct job *j, const struct reference *r)
{
	const struct reference *to = &j->item->to;

	if (!strcmp(r->host, to->host)) {
		add_mount(&o->from, j, r->repo);
		if (!strcmp(r->repo, to->repo))
			return;
	}
	if (o->n_streams < STREAMS_MAX)
		o->streams[o->n_streams++] = *r;
}

static int find_origins(struct origins *o, const struct load *l, const struct job *j,
                        struct err *e)
{
	struct store *store = l->ship->o->store;
	AUTO_STRLIST known = STRLIST_INIT;
	struct reference r;
	struct err ignored;

	*o = (struct origins){ .from = STRLIST_INIT };
	if (j != l->jobs.at[0])
		add_mount(&o->from, j, l->jobs.at[0]->item->to.repo);
	if (j->item->origin)
		add_origin(o, j, j->item->origin);
	if (blob_sources_get(store->state, &l->d.digest, &known, e) < 0)
		return -1;
	o->sure = o->from.len && !strlist_has(&known, j->out->repo);
	for (size_t i = 0; i < known.len; i++)
		if (reference_parse_repo(&r, known.at[i], &ignored) == 0)
			add_origin(o, j, &r);
	if (base_repo(j, &r))
		add_origin(o, j, &r);
	for (size_t i = 0; l->ship->o->others && i < l->ship->o->others->len; i++)
		if (reference_parse_repo(&r, l->ship->o->others->at[i], &ignored) == 0)
			add_origin(o, j, &r);
	return 0;
}

static void account(struct job *j, const struct load *l, enum push_outcome how)
{
	struct deploy_amount *a = how == PUSH_SENT      ? &j->out->sent
	                          : how == PUSH_MOUNTED ? &j->out->mounted
	                                                : &j->out->present;

	pthread_mutex_lock(&j->ship->lock);
	a->blobs++;
	a->bytes += l->d.size;
	pthread_mutex_unlock(&j->ship->lock);
}

/* What we know of origins may be out of date: the next one is asked as long as the bytes
 * are missing. */
static int push_from(const struct load *l, const struct job *j,
                     const struct origins *origins, enum push_outcome *how, struct err *e)
{
	const struct ship_options *o = l->ship->o;
	struct reference ref = job_ref(j, "");
	struct push_blob b = { .d = &l->d,
		               .known = job_lacks(j, &l->d.digest) ? PUSH_ABSENT
		                        : origins->sure            ? PUSH_MOUNTABLE
		                                                   : PUSH_UNKNOWN,
		               .from = &origins->from,
		               .store = o->store->blobs };
	size_t next = 0;
	int rc;

	do {
		b.origin = next < origins->n_streams ? &origins->streams[next] : NULL;
		rc = registry_push_blob(o->registry, &ref, &b, how, e);
	} while (rc < 0 && e->code != ERR_CANCELLED && ++next < origins->n_streams &&
	         !blobs_has(o->store->blobs, &l->d.digest, NULL));
	return rc;
}

/* 1 if one of the repositories that could be mounted from has the blob. */
static int can_mount(const struct load *l, const struct job *j,
                     const struct origins *origins)
{
	int found = 0;

	for (size_t i = 0; found == 0 && i < origins->from.len; i++) {
		struct reference ref = job_ref(j, "");
		struct err ignored;

		memset(ref.repo, 0, sizeof(ref.repo));
		strncpy(ref.repo, origins->from.at[i], sizeof(ref.repo) - 1);
		/* One that may not be asked cannot be mounted from: that is no failure.
		 */
		if (registry_has_blob(l->ship->o->registry, &ref, &l->d, &ignored) > 0)
			found = 1;
	}
	return found;
}

/* As push_from would have it. */
static int probe(const struct load *l, const struct job *j, const struct origins *origins,
                 enum push_outcome *how, struct err *e)
{
	struct reference ref = job_ref(j, "");
	int has = 0;

	*how = PUSH_MOUNTED;
	if (origins->sure)
		return 0;
	if (!job_lacks(j, &l->d.digest))
		has = registry_has_blob(l->ship->o->registry, &ref, &l->d, e);
	if (has)
		*how = PUSH_PRESENT;
	else if (j == l->jobs.at[0] && !can_mount(l, j, origins))
		*how = PUSH_SENT;
	return has < 0 ? -1 : 0;
}

/* Of a plan: only finds out what it would take. */
static int bring(const struct load *l, struct job *j, struct err *e)
{
	struct ahead *ahead = l->ship->o->ahead;
	struct origins origins;
	enum push_outcome how = PUSH_PRESENT;
	struct arrival a = { .there = false };
	int rc;

	if (ahead)
		ahead_wait(ahead, &j->item->to, &l->d.digest, &a);
	if (a.there) {
		account(j, l, a.how);
		return 0;
	}
	/* All retries have been made just now. */
	if (a.why) {
		*e = *a.why;
		return job_wrap(j, e);
	}
	rc = find_origins(&origins, l, j, e);
	if (rc == 0)
		rc = (l->ship->o->plan_only ? probe : push_from)(l, j, &origins, &how, e);
	strlist_fini(&origins.from);
	if (rc < 0)
		return job_wrap(j, e);
	account(j, l, how);
	return 0;
}

struct follower {
	struct load *load;
	struct job *job;
};

static int bring_follower(void *arg, struct err *e)
{
	struct follower f = *(struct follower *)arg;

	free(arg);
	return bring(f.load, f.job, e);
}

static int bring_load(void *arg, struct err *e)
{
	struct load *l = arg;

	if (bring(l, l->jobs.at[0], e) < 0)
		return -1;
	for (size_t i = 1; i < l->jobs.len; i++) {
		struct follower *f = mem_alloc(sizeof(*f));

		*f = (struct follower){ l, l->jobs.at[i] };
		batch_add(l->ship->batch, bring_follower, f);
	}
	return 0;
}

/* For the next deploy, perhaps of another image on the same base. */
static int remember(const struct load *l, struct err *e)
{
	struct state *state = l->ship->o->store->state;
	AUTO_STRLIST known = STRLIST_INIT;

	if (blob_sources_get(state, &l->d.digest, &known, e) < 0)
		return -1;
	for (size_t i = 0; i < l->jobs.len && i < MOUNTS_MAX; i++) {
		const char *repo = l->jobs.at[i]->out->repo;

		if (!strlist_has(&known, repo) &&
		    blob_sources_add(state, &l->d.digest, repo, e) < 0)
			return -1;
	}
	return 0;
}

static void remember_layers(const struct ship *s, const struct loads *l)
{
	struct err why;

	for (size_t i = 0; i < l->all.len; i++) {
		if (!l->all.at[i]->is_layer || remember(l->all.at[i], &why) == 0)
			continue;
		/* Only the next deploy's speed depends on it. */
		progress_warning(s->o->progress, "%s", why.msg);
		break;
	}
}

/* What is up already is counted and not asked for. */
static void account_present(struct ship *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct job *j = &s->jobs[i];
		const struct closure *c = j->item->image;

		if (!j->present || !c)
			continue;
		for (size_t k = 0; k < c->layers.len + c->configs.len; k++) {
			const struct descriptor *d =
				k < c->layers.len ? &c->layers.at[k]
						  : &c->configs.at[k - c->layers.len];

			j->out->present.blobs++;
			j->out->present.bytes += d->size;
		}
	}
}

int ship_blobs(struct ship *s, struct err *e)
{
	struct loads l;
	int rc;

	account_present(s);
	rc = collect(&l, s, e);
	for (size_t i = 0; rc == 0 && i < l.all.len; i++)
		batch_add(s->batch, bring_load, l.all.at[i]);
	if (rc == 0)
		rc = batch_wait(s->batch, e);
	if (rc == 0 && !s->o->plan_only)
		remember_layers(s, &l);
	loads_fini(&l);
	return rc;
}

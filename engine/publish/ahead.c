#include "publish/ahead.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "publish/batch.h"
#include "publish/deploy.h"
#include "store/sources.h"

enum { SENT_AT_ONCE = 4, SOURCES_ASKED = 3 };

/* A repository that an image goes to. */
struct place_to {
	const struct target *image;
	struct reference ref;
	char *name;         /* "host/repo" */
	char *fixed;        /* a tag that must not be there yet, or NULL */
	bool asked, closed; /* guarded by `asking` */
	pthread_mutex_t asking;
};

/* A layer on its way into one. */
struct parcel {
	struct ahead *ahead;
	struct place_to *to;
	struct descriptor d;
	enum { PARCEL_WAITING, PARCEL_COMING, PARCEL_THERE, PARCEL_MISSING } state;
	enum push_outcome how;
	struct err *why; /* it is missing, if that was tried; else NULL */
};

struct ahead {
	struct ship_options o;
	struct place_to *places;
	size_t n;
	struct batch *batch;
	pthread_mutex_t lock; /* guards what follows, and the parcels */
	pthread_cond_t came;
	bool over;          /* what has not begun is left out */
	struct map parcels; /* "host sha256:…" → struct parcel * */
	struct err rotten;  /* the first that was; code 0: none was */
};

/* --- Where to
 * --------------------------------------------------------------------------- */

static bool has_check(const struct recipe *r, const struct target *image)
{
	for (size_t i = 0; i < r->n_targets; i++)
		if (r->targets[i]->kind == TARGET_CHECK && r->targets[i]->image == image)
			return true;
	return false;
}

/* The full tag of a release that never changes: if it is there, there is nothing to do,
 * or it is an error. */
static char *fixed_tag(const struct publish *p)
{
	const struct digest none = { { 0 } };
	struct family_options o;
	struct tag_plan plan;
	struct err ignored;
	char *tag = NULL;

	if (!publish_family(p, &o) || !o.immutable ||
	    family_plan(&plan, &o, &none, NULL, 0, &ignored) < 0)
		return NULL;
	for (size_t i = 0; i < plan.n && !tag; i++)
		if (!plan.at[i].floating)
			tag = mem_strdup(plan.at[i].tag);
	tag_plan_fini(&plan);
	return tag;
}

static void add_places(struct ahead *a, const struct target *image)
{
	const struct strings *repos = &image->publish->repos;
	struct err ignored;

	for (size_t i = 0; i < repos->n; i++) {
		struct place_to *to = &a->places[a->n];

		*to = (struct place_to){ .image = image };
		if (reference_parse_repo(&to->ref, repos->at[i], &ignored) < 0)
			continue;
		to->name = reference_repo_text(&to->ref);
		to->fixed = fixed_tag(image->publish);
		pthread_mutex_init(&to->asking, NULL);
		a->n++;
	}
}

struct ahead *ahead_new(const struct recipe *r, struct target *const *images, size_t n,
                        const struct ship_options *o)
{
	struct ahead *a = mem_alloc(sizeof(*a));
	size_t most = 0;

	a->o = *o;
	for (size_t i = 0; i < n; i++)
		most += images[i]->publish->repos.n;
	a->places = mem_alloc((most + 1) * sizeof(*a->places));
	for (size_t i = 0; i < n; i++)
		if (!has_check(r, images[i]))
			add_places(a, images[i]);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->came, NULL);
	return a;
}

/* --- Sending
 * ---------------------------------------------------------------------------- */

static bool is_closed(struct ahead *a, struct place_to *to)
{
	struct reference ref = to->ref;
	struct descriptor d;
	struct err e;
	bool closed;

	pthread_mutex_lock(&to->asking);
	if (!to->asked && to->fixed) {
		snprintf(ref.tag, sizeof(ref.tag), "%s", to->fixed);
		to->closed = registry_head_manifest(a->o.registry, &ref, &d, &e) == 0 ||
		             e.code != ERR_NOT_FOUND;
	}
	to->asked = true;
	closed = to->closed;
	pthread_mutex_unlock(&to->asking);
	return closed;
}

/* What was refused once would be refused again. */
static void close_place(struct place_to *to)
{
	pthread_mutex_lock(&to->asking);
	to->asked = to->closed = true;
	pthread_mutex_unlock(&to->asking);
}

static int push(struct parcel *p, enum push_outcome *how, struct err *e)
{
	struct ahead *a = p->ahead;
	struct state *state = a->o.store->state;
	AUTO_STRLIST known = STRLIST_INIT, from = STRLIST_INIT;
	struct push_blob b = { .d = &p->d, .from = &from, .store = a->o.store->blobs };
	struct reference r;
	struct err ignored;

	/* Only speed depends on what is known of other repositories. */
	(void)!blob_sources_get(state, &p->d.digest, &known, &ignored);
	for (size_t i = 0; i < known.len && from.len < SOURCES_ASKED; i++)
		if (reference_parse_repo(&r, known.at[i], &ignored) == 0 &&
		    !strcmp(r.host, p->to->ref.host) &&
		    strcmp(r.repo, p->to->ref.repo) != 0)
			strlist_add(&from, r.repo);
	if (registry_push_blob(a->o.registry, &p->to->ref, &b, how, e) < 0)
		return -1;
	/* Other images of the deploy mount it from here. */
	(void)!blob_sources_add(state, &p->d.digest, p->to->name, &ignored);
	return 0;
}

static bool begin(struct parcel *p)
{
	struct ahead *a = p->ahead;
	bool begun;

	pthread_mutex_lock(&a->lock);
	if (p->state == PARCEL_WAITING)
		p->state = a->over ? PARCEL_MISSING : PARCEL_COMING;
	begun = p->state == PARCEL_COMING;
	pthread_mutex_unlock(&a->lock);
	return begun;
}

/* Never the batch's failure: ship() asks for each. */
static int send_one(void *arg, struct err *e)
{
	struct parcel *p = arg;
	struct ahead *a = p->ahead;
	enum push_outcome how = PUSH_SENT;
	bool tried, there;

	if (!begin(p))
		return 0;
	tried = !is_closed(a, p->to);
	there = tried && push(p, &how, e) == 0;
	if (!there)
		close_place(p->to);
	pthread_mutex_lock(&a->lock);
	if (tried && !there) {
		p->why = mem_alloc(sizeof(*p->why));
		*p->why = *e;
		if (e->code == ERR_CORRUPT && !a->rotten.code)
			a->rotten = *e;
	}
	p->how = how;
	p->state = there ? PARCEL_THERE : PARCEL_MISSING;
	pthread_cond_broadcast(&a->came);
	pthread_mutex_unlock(&a->lock);
	return 0;
}

static void parcel_key(struct buf *out, const struct reference *to,
                       const struct digest *d)
{
	buf_addf(out, "%s %s", to->host, DIGEST_STR(d));
}

/* A parcel that is new; NULL: it is on its way. Once to a host: from there the others
 * mount it. */
static struct parcel *add_parcel(struct ahead *a, struct place_to *to,
                                 const struct descriptor *layer)
{
	AUTO_BUF key = BUF_INIT;
	struct parcel *p = NULL;

	parcel_key(&key, &to->ref, &layer->digest);
	pthread_mutex_lock(&a->lock);
	if (!map_get(&a->parcels, key.s)) {
		p = mem_alloc(sizeof(*p));
		*p = (struct parcel){ .ahead = a, .to = to, .d = *layer };
		map_put(&a->parcels, key.s, p);
	}
	if (!a->batch)
		a->batch = batch_new(SENT_AT_ONCE);
	pthread_mutex_unlock(&a->lock);
	return p;
}

static void send(struct ahead *a, struct place_to *to, const struct descriptor *layer)
{
	struct parcel *p = add_parcel(a, to, layer);

	/* Without the lock: where no thread can be had it is done at once. */
	if (p)
		batch_add(a->batch, send_one, p);
}

void ahead_layer(void *ahead, const struct target *image, const struct descriptor *layer)
{
	struct ahead *a = ahead;

	for (size_t i = 0; i < a->n; i++)
		if (a->places[i].image == image)
			send(a, &a->places[i], layer);
}

/* With the lock held. NULL: none. */
static struct parcel *find_parcel(const struct ahead *a, const struct reference *to,
                                  const struct digest *layer)
{
	AUTO_BUF key = BUF_INIT;
	struct parcel *p;

	parcel_key(&key, to, layer);
	p = map_get(&a->parcels, key.s);
	return p && !strcmp(p->to->ref.repo, to->repo) ? p : NULL;
}

bool ahead_goes_to(struct ahead *a, const struct reference *to,
                   const struct digest *layer)
{
	bool goes;

	pthread_mutex_lock(&a->lock);
	goes = find_parcel(a, to, layer) != NULL;
	pthread_mutex_unlock(&a->lock);
	return goes;
}

void ahead_explain(struct ahead *a, struct err *e)
{
	struct err none;

	pthread_mutex_lock(&a->lock);
	if (a->rotten.code && e->code == ERR_NOT_FOUND)
		*e = a->rotten;
	if (e->code == ERR_CORRUPT)
		a->over = true;
	pthread_mutex_unlock(&a->lock);
	if (e->code != ERR_CORRUPT || !a->batch)
		return;
	(void)!batch_wait(a->batch, &none); /* send_one never fails */
	a->rotten.code = 0;
}

void ahead_wait(struct ahead *a, const struct reference *to, const struct digest *layer,
                struct arrival *out)
{
	struct parcel *p;
	bool waited;

	*out = (struct arrival){ .there = false };
	pthread_mutex_lock(&a->lock);
	a->over = true;
	p = find_parcel(a, to, layer);
	if (p && p->state == PARCEL_WAITING)
		p->state = PARCEL_MISSING;
	waited = p && p->state == PARCEL_COMING;
	while (p && p->state == PARCEL_COMING)
		pthread_cond_wait(&a->came, &a->lock);
	if (p)
		*out = (struct arrival){ p->state == PARCEL_THERE, p->how,
			                 waited ? p->why : NULL };
	pthread_mutex_unlock(&a->lock);
}

void ahead_free(struct ahead *a)
{
	struct err none;

	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->over = true;
	pthread_mutex_unlock(&a->lock);
	if (a->batch)
		(void)!batch_wait(a->batch, &none); /* send_one never fails */
	batch_free(a->batch);
	for (size_t i = 0; i < a->n; i++) {
		pthread_mutex_destroy(&a->places[i].asking);
		free(a->places[i].name);
		free(a->places[i].fixed);
	}
	free(a->places);
	for (size_t i = 0; i < a->parcels.len; i++) {
		struct parcel *p = a->parcels.at[i].value;

		free(p->why);
		free(p);
	}
	map_fini(&a->parcels);
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->came);
	free(a);
}

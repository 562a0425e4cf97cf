#include "publish/ship.h"

#include <string.h>

#include "os/clock.h"
#include "publish/ship_job.h"

enum { CONNECTIONS = 8 };

static void init_job(struct ship *s, struct job *j, const struct ship_item *item,
                     struct deploy_repo *out)
{
	AUTO_FREE char *repo = reference_repo_text(&item->to);
	const struct closure *c = item->image;

	*j = (struct job){ .ship = s, .item = item, .out = out };
	out->arena = (struct arena)ARENA_INIT;
	out->image = arena_strdup(&out->arena, item->name);
	out->repo = arena_strdup(&out->arena, repo);
	if (item->unknown)
		out->unknown = arena_strdup(&out->arena, item->unknown);
	if (!c || !c->documents.len)
		return;
	out->has_root = true;
	out->root = c->root;
	j->root = c->documents.at[c->documents.len - 1];
}

static int decide(void *arg, struct err *e)
{
	return job_decide(arg, e);
}

static int tag(void *arg, struct err *e)
{
	return job_tag_all(arg, e);
}

/* Parts before the root, so that at no time a manifest refers to what is not there. */
static int push_documents(void *arg, struct err *e)
{
	struct job *j = arg;
	const struct closure *c = j->item->image;

	for (size_t i = 0; i < c->documents.len; i++) {
		const struct document *doc = &c->documents.at[i];
		struct reference ref = job_ref(j, "");

		ref.has_digest = true;
		ref.digest = doc->d.digest;
		if (registry_put_manifest(j->ship->o->registry, &ref, &doc->d, doc->body,
		                          e) < 0)
			return job_wrap(j, e);
		j->out->sent.bytes += doc->d.size;
	}
	return 0;
}

static int each_job(struct ship *s, int (*fn)(void *job, struct err *e),
                    bool (*needs)(const struct job *j), struct err *e)
{
	for (size_t i = 0; i < s->n; i++)
		if (!needs || needs(&s->jobs[i]))
			batch_add(s->batch, fn, &s->jobs[i]);
	return batch_wait(s->batch, e);
}

static void expect_documents(struct job *j)
{
	const struct closure *c = j->item->image;

	for (size_t i = 0; c && !j->present && i < c->documents.len; i++)
		j->out->sent.bytes += c->documents.at[i].d.size;
}

static bool is_absent(const struct job *j)
{
	return !j->present && j->item->image;
}

static bool is_open(const struct job *j)
{
	return !j->settled;
}

/* Where the same image is there already in another manifest, which stays, nothing is said
 * of ours. */
static void find_moot(struct ship *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct job *j = &s->jobs[i];

		for (size_t k = 0; j->item->about && k < s->n; k++) {
			const struct job *of = &s->jobs[k];

			if (of->item->image == j->item->about &&
			    !strcmp(of->out->repo, j->out->repo) && of->out->has_root &&
			    !digest_equal(&of->root.d.digest,
			                  &j->item->about->root.digest))
				j->moot = j->present = true;
		}
	}
}

/* What did not come about is not told of. */
static void leave_out_moot(const struct ship *s, struct deploy_result *out)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (s->jobs[i].moot)
			arena_fini(&out->at[i].arena);
		else
			out->at[kept++] = out->at[i];
	}
	out->n = kept;
}

static int run(struct ship *s, struct err *e)
{
	for (size_t i = 0; i < s->n; i++) {
		registry_make_needed(s->o->registry, &s->jobs[i].item->to);
		if (job_expect(&s->jobs[i], e) < 0)
			return -1;
	}
	if (ship_look(s, e) < 0 || each_job(s, decide, is_open, e) < 0)
		return -1;
	s->decided = clock_ns();
	find_moot(s);
	if (ship_blobs(s, e) < 0)
		return -1;
	for (size_t i = 0; s->o->plan_only && i < s->n; i++)
		expect_documents(&s->jobs[i]);
	if (s->o->plan_only)
		return 0;
	if (each_job(s, push_documents, is_absent, e) < 0)
		return -1;
	return each_job(s, tag, is_open, e);
}

static int check_items(const struct ship_item *items, size_t n,
                       const struct ship_options *o, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if ((!items[i].image || !items[i].image->documents.len) && !o->plan_only)
			return err_set(e, ERR_NOT_FOUND, "image '%s' is not built",
			               items[i].name);
	return 0;
}

int ship(struct deploy_result *out, const struct ship_item *items, size_t n,
         const struct ship_options *o, struct err *e)
{
	struct ship s = { .o = o, .n = n };
	int rc;

	*out = (struct deploy_result){ 0 };
	if (check_items(items, n, o, e) < 0)
		return -1;
	out->at = mem_alloc((n + 1) * sizeof(*out->at));
	out->n = n;
	s.jobs = mem_alloc((n + 1) * sizeof(*s.jobs));
	for (size_t i = 0; i < n; i++)
		init_job(&s, &s.jobs[i], &items[i], &out->at[i]);
	pthread_mutex_init(&s.lock, NULL);
	s.batch = batch_new(o->connections > 0 ? o->connections : CONNECTIONS);
	rc = run(&s, e);
	batch_free(s.batch);
	pthread_mutex_destroy(&s.lock);
	if (rc == 0)
		leave_out_moot(&s, out);
	else
		deploy_result_fini(out);
	free(s.jobs);
	return rc;
}

void deploy_result_fini(struct deploy_result *r)
{
	for (size_t i = 0; i < r->n; i++)
		arena_fini(&r->at[i].arena);
	free(r->at);
	*r = (struct deploy_result){ 0 };
}

bool deploy_repo_changed(const struct deploy_repo *r)
{
	for (size_t i = 0; i < r->n_tags; i++)
		if (r->tags[i].action == TAG_CREATE || r->tags[i].action == TAG_MOVE)
			return true;
	return r->sent.blobs || r->mounted.blobs;
}

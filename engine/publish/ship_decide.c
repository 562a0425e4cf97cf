#include <string.h>

#include "publish/ship_job.h"

void job_held_fini(struct job_held *h)
{
	vec_fini(&h->at);
}

struct held *job_held_find(const struct job_held *h, const char *tag)
{
	for (size_t i = 0; i < h->at.len; i++)
		if (!strcmp(h->at.at[i].tag.tag, tag))
			return &h->at.at[i];
	return NULL;
}

struct held_tag *job_held_tags(const struct job_held *h)
{
	struct held_tag *tags = mem_alloc((h->at.len + 1) * sizeof(*tags));

	for (size_t i = 0; i < h->at.len; i++)
		tags[i] = h->at.at[i].tag;
	return tags;
}

static void hold(struct job_held *h, const char *tag)
{
	struct held held = { .tag = { .tag = tag } };

	vec_push(&h->at, held);
}

/* Releases of the same repository that this very deploy publishes count as if they were
 * there: else 3.11 and 3.12 would both take "latest", and one give it back. */
static void hold_siblings(const struct job *j, struct job_held *h)
{
	for (size_t i = 0; i < j->ship->n; i++) {
		const struct job *other = &j->ship->jobs[i];

		if (other == j || !other->item->family ||
		    strcmp(other->out->repo, j->out->repo))
			continue;
		for (size_t k = 0; k < other->out->n_tags; k++) {
			const struct deploy_tag *t = &other->out->tags[k];

			if (!t->floating && !job_held_find(h, t->tag))
				hold(h, t->tag);
		}
	}
}

static const struct job_tag *find_tag(const struct job *j, const char *tag)
{
	for (size_t i = 0; i < j->out->n_tags; i++)
		if (!strcmp(j->out->tags[i].tag, tag))
			return &j->tags[i];
	return NULL;
}

static void forget(struct job_held *h, struct held *held)
{
	const struct held *end = h->at.at + h->at.len--;

	memmove(held, held + 1, (size_t)(end - held - 1) * sizeof(*held));
}

/* Whether the tag is known to hold what we are publishing, without asking again. */
static bool is_ours(const struct job *j, const struct job_tag *t)
{
	const struct digest *root = &j->root.d.digest;

	return t && j->out->has_root &&
	       ((t->written && digest_equal(&t->out->now, root)) ||
	        (t->out->has_old && digest_equal(&t->out->old, root)));
}

/* What no one can make sense of is known to be there, and no more: a full tag is then not
 * ours, and a float may be moved. That nothing came at all is another matter. */
static bool is_unreadable(const struct document *root, const struct err *e)
{
	return e->code == ERR_LIMIT ||
	       (!digest_is_zero(&root->d.digest) &&
	        (e->code == ERR_INVALID || e->code == ERR_CORRUPT));
}

/* What was damaged on its way is asked for once more: it may be a newer release. */
static int peek(struct document *root, struct job *j, const struct content *from,
                bool deep, struct err *e)
{
	int rc = closure_peek(root, &j->out->arena, from, deep, e);

	if (rc < 0 && e->code == ERR_CORRUPT)
		rc = closure_peek(root, &j->out->arena, from, deep, e);
	return rc;
}

static int learn(struct job *j, struct job_held *h, const char *tag, struct err *e)
{
	struct held *held = job_held_find(h, tag);
	const struct job_tag *own = find_tag(j, tag);
	struct reference ref = job_ref(j, tag);
	struct content from = job_content(j, &ref);
	bool deep = own && !own->out->floating;
	struct document root;

	if (!held)
		return 0;
	if (is_ours(j, own)) {
		held->tag.image = j->root.image;
		held->tag.root = j->root.d.digest;
		held->tag.version = j->root.version;
		return 0;
	}
	if (peek(&root, j, &from, deep, e) == 0) {
		held->root = root;
		held->tag.image = root.image;
		held->tag.root = root.d.digest;
		held->tag.version = root.version;
		return 0;
	}
	if (e->code == ERR_NOT_FOUND)
		forget(h, held); /* deleted since it was listed */
	else if (!is_unreadable(&root, e))
		return err_wrap(e, "tag %s", tag);
	return 0;
}

static int want(const struct job *j, const struct job_held *h, struct strlist *out,
                struct err *e)
{
	AUTO_FREE struct held_tag *tags = job_held_tags(h);

	return family_wants(j->item->family, tags, h->at.len, out, e);
}

/* A registry that cannot list its tags says that there are none. Then only what a float
 * holds tells of newer releases, if it was made by who notes the version. */
static int check_unlisted(const struct job *j, const struct job_held *h, struct err *e)
{
	for (size_t i = 0; i < j->out->n_tags; i++) {
		const struct job_tag *own = &j->tags[i];
		const struct held *held = job_held_find(h, own->out->tag);

		if (!held || own->plain || !own->out->floating || held->tag.version ||
		    is_ours(j, own))
			continue;
		return err_set(e, ERR_DENIED,
		               "the registry lists no tags, though %s is there: whether "
		               "it holds a newer release cannot be told; leave it out "
		               "by levels, or set it by imgmake copy",
		               own->out->tag);
	}
	return 0;
}

int job_hold(struct job *j, struct job_held *h, struct err *e)
{
	AUTO_STRLIST tags = STRLIST_INIT;
	AUTO_STRLIST wants = STRLIST_INIT;
	struct reference ref = job_ref(j, "");

	*h = (struct job_held){ 0 };
	if (registry_list_tags(j->ship->o->registry, &ref, &tags, e) < 0)
		return -1;
	for (size_t i = 0; i < tags.len; i++)
		hold(h, arena_strdup(&j->out->arena, tags.at[i]));
	/* A list may lag behind what a HEAD has shown. */
	for (size_t i = 0; i < j->out->n_tags; i++)
		if (j->out->tags[i].has_old && !job_held_find(h, j->out->tags[i].tag))
			hold(h, j->out->tags[i].tag);
	if (want(j, h, &wants, e) < 0)
		return -1;
	for (size_t i = 0; i < wants.len; i++)
		if (learn(j, h, wants.at[i], e) < 0)
			return -1;
	if (!tags.len && check_unlisted(j, h, e) < 0)
		return -1;
	hold_siblings(j, h);
	return 0;
}

/* A full tag that holds the same image in another manifest (compressed anew, say) stays;
 * then that manifest is what the floats are set to, and nothing need be sent. */
static void adopt(struct job *j, const struct job_held *h, const struct tag_plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct held *held = job_held_find(h, p->at[i].tag);

		if (p->at[i].floating || p->at[i].action != TAG_SAME || !held ||
		    !held->root.d.media_type[0])
			continue;
		j->root = held->root;
		j->out->root = j->root.d;
		j->present = true;
		return;
	}
}

static void set_action(struct deploy_tag *t, enum tag_action action, const char *reason)
{
	t->action = action;
	t->reason = reason;
}

/* By manifest: an image of another version may have the same configuration. */
static void judge_by_digest(struct job *j, struct deploy_tag *t)
{
	bool same = t->has_old && j->out->has_root &&
	            digest_equal(&t->old, &j->root.d.digest);

	if (t->action == TAG_KEEP)
		return;
	if (same)
		set_action(t, TAG_SAME, "is this image already");
	else if (t->floating && t->has_old && t->action != TAG_MOVE)
		set_action(t, TAG_MOVE, "the same files, in another manifest");
	t->has_now = j->out->has_root;
	t->now = t->action == TAG_SAME ? t->old : j->root.d.digest;
	j->present = j->present || same;
}

static int plan_family(struct job *j, struct tag_plan *p, const struct job_held *h,
                       struct err *e)
{
	AUTO_FREE struct held_tag *tags = job_held_tags(h);
	const struct digest none = { { 0 } };
	struct family_options o = *j->item->family;

	if (!j->out->has_root)
		o.immutable = false; /* whether it is the same image is not known yet */
	return family_plan(p, &o, j->out->has_root ? &j->root.image : &none, tags,
	                   h->at.len, e);
}

static void take_decision(struct job *j, const struct tag_decision *d)
{
	const struct job_tag *t = find_tag(j, d->tag);

	if (!t || t->fixed)
		return;
	set_action(t->out, d->action, arena_strdup(&j->out->arena, d->reason));
	if (!j->out->has_root && !d->floating && d->action == TAG_MOVE &&
	    j->item->family->immutable)
		set_action(t->out, TAG_KEEP,
		           "exists: an error, should the image turn out to be another");
}

static int decide_family(struct job *j, struct err *e)
{
	struct job_held h;
	struct tag_plan p;
	int rc = job_hold(j, &h, e);

	if (rc == 0)
		rc = plan_family(j, &p, &h, e);
	if (rc == 0) {
		if (j->out->has_root)
			adopt(j, &h, &p);
		for (size_t i = 0; i < p.n; i++)
			take_decision(j, &p.at[i]);
		tag_plan_fini(&p);
	}
	job_held_fini(&h);
	return rc;
}

/* The configuration of an image that is one manifest; else NULL. */
static const struct descriptor *own_config(const struct job *j)
{
	const struct closure *c = j->item->image;

	if (c->documents.len != 1 || c->configs.len != 1 ||
	    media_class(c->configs.at[0].media_type) != MEDIA_CONFIG)
		return NULL;
	return &c->configs.at[0];
}

bool job_lacks(const struct job *j, const struct digest *d)
{
	return j->no_config && digest_equal(&own_config(j)->digest, d);
}

/* What has no tags is said of an image, and a deploy that was killed may have put it, but
 * not on the list of its kind, which some registries leave to us. Where the tags of all
 * images are right, nobody was killed. */
static bool may_be_unlisted(const struct job *j)
{
	for (size_t i = 0; !j->out->n_tags && i < j->ship->n; i++) {
		const struct job *other = &j->ship->jobs[i];

		if (other->out->n_tags && !other->settled &&
		    !strcmp(other->out->repo, j->out->repo))
			return true;
	}
	return false;
}

/* Whether all of the image is up already, under whatever name. Its configuration is asked
 * for first: it has to be, anyway, when the image is not there. */
static int find_present(struct job *j, struct err *e)
{
	struct reference ref = job_ref(j, "");
	const struct descriptor *config;
	struct descriptor d;
	int has = 1;

	if (j->present || !j->out->has_root || may_be_unlisted(j))
		return 0;
	config = own_config(j);
	if (config)
		has = registry_has_blob(j->ship->o->registry, &ref, config, e);
	j->no_config = !has;
	if (has <= 0)
		return has;
	ref.has_digest = true;
	ref.digest = j->root.d.digest;
	if (registry_head_manifest(j->ship->o->registry, &ref, &d, e) == 0)
		j->present = true;
	else if (e->code != ERR_NOT_FOUND)
		return -1;
	return 0;
}

int job_judge(struct job *j, struct err *e)
{
	if (j->item->family && decide_family(j, e) < 0)
		return -1;
	for (size_t i = 0; i < j->out->n_tags; i++) {
		struct deploy_tag *t = &j->out->tags[i];

		if (j->tags[i].plain && t->has_old)
			set_action(t, TAG_MOVE, "a moving tag");
		judge_by_digest(j, t);
	}
	return 0;
}

int job_decide(struct job *j, struct err *e)
{
	if (j->settled)
		return 0;
	return job_judge(j, e) < 0 || find_present(j, e) < 0 ? job_wrap(j, e) : 0;
}

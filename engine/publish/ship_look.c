#include <string.h>

#include "publish/ship_job.h"

struct reference job_ref(const struct job *j, const char *tag)
{
	struct reference ref = j->item->to;

	ref.has_digest = false;
	memset(ref.tag, 0, sizeof(ref.tag));
	strncpy(ref.tag, tag, sizeof(ref.tag) - 1);
	return ref;
}

struct content job_content(const struct job *j, const struct reference *ref)
{
	return (struct content){ .registry = j->ship->o->registry, .ref = ref };
}

int job_wrap(const struct job *j, struct err *e)
{
	return err_wrap(e, "image '%s': %s", j->item->name, j->out->repo);
}

static void add_tag(struct job *j, const char *tag, enum tag_action action,
                    const char *reason, bool floating, bool plain)
{
	struct deploy_repo *out = j->out;
	struct deploy_tag *t = &out->tags[out->n_tags];

	for (size_t i = 0; i < out->n_tags; i++)
		if (!strcmp(out->tags[i].tag, tag))
			return;
	*t = (struct deploy_tag){
		.tag = arena_strdup(&out->arena, tag),
		.reason = arena_strdup(&out->arena, reason),
		.action = action,
		.floating = floating,
	};
	j->tags[out->n_tags++] = (struct job_tag){
		.out = t,
		.plain = plain,
		.fixed = action == TAG_KEEP,
	};
}

int job_expect(struct job *j, struct err *e)
{
	const struct digest none = { { 0 } };
	const struct ship_item *item = j->item;
	struct tag_plan p = { .arena = ARENA_INIT };
	size_t n;

	if (item->family && family_plan(&p, item->family, &none, NULL, 0, e) < 0)
		return err_wrap(e, "image '%s'", item->name);
	n = p.n + item->n_tags + 1;
	j->out->tags = arena_alloc(&j->out->arena, n * sizeof(*j->out->tags));
	j->tags = arena_alloc(&j->out->arena, n * sizeof(*j->tags));
	for (size_t i = 0; i < p.n; i++)
		add_tag(j, p.at[i].tag, p.at[i].action, p.at[i].reason, p.at[i].floating,
		        false);
	tag_plan_fini(&p);
	for (size_t i = 0; i < item->n_tags; i++)
		add_tag(j, item->tags[i], TAG_CREATE, "new", true, true);
	return 0;
}

struct look {
	struct job *job;
	struct job_tag *tag;
};

static int look_at(void *arg, struct err *e)
{
	struct look *l = arg;
	struct job *j = l->job;
	struct deploy_tag *t = l->tag->out;
	struct reference ref = job_ref(j, t->tag);
	struct descriptor d;

	if (registry_head_manifest(j->ship->o->registry, &ref, &d, e) < 0)
		return e->code == ERR_NOT_FOUND ? 0 : job_wrap(j, e);
	t->has_old = true;
	t->old = d.digest;
	return 0;
}

/* All tags that we would set hold our very manifest: no decision could change that. */
static void settle(struct job *j)
{
	struct deploy_repo *out = j->out;

	if (!out->has_root || !out->n_tags)
		return;
	for (size_t i = 0; i < out->n_tags; i++)
		if (!j->tags[i].fixed &&
		    (!out->tags[i].has_old ||
		     !digest_equal(&out->tags[i].old, &out->root.digest)))
			return;
	j->settled = true;
	j->present = true;
	for (size_t i = 0; i < out->n_tags; i++) {
		struct deploy_tag *t = &out->tags[i];

		if (j->tags[i].fixed)
			continue;
		t->action = TAG_SAME;
		t->reason = "is this image already";
		t->now = t->old;
		t->has_now = true;
	}
}

int ship_look(struct ship *s, struct err *e)
{
	AUTO_FREE struct look *looks = NULL;
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->jobs[i].out->n_tags;
	looks = mem_alloc((n + 1) * sizeof(*looks));
	n = 0;
	for (size_t i = 0; i < s->n; i++) {
		for (size_t k = 0; k < s->jobs[i].out->n_tags; k++) {
			looks[n] = (struct look){ &s->jobs[i], &s->jobs[i].tags[k] };
			batch_add(s->batch, look_at, &looks[n++]);
		}
	}
	if (batch_wait(s->batch, e) < 0)
		return -1;
	for (size_t i = 0; i < s->n; i++)
		settle(&s->jobs[i]);
	return 0;
}

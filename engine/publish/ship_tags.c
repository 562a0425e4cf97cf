#include "publish/ship_job.h"

#include <string.h>

#include "os/clock.h"

/* Releases that appear while others are being pushed: more rounds than this are a war. */
enum { ROUNDS_MAX = 5 };
/* What was decided longer ago is decided again before floats are written. */
#define FRESH_NS 2000000000LL

static void note_written(struct job *j, struct job_tag *t, const struct document *root)
{
	t->out->now = root->d.digest;
	t->out->has_now = true;
	t->written = true;
	progress_step(j->ship->o->progress, j->item->name, "%s:%s is %s", j->out->repo,
	              t->out->tag, DIGEST_STR(&root->d.digest));
}

static int put_tag(struct job *j, struct job_tag *t, const struct document *root,
                   struct err *e)
{
	struct reference ref = job_ref(j, t->out->tag);

	if (registry_put_manifest(j->ship->o->registry, &ref, &root->d, root->body, e) <
	    0)
		return err_wrap(e, "tag %s", t->out->tag);
	note_written(j, t, root);
	return 0;
}

/* Uploading took its time: a full tag that has come into being is not overwritten unseen.
 * 1: it holds this image; 0: it does not exist. */
static int check_full(struct job *j, const struct job_tag *t, struct err *e)
{
	struct reference ref = job_ref(j, t->out->tag);
	struct content from = job_content(j, &ref);
	struct descriptor d;
	struct document held;

	if (registry_head_manifest(j->ship->o->registry, &ref, &d, e) < 0)
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (digest_equal(&d.digest, &j->root.d.digest))
		return 1;
	if (closure_peek(&held, &j->out->arena, &from, true, e) < 0)
		return -1;
	if (digest_equal(&held.image, &j->root.image))
		return 1;
	return err_set(e, ERR_EXISTS, "tag %s was set to another image (%s) meanwhile",
	               t->out->tag, DIGEST_STR(&d.digest));
}

/* 1: to be written; 0: not. */
static int wants_writing(struct job *j, const struct job_tag *t, struct err *e)
{
	const struct family_options *family = j->item->family;
	int held;

	if (t->out->action != TAG_CREATE && t->out->action != TAG_MOVE)
		return 0;
	if (t->out->floating || t->plain || !family->immutable)
		return 1;
	held = check_full(j, t, e);
	return held < 0 ? -1 : !held;
}

static int set_tags(struct job *j, struct err *e)
{
	AUTO_FREE bool *chosen = mem_alloc((j->out->n_tags + 1) * sizeof(*chosen));
	const struct document *root = &j->root;
	struct reference ref = job_ref(j, "");
	AUTO_STRLIST names = STRLIST_INIT;

	for (size_t i = 0; i < j->out->n_tags; i++) {
		int wanted = wants_writing(j, &j->tags[i], e);

		if (wanted < 0)
			return -1;
		chosen[i] = wanted;
		if (wanted)
			strlist_add(&names, j->out->tags[i].tag);
	}
	if (names.len && registry_put_tags(j->ship->o->registry, &ref, &root->d,
	                                   root->body, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < j->out->n_tags; i++)
		if (chosen[i])
			note_written(j, &j->tags[i], root);
	return 0;
}

/* Sets one of our floats to the image of `holder`, which is newer. 1: it moved. */
static int follow(struct job *j, struct job_tag *t, const struct tag_decision *d,
                  const struct job_held *h, struct err *e)
{
	const struct held *held = job_held_find(h, d->holder);
	struct reference ref = job_ref(j, d->holder);
	struct content from = job_content(j, &ref);
	struct document root = held ? held->root : (struct document){ 0 };

	if (!root.d.media_type[0] &&
	    closure_peek(&root, &j->out->arena, &from, false, e) < 0)
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (digest_equal(&root.d.digest, &t->out->now))
		return 0;
	if (put_tag(j, t, &root, e) < 0)
		return -1;
	t->out->reason = arena_printf(&j->out->arena, "%s appeared meanwhile", d->holder);
	return 1;
}

static struct job_tag *find_written(const struct job *j, const char *tag)
{
	for (size_t i = 0; i < j->out->n_tags; i++)
		if (j->tags[i].written && !strcmp(j->tags[i].out->tag, tag))
			return &j->tags[i];
	return NULL;
}

/* Returns how many floats moved, or -1. */
static int follow_all(struct job *j, const struct tag_plan *p, const struct job_held *h,
                      struct err *e)
{
	int moved = 0;

	for (size_t i = 0; i < p->n; i++) {
		struct job_tag *t =
			p->at[i].holder ? find_written(j, p->at[i].tag) : NULL;
		int rc = t ? follow(j, t, &p->at[i], h, e) : 0;

		if (rc < 0)
			return -1;
		moved += rc;
	}
	return moved;
}

static int converge_once(struct job *j, struct err *e)
{
	AUTO_FREE struct held_tag *tags = NULL;
	struct family_options o = *j->item->family;
	struct job_held h;
	struct tag_plan p;
	int moved = job_hold(j, &h, e);

	o.immutable = false; /* the full tags are as they were to be */
	tags = job_held_tags(&h);
	if (moved == 0)
		moved = family_plan(&p, &o, &j->root.image, tags, h.at.len, e);
	if (moved == 0) {
		moved = follow_all(j, &p, &h, e);
		tag_plan_fini(&p);
	}
	job_held_fini(&h);
	return moved;
}

static bool wrote_float(const struct job *j)
{
	for (size_t i = 0; i < j->out->n_tags; i++)
		if (j->tags[i].written && j->tags[i].out->floating && !j->tags[i].plain)
			return true;
	return false;
}

/* Who writes a float last has seen all full tags that were there before it: full tags go
 * first, and everyone lists after writing. */
static int converge(struct job *j, struct err *e)
{
	int moved = 1;

	for (int round = 0; moved > 0 && round < ROUNDS_MAX; round++)
		moved = wrote_float(j) ? converge_once(j, e) : 0;
	return moved < 0 ? -1 : 0;
}

/* A release that has appeared while ours was uploaded is not to lose its floats, not even
 * until we converge to it: we might be killed before. */
static int judge_again(struct job *j, struct err *e)
{
	if (!j->item->family || clock_ns() - j->ship->decided < FRESH_NS)
		return 0;
	return job_judge(j, e);
}

int job_tag_all(struct job *j, struct err *e)
{
	int rc = judge_again(j, e);

	if (rc == 0)
		rc = set_tags(j, e);
	if (rc == 0 && j->item->family)
		rc = converge(j, e);
	return rc < 0 ? job_wrap(j, e) : 0;
}

/* Plan keys: what a node depends on, with nothing built or downloaded. */
#include <string.h>
#include <time.h>

#include "base/amount.h"
#include "base/path.h"
#include "build/fileset.h"
#include "build/git.h"
#include "build/node.h"
#include "build/run.h"
#include "store/gc.h"

/* Raised when the same recipe and files may come to another result. Each operation has
 * its own beside it, so that a change to one does not rebuild the others. */
enum { PLAN_VERSION = 2, JOIN_VERSION = 1 };

static const int op_version[] = {
	[STEP_COPY] = 3,    [STEP_WRITE] = 1,   [STEP_MKDIR] = 1,  [STEP_SYMLINK] = 1,
	[STEP_REMOVE] = 1,  [STEP_UNPACK] = 3,  [STEP_ADD] = 4,    [STEP_GIT] = 3,
	[STEP_LAYER] = 1,   [STEP_ACCOUNT] = 1, [STEP_RUN] = 2,    [STEP_ENV] = 1,
	[STEP_WORKDIR] = 1, [STEP_USER] = 1,    [STEP_CONFIG] = 1,
};

bool node_touched(const struct node *n, const char *path)
{
	AUTO_BUF clean = BUF_INIT;

	if (!n->build->o.n_touched)
		return false;
	path_clean(&clean, path);
	for (size_t i = 0; i < n->build->o.n_touched; i++) {
		const char *want = n->build->o.touched[i];
		size_t dir = strlen(n->target->dir);

		if (dir && (strncmp(want, n->target->dir, dir) != 0 || want[dir] != '/'))
			continue;
		if (!strcmp(want + (dir ? dir + 1 : 0), clean.s))
			return true;
	}
	return false;
}

void node_force(struct node *n, const char *path)
{
	AUTO_BUF clean = BUF_INIT;

	path_clean(&clean, path);
	n->forced = arena_printf(&n->arena, "-W names %s", clean.s);
}

void node_force_after(struct node *n, const struct node *first)
{
	n->forced =
		arena_printf(&n->arena, "%s %s has to be made first",
	                     target_kind_text(first->target->kind), first->target->name);
}

void node_inherit_force(struct node *n)
{
	for (size_t i = 0; i < n->needs.len; i++) {
		if (!n->forced)
			n->forced = n->needs.at[i]->forced;
		n->guessed |= n->needs.at[i]->guessed;
	}
}

void node_force_touched(struct node *n, const struct fileset *set)
{
	for (size_t i = 0; n->build->o.n_touched && i < set->files.len; i++)
		if (node_touched(n, set->files.at[i].path))
			node_force(n, set->files.at[i].path);
}

static int key_copy(struct node *n, const struct step_copy *c, struct step_plan *p,
                    struct err *e)
{
	struct key *k = &n->key;

	key_strings(k, "sources", c->sources.at, c->sources.n);
	key_str(k, "to", c->to);
	key_strings(k, "exclude", c->exclude.at, c->exclude.n);
	key_int(k, "mode", c->mode);
	key_int(k, "dir_mode", c->dir_mode);
	if (*c->chmod || *c->dir_chmod) {
		key_str(k, "mode in letters", c->chmod);
		key_str(k, "dir_mode in letters", c->dir_chmod);
	}
	key_str(k, "owner", c->owner);
	key_int(k, "parents", c->parents);
	if (c->as_docker)
		key_int(k, "as docker", 1);
	key_int(k, "mtime", c->mtime);
	key_int(k, "mtime value", c->mtime_value);
	key_int(k, "split", c->split);
	if (c->split != SPLIT_NEVER)
		key_int(k, "room for later layers", p->later_layers);
	if (c->from) {
		const struct node *from = node_of(n, c->from);

		key_digest(k, arena_printf(k->arena, "from %s", c->from->name),
		           &from->plan_key);
		return 0;
	}
	if (!p->files && fileset_collect(&p->files, n->context, c, e) < 0)
		return -1;
	if (fileset_hash(p->files, n->context, e) < 0)
		return -1;
	fileset_key(p->files, c->mtime == MTIME_KEEP, k);
	node_force_touched(n, p->files);
	return 0;
}

static int key_unpack(struct node *n, const struct step_unpack *u, struct step_plan *p,
                      struct err *e)
{
	key_str(&n->key, "source", u->source);
	key_str(&n->key, "to", u->to);
	key_str(&n->key, "owner", u->owner);
	if (u->from) {
		const struct node *from = node_of(n, u->from);

		key_digest(&n->key, arena_printf(n->key.arena, "from %s", u->from->name),
		           &from->plan_key);
		return 0;
	}
	if (file_digest(n->context, u->source, &p->source, e) < 0)
		return -1;
	if (node_touched(n, u->source))
		node_force(n, u->source);
	key_digest(&n->key, arena_printf(n->key.arena, "file %s", u->source), &p->source);
	return 0;
}

/* The digest of a download: given, or locked, or (first use) not known before it is
 * fetched. */
static int key_add(struct node *n, const struct step_add *a, struct step_plan *p,
                   struct err *e)
{
	int known = 1;

	key_str(&n->key, "url", a->url);
	key_str(&n->key, "to", a->to);
	key_int(&n->key, "mode", a->mode);
	key_str(&n->key, "owner", a->owner);
	key_int(&n->key, "unpack", a->unpack);
	if (*a->sha256) {
		if (digest_parse(&p->source,
		                 arena_printf(&n->arena, "sha256:%s", a->sha256), e) < 0)
			return -1;
	} else {
		known = locked_digest(n->build, LOCK_DOWNLOADS, a->url, &p->source, e);
	}
	if (known < 0)
		return -1;
	if (!known && n->build->o.lock_strict)
		return err_set(
			e, ERR_INVALID,
			"%s is not in Imagefile.lock; give sha256 =, or build once without "
			"--lock=strict and commit the lock file",
			a->url);
	if (!known && !n->build->o.dry_run)
		known = download_lock(n->build, a->url, &p->source, e) < 0 ? -1 : 1;
	if (known < 0)
		return -1;
	key_digest(&n->key, arena_printf(n->key.arena, "content of %s", a->url),
	           &p->source);
	return 0;
}

/* The commit, which says what the files are wherever they come from. */
static int key_git(struct node *n, const struct step_git *s, struct step_plan *p,
                   struct err *e)
{
	struct key *k = &n->key;
	struct git_commit *c = arena_alloc(&n->arena, sizeof(*c));

	if (git_plan(n, s, c, e) < 0)
		return -1;
	p->git = c;
	key_str(k,
	        arena_printf(k->arena, "commit of %s%s%s", s->url, *s->ref ? "#" : "",
	                     s->ref),
	        c->hash);
	key_str(k, "subdir", s->subdir);
	key_str(k, "to", s->to);
	key_int(k, "mode", s->mode);
	key_str(k, "mode in letters", s->chmod);
	key_str(k, "owner", s->owner);
	key_strings(k, "exclude", s->exclude.at, s->exclude.n);
	key_int(k, "no_submodules", s->no_submodules);
	if (s->keep_dir) {
		key_str(k, "name", c->name);
		key_str(k, "tag", c->tag);
	}
	return 0;
}

static void name_member(struct key *k, const char *name, const json_t *value)
{
	AUTO_BUF text = BUF_INIT;
	struct component c;

	if (json_is_string(value))
		buf_adds(&text, json_string_value(value));
	else
		json_write(&text, value);
	c.text = text.s;
	digest_of(&c.digest, text.s, text.len);
	key_name(k, name, &c);
}

/* Those of labels and the like one by one. */
static void list_members(const void *config, struct key *k)
{
	const char *name, *inner;
	json_t *value, *of;

	json_object_foreach((json_t *)config, name, value)
	{
		if (!json_is_object(value))
			name_member(k, name, value);
		json_object_foreach(value, inner, of)
			name_member(k, arena_printf(k->arena, "%s %s", name, inner), of);
	}
}

static void key_config(struct node *n, const json_t *config)
{
	AUTO_BUF text = BUF_INIT;
	struct digest whole;

	json_write_pretty(&text, config); /* keys sorted */
	digest_of(&whole, text.s, text.len);
	key_many(&n->key, "members", &whole, list_members, config);
}

/* Short text is shown as it is. */
static void key_text(struct key *k, const struct step_write *w)
{
	enum { SHORT = 80 };
	const char *text = w->text;
	struct digest d;

	digest_of(&d, text, w->size);
	if (w->size > SHORT || memchr(text, '\0', w->size))
		text = NULL;
	key_shown(k, "text", &d, text ? arena_strndup(k->arena, text, w->size) : NULL);
}

static int key_step(struct node *n, const struct step *s, struct step_plan *p,
                    struct err *e);

/* "step 3 (copy): " */
static const char *step_scope(struct arena *a, const char *before, size_t number,
                              const char *what)
{
	char space[INT_TEXT], *out, *p;
	const char *digits = int_text((int64_t)number, space);
	size_t len = strlen(before), kind = strlen(what);

	p = out = arena_alloc(a, len + sizeof(space) + kind + 6);
	p = mempcpy(p, before, len);
	p = stpcpy(p, digits);
	p = mempcpy(p, " (", 2);
	p = mempcpy(p, what, kind);
	memcpy(p, "): ", 4);
	return out;
}

static int key_layer(struct node *n, const struct step *s, struct step_plan *p,
                     struct err *e)
{
	const char *outer = n->key.scope;
	int rc = 0;

	p->inner = arena_alloc(&n->arena, s->layer.n * sizeof(*p->inner));
	key_int(&n->key, "steps", (int64_t)s->layer.n);
	if (step_runs(s))
		key_int(&n->key, "joined", JOIN_VERSION);
	for (size_t i = 0; rc == 0 && i < s->layer.n; i++) {
		const struct step *inner = &s->layer.at[i];
		const char *what = step_kind_text(inner->kind);

		key_scope(&n->key, step_scope(&n->arena, outer, i + 1, what));
		rc = key_step(n, inner, &p->inner[i], e);
		if (rc < 0)
			err_wrap(e, PLACE_FMT "%s", PLACE_ARG(inner->place), what);
	}
	key_scope(&n->key, outer);
	return rc;
}

static void key_account(struct key *k, const struct step_account *a)
{
	key_str(k, "user", a->user);
	key_str(k, "group", a->group);
	key_int(k, "uid", a->uid);
	key_int(k, "gid", a->gid);
	key_int(k, "system", a->system);
	key_str(k, "comment", a->comment);
	key_str(k, "shell", a->shell);
	key_str(k, "home", a->home);
	key_strings(k, "groups", a->groups.at, a->groups.n);
}

static int key_arguments(struct node *n, const struct step *s, struct step_plan *p,
                         struct err *e)
{
	struct key *k = &n->key;

	switch (s->kind) {
	case STEP_COPY: return key_copy(n, &s->copy, p, e);
	case STEP_UNPACK: return key_unpack(n, &s->unpack, p, e);
	case STEP_ADD: return key_add(n, &s->add, p, e);
	case STEP_GIT: return key_git(n, &s->git, p, e);
	case STEP_LAYER: return key_layer(n, s, p, e);
	case STEP_WRITE:
		key_str(k, "path", s->write.path);
		if (s->write.name)
			key_str(k, "name", s->write.name);
		key_text(k, &s->write);
		key_int(k, "mode", s->write.mode);
		key_str(k, "owner", s->write.owner);
		return 0;
	case STEP_MKDIR:
		key_strings(k, "paths", s->mkdir.paths.at, s->mkdir.paths.n);
		key_int(k, "mode", s->mkdir.mode);
		key_str(k, "owner", s->mkdir.owner);
		if (s->mkdir.keep)
			key_int(k, "keep", 1);
		return 0;
	case STEP_SYMLINK:
		key_str(k, "path", s->symlink.path);
		key_str(k, "target", s->symlink.target);
		key_str(k, "owner", s->symlink.owner);
		return 0;
	case STEP_REMOVE:
		key_strings(k, "paths", s->remove.paths.at, s->remove.paths.n);
		key_int(k, "optional", s->remove.optional);
		return 0;
	case STEP_ACCOUNT: key_account(k, &s->account); return 0;
	case STEP_ENV:
		for (size_t i = 0; i < s->env.n; i++)
			key_str(k, s->env.at[i].key, s->env.at[i].value);
		return 0;
	case STEP_WORKDIR: key_str(k, "path", s->workdir); return 0;
	case STEP_USER: key_str(k, "user", s->user); return 0;
	case STEP_CONFIG: key_config(n, s->config); return 0;
	case STEP_RUN: return run_key(n, &s->run, p, e);
	}
	return 0;
}

static int key_step(struct node *n, const struct step *s, struct step_plan *p,
                    struct err *e)
{
	key_str(&n->key, "step", step_kind_text(s->kind));
	key_int(&n->key, "version", op_version[s->kind]);
	if (key_arguments(n, s, p, e) < 0)
		return -1;
	/* It is for making the step, and who configures only is not looked up by it. */
	if (step_changes_files(s) && (!n->build->o.dry_run || n->build->o.foresee))
		key_value(&n->key, &p->plan_key);
	return 0;
}

/* A base's key is of its content; people know it by its manifest. Not in the base's own
 * arena: all that stand on it may be planned at once. */
static const char *base_shown(const struct node *n, struct arena *a)
{
	char text[DIGEST_TEXT];

	return n->target->kind == TARGET_BASE && n->has_result
	               ? arena_strdup(a, digest_text(&n->base_digest, text))
	               : NULL;
}

static void key_start(struct node *n)
{
	char text[100];
	struct key *k = &n->key;

	key_scope(k, "");
	key_int(k, "imgmake plan", PLAN_VERSION);
	key_str(k, "platform", platform_text(&n->platform, text));
	if (n->target->on_build_platform)
		key_str(k, "for platform", platform_text(&n->for_platform, text));
	key_int(k, "compression", n->target->compression);
	if (n->build->o.has_epoch)
		key_int(k, "SOURCE_DATE_EPOCH", n->build->o.epoch);
	if (n->from)
		key_shown(k, arena_printf(k->arena, "from %s", n->target->from->name),
		          &n->from->plan_key, base_shown(n->from, k->arena));
	else
		key_str(k, "from", "scratch");
}

int node_taken(struct node *n, const struct digest *what, const char **out, struct err *e)
{
	int64_t when = 0;
	int taken = gc_when(n->build->o.store, what, &when, e);
	time_t t = (time_t)when;
	char day[16];
	struct tm tm;

	*out = NULL;
	if (taken > 0 && gmtime_r(&t, &tm) && strftime(day, sizeof(day), "%Y-%m-%d", &tm))
		*out = arena_printf(&n->arena, "removed by gc on %s", day);
	return taken < 0 ? -1 : 0;
}

/* What became of a result that is not there, if that is known. */
static int find_lost(struct node *n, bool gone, struct err *e)
{
	if (node_taken(n, &n->plan_key, &n->lost, e) < 0)
		return -1;
	if (!n->lost && gone)
		n->lost = "its result is no longer in the store";
	return 0;
}

/* Looks the whole node up: one record, and the blobs that it names. */
static int look_up(struct node *n, struct err *e)
{
	bool gone;
	int found;

	n->status = STATUS_STALE;
	if (n->build->o.always || n->forced)
		return 0;
	found = node_find_result(n, &gone, e);
	if (found < 0)
		return -1;
	n->has_result = found > 0;
	if (found > 0)
		n->status = STATUS_CURRENT;
	return found > 0 ? 0 : find_lost(n, gone, e);
}

/* How many layers the steps behind this one may make, coarsely: one more step is to
 * change nothing in those before it. */
static int64_t later_layers(const struct target *t, size_t step)
{
	enum { COARSE = 8 };
	int64_t n = 0;

	while (++step < t->n_steps)
		n += step_changes_files(&t->steps[step]);
	return (n + COARSE - 1) / COARSE * COARSE;
}

/* -o: what came of the files as they were. Not under today's key, which is of others. */
static int look_up_old(struct node *n, struct err *e)
{
	struct digest today = n->plan_key, then;
	int only = why_only_old(n, &then, e);

	if (only <= 0)
		return only;
	n->plan_key = then;
	if (look_up(n, e) < 0)
		return -1;
	if (n->status == STATUS_STALE)
		n->plan_key = today;
	return 0;
}

/* Hashes the files of all copies side by side, where they are not known. Whatever goes
 * wrong is met again, and told, when its step's turn comes. */
static void hash_ahead(struct node *n)
{
	const struct target *t = n->target;
	struct hashing *h = hashing_begin(n->context);
	struct err ignored;

	for (size_t i = 0; i < t->n_steps; i++) {
		const struct step *s = &t->steps[i];

		if (s->kind == STEP_COPY && !s->copy.from &&
		    fileset_collect(&n->steps[i].files, n->context, &s->copy, &ignored) ==
		            0)
			hashing_add(h, n->steps[i].files);
	}
	(void)!hashing_end(h, &ignored);
}

bool node_may_look(const struct node *n)
{
	const struct target *t = n->target;

	if (!n->from || n->from->target->kind != TARGET_BASE ||
	    n->from->plan.state == JOB_DONE || n->needs.len != 1)
		return false;
	for (size_t i = 0; i < t->n_steps; i++)
		if (t->steps[i].kind == STEP_COPY && !t->steps[i].copy.from)
			return true;
	return false;
}

void node_look(struct node *n)
{
	n->steps = arena_alloc(&n->arena, (n->target->n_steps + 1) * sizeof(*n->steps));
	hash_ahead(n);
}

static int plan_filesystem(struct node *n, struct err *e)
{
	const struct target *t = n->target;
	const struct node *first;

	node_inherit_force(n);
	for (size_t i = 0; i < n->needs.len; i++)
		n->flat |= n->needs.at[i]->flat;
	if (n->from) {
		n->base_name = n->from->base_name;
		n->base_digest = n->from->base_digest;
	}
	first = node_waits_for(n);
	if (first) {
		n->status = STATUS_STALE;
		n->guessed = true;
		node_force_after(n, first);
		key_end(&n->key, &n->plan_key);
		return 0;
	}
	key_start(n);
	if (!n->steps)
		node_look(n);
	for (size_t i = 0; i < t->n_steps; i++) {
		const struct step *s = &t->steps[i];
		const char *what = step_kind_text(s->kind);

		key_scope(&n->key, step_scope(&n->arena, "step ", i + 1, what));
		n->steps[i].later_layers = later_layers(t, i);
		if (key_step(n, s, &n->steps[i], e) < 0)
			return err_wrap(e, PLACE_FMT "%s '%s': %s", PLACE_ARG(s->place),
			                target_kind_text(t->kind), t->name, what);
	}
	/* Tells the whole from its last step, which has a record of its own. */
	key_scope(&n->key, "");
	key_int(&n->key, "steps", (int64_t)t->n_steps);
	key_end(&n->key, &n->plan_key);
	if (look_up(n, e) < 0 || (n->status == STATUS_STALE && look_up_old(n, e) < 0))
		return -1;
	if (n->status == STATUS_CURRENT && t->kind == TARGET_IMAGE)
		return node_assemble(n, !n->build->o.dry_run, e);
	return 0;
}

int node_plan(struct node *n, struct err *e)
{
	switch (n->target->kind) {
	case TARGET_BASE:
		if (base_plan(n, e) < 0)
			return err_wrap(e, PLACE_FMT "base '%s'",
			                PLACE_ARG(n->target->place), n->target->name);
		return 0;
	case TARGET_STAGE:
	case TARGET_IMAGE: return plan_filesystem(n, e);
	case TARGET_FILE:
	case TARGET_TASK: return rule_plan(n, e);
	case TARGET_CHECK:
		return 0; /* looked at by build_check, when its image is there */
	}
	return 0;
}

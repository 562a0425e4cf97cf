/* Host rules: `file` as in make, but by content; `task` always. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "build/fileset.h"
#include "build/node.h"
#include "build/rule.h"
#include "build/rule_output.h"
#include "build/sbom.h"
#include "image/sbom.h"
#include "os/fd.h"
#include "os/file.h"
#include "store/state.h"

enum { READ_LIMIT = 16 << 20 }; /* of what recipes read */

struct rule_state {
	struct digest key, output;
};

static int load_state(const struct node *n, struct rule_state *out, struct err *e)
{
	AUTO_BUF key = BUF_INIT, data = BUF_INIT;
	int found;

	rule_state_key(n, &key);
	found = state_get(n->build->o.store->state, STATE_RULES, key.s, key.len, &data,
	                  e);
	if (found <= 0)
		return found;
	if (data.len != sizeof(*out))
		return 0;
	memcpy(out, data.s, sizeof(*out));
	return 1;
}

static int save_state(const struct node *n, const struct rule_state *s,
                      const struct buf *files, struct err *e)
{
	AUTO_BUF key = BUF_INIT, beside = BUF_INIT;
	struct state_change changes[2] = {
		{ .table = STATE_RULES, .data = s, .n = sizeof(*s) },
		{ .table = STATE_RULES, .data = files->s, .n = files->len },
	};

	rule_state_key(n, &key);
	rule_files_key(n, &beside);
	changes[0].key = key.s;
	changes[0].key_len = key.len;
	changes[1].key = beside.s;
	changes[1].key_len = beside.len;
	return state_change(n->build->o.store->state, changes, 2, e);
}

static void key_file(struct key *k, const struct project_file *f, const struct digest *d)
{
	const char *text = file_shown(f, false, k->arena).text;

	if (!text)
		text = arena_strdup(k->arena, DIGEST_STR(&f->digest));
	key_shown(k, arena_printf(k->arena, "file %s", f->path), d, text);
}

/* A pattern may match what the rule makes: that is none of what it is made of. */
static int key_deps(struct node *n, struct key *k, struct err *e)
{
	AUTO_BUF own = BUF_INIT;
	struct fileset *set;
	struct hasher h;
	struct digest d;

	if (!n->target->deps.n)
		return 0;
	if (rule_find_deps(n, &set, e) < 0)
		return -1;
	path_clean(&own, rule_output_path(n));
	for (size_t i = 0; i < set->files.len; i++) {
		const struct project_file *f = &set->files.at[i];

		if (n->target->kind == TARGET_FILE && path_below(f->path, own.s))
			continue;
		hasher_init(&h);
		rule_hash_file(&h, f);
		hasher_end(&h, &d);
		key_file(k, f, &d);
		if (node_touched(n, f->path))
			node_force(n, f->path);
	}
	fileset_free(set);
	return 0;
}

/* What was made of files that changed meanwhile is of neither what they were nor what
 * they are. */
static int check_deps(struct node *n, struct err *e)
{
	AUTO(arena_fini) struct arena a = ARENA_INIT;
	AUTO(key_fini) struct key now;
	const struct component *then = n->key.parts.at + n->target->run.n;
	size_t left = n->key.parts.len - n->target->run.n;

	key_init(&now, &a);
	if (key_deps(n, &now, e) < 0)
		return err_wrap(e, "its deps changed while its command ran");
	for (size_t i = 0; i < now.parts.len; i++) {
		const struct component *c = &now.parts.at[i];

		if (i < left && !strcmp(c->name, then[i].name) &&
		    digest_equal(&c->digest, &then[i].digest))
			continue;
		return err_set(e, ERR_FAILED,
		               "its deps changed while its command ran: %s", c->name + 5);
	}
	if (left > now.parts.len && !strncmp(then[now.parts.len].name, "file ", 5))
		return err_set(e, ERR_FAILED,
		               "its deps changed while its command ran: %s",
		               then[now.parts.len].name + 5);
	return 0;
}

/* What a target that is named by itself, and not by a path, has come to. */
static int key_need(struct node *n, const struct target *t, struct err *e)
{
	const char *name = arena_printf(&n->arena, "needs %s", t->name);

	for (size_t i = 0; i < n->needs.len; i++) {
		struct node *need = n->needs.at[i];
		struct digest d = need->plan_key;

		if (need->target != t || t->kind == TARGET_TASK)
			continue;
		if (t->kind == TARGET_FILE && rule_output_digest(need, &d, e) < 0)
			return -1;
		key_digest(&n->key, name,
		           t->kind == TARGET_IMAGE ? &need->manifest.digest : &d);
	}
	return 0;
}

/* The image whose packages the rule lists. */
static struct node *image_of(const struct node *n)
{
	size_t i = 0;

	while (n->needs.at[i]->target != n->target->image)
		i++;
	return n->needs.at[i];
}

static int rule_key(struct node *n, struct err *e)
{
	for (size_t i = 0; i < n->target->run.n; i++)
		key_str(&n->key, arena_printf(&n->arena, "command %zu", i + 1),
		        n->target->run.at[i]);
	if (n->target->image) {
		key_str(&n->key, "sbom", SBOM_VERSION);
		key_str(&n->key, "base", image_of(n)->base_name);
		if (n->build->o.has_epoch)
			key_int(&n->key, "SOURCE_DATE_EPOCH", n->build->o.epoch);
	}
	if (key_deps(n, &n->key, e) < 0)
		return -1;
	for (size_t i = 0; i < n->target->n_needs; i++)
		if (key_need(n, n->target->needs[i], e) < 0)
			return -1;
	key_end(&n->key, &n->plan_key);
	return 0;
}

/* Of the rules that are being made, as the commands see them: names of locks. */
#define MAKING "IMGMAKE_MAKING"

struct rule_lock {
	char name[16];
	int fd;
};

/* Two builds at once must not write one output. */
static int take_lock(struct node *n, struct rule_lock *lock, struct err *e)
{
	const char *making = getenv(MAKING);
	AUTO_BUF key = BUF_INIT;
	struct digest d;

	rule_state_key(n, &key);
	digest_of(&d, key.s, key.len);
	snprintf(lock->name, sizeof(lock->name), "rule-%02x%02x%02x%02x", d.b[0], d.b[1],
	         d.b[2], d.b[3]);
	if (making && strstr(making, lock->name))
		return err_set(e, ERR_INVALID,
		               "its own command asks for it, through another imgmake");
	lock->fd = build_lock_name(n->build, lock->name, n->target->name, e);
	return lock->fd < 0 ? -1 : 0;
}

/* `lock` is NULL for tasks. */
static int run_on_host(struct node *n, const struct rule_lock *lock, struct err *e)
{
	const char *making = getenv(MAKING);
	struct host_command c = { .target = n->target->name,
		                  .lines = &n->target->run,
		                  .dir = n->context->fd };

	if (lock)
		c.variable = arena_printf(&n->arena, MAKING "=%s %s",
		                          making ? making : "", lock->name);
	return host_run(n->build, &c, e);
}

/* Its directory, made if it is not there yet; no link leads out of the project. */
static int open_output_dir(struct node *n, const char *path, struct err *e)
{
	AUTO_FREE char *dir = path_dir(path);
	int fd = file_open_beneath(n->context->fd, dir, O_PATH | O_DIRECTORY, 0);

	if (fd < 0 && errno == ENOENT) {
		if (file_mkdirs(n->context->fd, dir, 0777, e) < 0)
			return -1;
		fd = file_open_beneath(n->context->fd, dir, O_PATH | O_DIRECTORY, 0);
	}
	return fd < 0 ? err_sys(e, "open %s", dir) : fd;
}

/* The rule is no command, but a document of an image. */
static int write_sbom(struct node *n, struct err *e)
{
	const char *path = rule_output_path(n);
	AUTO_BUF text = BUF_INIT;
	AUTO_CLOSE int dir = -1;

	if (node_sbom(image_of(n), &text, e) < 0)
		return -1;
	dir = open_output_dir(n, path, e);
	return dir < 0 ? -1
	               : file_replace(dir, path_base(path), text.s, text.len, 0644, e);
}

/* Recipes are evaluated before anything runs. */
static void warn_of_reads(const struct node *n)
{
	const struct recipe *r = n->build->recipe;

	for (size_t i = 0; i < r->n_inputs; i++) {
		const char *path = r->inputs[i].what + strlen("read ");
		AUTO_BUF text = BUF_INIT;
		struct digest now;
		struct err ignored;

		if (strncmp(r->inputs[i].what, "read ", strlen("read ")) != 0 ||
		    !path_below(path, n->target->output) ||
		    file_read(r->root_fd, path, &text, READ_LIMIT, &ignored) < 0)
			continue;
		digest_of(&now, text.s, text.len);
		if (!digest_equal(&now, &r->inputs[i].digest))
			progress_warning(
				n->build->o.progress,
				"%s was made after the recipe had read it: run imgmake "
				"again, or read what it is made of",
				path);
	}
}

/* Whatever an ignore file hides something from is planned behind its rule. */
static int reload_contexts(struct node *n, struct err *e)
{
	const struct map *all = &n->build->contexts;

	for (size_t i = 0; i < all->len; i++) {
		struct context *c = all->at[i].value;

		if (context_ignores_by(c, n->target->output) &&
		    context_reload(c, n->build->recipe, e) < 0)
			return -1;
	}
	return 0;
}

static int make_output(struct node *n, const struct rule_lock *lock, struct err *e)
{
	struct rule_state s = { .key = n->plan_key };
	const struct target *image = n->target->image;
	AUTO_BUF files = BUF_INIT;

	trace_node(n);
	if (image)
		progress_step(n->build->o.progress, n->target->name,
		              "list packages of %s", image->name);
	else
		progress_step(n->build->o.progress, n->target->name, "run on the host");
	trace_lines(n, &n->target->run);
	if ((image ? write_sbom(n, e) : run_on_host(n, lock, e)) < 0 ||
	    rule_output_take(n, &s.output, &files, e) < 0 || check_deps(n, e) < 0)
		return -1;
	n->status = STATUS_MADE;
	warn_of_reads(n);
	return save_state(n, &s, &files, e) < 0 ? -1 : reload_contexts(n, e);
}

bool rule_needs_task(const struct node *n)
{
	for (size_t i = 0; i < n->needs.len; i++)
		if (n->needs.at[i]->target->kind == TARGET_TASK)
			return true;
	return false;
}

static int is_made_of_the_same(struct node *n, const struct digest *last, struct err *e)
{
	struct digest then;
	int only;

	if (digest_equal(last, &n->plan_key))
		return 1;
	only = why_only_old(n, &then, e);
	return only > 0 ? digest_equal(last, &then) : only;
}

/* Sets the status, and what became of the output. */
static int judge(struct node *n, struct err *e)
{
	struct rule_state last;
	struct digest now;
	int known = load_state(n, &last, e), same, there;

	same = known > 0 ? is_made_of_the_same(n, &last.key, e) : 0;
	there = known > 0 ? rule_output_digest(n, &now, e) : 0;
	if (known < 0 || same < 0 || there < 0)
		return -1;
	n->status = STATUS_STALE;
	n->lost = NULL;
	if (there && !n->forced && !n->build->o.always && !rule_needs_task(n) && same &&
	    digest_equal(&last.output, &now)) {
		n->plan_key = last.key; /* another than today's where -o says so */
		n->status = STATUS_CURRENT;
	} else if (known && !there) {
		n->lost = "its output is not there";
	} else if (known && !digest_equal(&last.output, &now)) {
		n->lost = "its output was changed";
	}
	return 0;
}

static int plan_output(struct node *n, struct err *e)
{
	struct rule_lock lock = { .fd = -1 };
	int rc;

	if (rule_key(n, e) < 0 || judge(n, e) < 0)
		return -1;
	if (n->status == STATUS_CURRENT || n->build->o.dry_run)
		return 0;
	if (take_lock(n, &lock, e) < 0)
		return -1;
	rc = judge(n, e); /* another build may have made it by now */
	if (rc == 0 && n->status == STATUS_STALE)
		rc = make_output(n, &lock, e);
	fd_close(&lock.fd);
	return rc;
}

int rule_plan(struct node *n, struct err *e)
{
	const struct target *t = n->target;
	const struct node *first = node_waits_for(n);
	int rc = 0;

	n->status = STATUS_STALE;
	node_inherit_force(n);
	if (rule_is_old(n->build, t))
		n->status = STATUS_CURRENT;
	else if (t->kind == TARGET_FILE && first)
		node_force_after(n, first);
	else if (t->kind == TARGET_FILE)
		rc = plan_output(n, e);
	return rc < 0 ? err_wrap(e, PLACE_FMT "file '%s'", PLACE_ARG(t->place), t->name)
	              : 0;
}

int task_run(struct node *n, struct err *e)
{
	const struct target *t = n->target;

	trace_node(n);
	trace_lines(n, &t->run);
	if (run_on_host(n, NULL, e) < 0)
		return err_wrap(e, PLACE_FMT "task '%s'", PLACE_ARG(t->place), t->name);
	n->status = STATUS_MADE;
	return 0;
}

/* The directory that an output is in, or -1: there is none in the project. */
static int open_parent(const struct recipe *r, const char *path)
{
	AUTO_FREE char *dir = path_dir(path);

	return file_open_beneath(r->root_fd, dir, O_PATH | O_DIRECTORY, 0);
}

int rule_clean(const struct recipe *r, bool dry_run, struct buf *told, struct err *e)
{
	for (size_t i = 0; i < r->n_targets; i++) {
		const struct target *t = r->targets[i];
		AUTO_CLOSE int dir = t->output ? open_parent(r, t->output) : -1;

		if (dir < 0 || !file_exists(dir, path_base(t->output)))
			continue;
		buf_addf(told, "%s %s\n", dry_run ? "would remove" : "removed",
		         t->output);
		if (!dry_run && file_remove_tree(dir, path_base(t->output), e) < 0)
			return -1;
	}
	return 0;
}

/* Host rules: `file` as in make, but by content; `task` always. */
#include <fcntl.h>
#include <string.h>

#include "base/path.h"
#include "build/fileset.h"
#include "build/node.h"
#include "build/rule.h"
#include "os/file.h"
#include "os/process.h"
#include "store/state.h"

struct rule_state {
	struct digest key, output;
};

static void state_key(const struct node *n, struct buf *out)
{
	buf_adds(out, n->build->recipe->root);
	buf_addc(out, '\0');
	buf_adds(out, n->target->name);
}

static int load_state(const struct node *n, struct rule_state *out, struct err *e)
{
	AUTO_BUF key = BUF_INIT, data = BUF_INIT;
	int found;

	state_key(n, &key);
	found = state_get(n->build->o.store->state, STATE_RULES, key.s, key.len, &data,
	                  e);
	if (found <= 0)
		return found;
	if (data.len != sizeof(*out))
		return 0;
	memcpy(out, data.s, sizeof(*out));
	return 1;
}

static int save_state(const struct node *n, const struct rule_state *s, struct err *e)
{
	AUTO_BUF key = BUF_INIT;

	state_key(n, &key);
	return state_put(n->build->o.store->state, STATE_RULES, key.s, key.len, s,
	                 sizeof(*s), e);
}

/* The output relative to its Imagefile's directory; the name is relative to the
 * project's. */
static const char *output_of(const struct node *n)
{
	const char *name = n->target->name;
	size_t dir = strlen(n->target->dir);

	return path_below(name, n->target->dir) ? name + (dir ? dir + 1 : 0) : name;
}

static int add_files(struct node *n, const struct strings *patterns, struct hasher *h,
                     bool as_components, struct err *e)
{
	struct fileset *set;
	int rc;

	if (fileset_glob(&set, n->context, patterns, e) < 0)
		return -1;
	rc = fileset_hash(set, n->context, e);
	for (size_t i = 0; rc == 0 && i < set->files.len; i++) {
		const struct project_file *f = &set->files.at[i];

		hasher_str(h, f->dest);
		hasher_int(h, f->type);
		hasher_int(h, f->executable);
		hasher_digest(h, &f->digest);
		hasher_str(h, f->link);
		if (as_components)
			key_digest(&n->key, arena_printf(&n->arena, "file %s", f->path),
			           &f->digest);
		if (as_components && node_touched(n, f->path))
			node_force(n, f->path);
	}
	fileset_free(set);
	return rc;
}

/* 1: *out is the digest of what is there; 0: nothing is. */
static int output_digest(struct node *n, struct digest *out, struct err *e)
{
	AUTO_BUF clean = BUF_INIT;
	const char *path;
	struct strings one = { &path, 1 };
	struct hasher h;
	int rc;

	path_clean(&clean, output_of(n));
	path = clean.s;
	if (!file_exists(n->context->fd, path))
		return 0;
	hasher_init(&h);
	rc = add_files(n, &one, &h, false, e);
	hasher_end(&h, out);
	return rc < 0 ? -1 : 1;
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
		if (t->kind == TARGET_FILE && output_digest(need, &d, e) < 0)
			return -1;
		key_digest(&n->key, name,
		           t->kind == TARGET_IMAGE ? &need->manifest.digest : &d);
	}
	return 0;
}

static int rule_key(struct node *n, struct err *e)
{
	struct hasher deps;
	struct digest d;
	int rc = 0;

	hasher_init(&deps);
	for (size_t i = 0; i < n->target->run.n; i++)
		key_str(&n->key, arena_printf(&n->arena, "command %zu", i + 1),
		        n->target->run.at[i]);
	if (n->target->deps.n)
		rc = add_files(n, &n->target->deps, &deps, true, e);
	for (size_t i = 0; rc == 0 && i < n->target->n_needs; i++)
		rc = key_need(n, n->target->needs[i], e);
	hasher_end(&deps, &d);
	key_digest(&n->key, "deps", &d);
	key_value(&n->key, &n->plan_key);
	return rc;
}

struct output_sink {
	struct build *build;
	const char *target;
};

static void print_line(void *self, const char *s, size_t n)
{
	const struct output_sink *o = self;
	AUTO_FREE char *text = mem_strndup(s, n);

	progress_output(o->build->o.progress, o->target, text);
}

int host_run(struct build *b, const char *target, const struct strings *lines, int dir,
             const char *const *env, struct err *e)
{
	struct output_sink self = { b, target };
	AUTO_BUF script = BUF_INIT;
	const char *argv[] = { "/bin/sh", "-ec", NULL, NULL };
	struct process_options o = { .argv = argv,
		                     .env = env,
		                     .cwd = dir,
		                     .line = print_line,
		                     .line_self = &self };
	int status, rc;

	for (size_t i = 0; i < lines->n; i++)
		buf_addf(&script, "%s\n", lines->at[i]);
	argv[2] = script.s;
	if (b->o.no_host)
		return err_set(e, ERR_DENIED, "host commands are refused by --no-host");
	progress_begin(b->o.progress, target, "commands on the host", -1);
	rc = process_run(&o, &status, e);
	progress_end(b->o.progress, target, "commands on the host", 0);
	progress_output_end(b->o.progress, target,
	                    rc == 0 && status && !build_cancelled(b));
	if (rc < 0)
		return -1;
	if (build_cancelled(b))
		return err_set(e, ERR_CANCELLED, "interrupted");
	if (status > 128)
		return err_set(e, ERR_FAILED, "its command was ended by signal %d",
		               status - 128);
	if (status)
		return err_set(e, ERR_FAILED, "its command failed with status %d",
		               status);
	return 0;
}

static int make_output(struct node *n, struct err *e)
{
	struct rule_state s = { .key = n->plan_key };
	int there;

	trace_node(n);
	progress_step(n->build->o.progress, n->target->name, "run on the host");
	trace_lines(n, &n->target->run);
	if (host_run(n->build, n->target->name, &n->target->run, n->context->fd, NULL,
	             e) < 0)
		return -1;
	there = output_digest(n, &s.output, e);
	if (there < 0)
		return -1;
	if (!there)
		return err_set(e, ERR_FAILED,
		               "its command succeeded, but did not make %s",
		               output_of(n));
	n->status = STATUS_MADE;
	return save_state(n, &s, e);
}

bool rule_needs_task(const struct node *n)
{
	for (size_t i = 0; i < n->needs.len; i++)
		if (n->needs.at[i]->target->kind == TARGET_TASK)
			return true;
	return false;
}

static int plan_output(struct node *n, struct err *e)
{
	struct rule_state last;
	struct digest now;
	int known, there;

	if (rule_key(n, e) < 0)
		return -1;
	known = load_state(n, &last, e);
	there = known > 0 ? output_digest(n, &now, e) : 0;
	if (known < 0 || there < 0)
		return -1;
	if (there && !n->forced && !n->build->o.always && !rule_needs_task(n) &&
	    digest_equal(&last.key, &n->plan_key) && digest_equal(&last.output, &now)) {
		n->status = STATUS_CURRENT;
		return 0;
	}
	if (known && !there)
		n->lost = "its output is not there";
	else if (known && !digest_equal(&last.output, &now))
		n->lost = "its output was changed";
	n->status = STATUS_STALE;
	return n->build->o.dry_run ? 0 : make_output(n, e);
}

int rule_plan(struct node *n, struct err *e)
{
	const struct target *t = n->target;
	int rc = 0;

	n->status = STATUS_STALE;
	node_inherit_force(n);
	if (t->kind == TARGET_FILE && !node_waits_for_rule(n))
		rc = plan_output(n, e);
	return rc < 0 ? err_wrap(e, PLACE_FMT "file '%s'", PLACE_ARG(t->place), t->name)
	              : 0;
}

int task_run(struct node *n, struct err *e)
{
	const struct target *t = n->target;

	trace_node(n);
	trace_lines(n, &t->run);
	if (host_run(n->build, t->name, &t->run, n->context->fd, NULL, e) < 0)
		return err_wrap(e, PLACE_FMT "task '%s'", PLACE_ARG(t->place), t->name);
	n->status = STATUS_MADE;
	return 0;
}

int rule_clean(const struct recipe *r, bool dry_run, struct buf *told, struct err *e)
{
	for (size_t i = 0; i < r->n_targets; i++) {
		const struct target *t = r->targets[i];
		AUTO_BUF path = BUF_INIT;

		if (t->kind != TARGET_FILE)
			continue;
		path_clean(&path, t->name);
		if (path.s[0] == '/' || path_escapes(path.s) ||
		    !file_exists(r->root_fd, path.s))
			continue;
		buf_addf(told, "%s %s\n", dry_run ? "would remove" : "removed", path.s);
		if (!dry_run && file_remove_tree(r->root_fd, path.s, e) < 0)
			return -1;
	}
	return 0;
}

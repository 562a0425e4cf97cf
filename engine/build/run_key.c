/* Keys of run steps. What a command sees is in them; secrets, proxies, limits and the
 * host's name are not. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "build/run.h"
#include "sandbox/idmap.h"
#include "store/state.h"

/* Raised when the same step may come to another result. */
enum { RUN_VERSION = 3 };

static void key_caches(struct key *k, const struct step_run *r)
{
	for (size_t i = 0; i < r->n_caches; i++) {
		key_str(k, "cache", r->caches[i].path);
		key_str(k, "cache id", r->caches[i].id);
		key_int(k, "cache sharing", r->caches[i].sharing);
		if (r->caches[i].readonly)
			key_int(k, "cache readonly", 1);
		if (r->caches[i].mode >= 0 || r->caches[i].uid || r->caches[i].gid) {
			key_int(k, "cache mode", r->caches[i].mode);
			key_int(k, "cache uid", r->caches[i].uid);
			key_int(k, "cache gid", r->caches[i].gid);
		}
	}
}

static void key_secrets(struct key *k, const struct step_run *r)
{
	for (size_t i = 0; i < r->n_secrets; i++) {
		key_str(k, "secret", r->secrets[i].id);
		key_str(k, "secret path", r->secrets[i].path);
		key_str(k, "secret variable", r->secrets[i].env);
		if (r->secrets[i].mode >= 0)
			key_int(k, "secret mode", r->secrets[i].mode);
		if (r->secrets[i].uid >= 0 || r->secrets[i].gid >= 0) {
			key_int(k, "secret uid", r->secrets[i].uid);
			key_int(k, "secret gid", r->secrets[i].gid);
		}
	}
}

/* What a mount of another target holds: its plan, or (`made`) the layers that came of it.
 */
static void key_from(struct key *k, const struct node *from, bool made)
{
	if (!made)
		key_digest(k, "mount from", &from->plan_key);
	for (size_t i = 0; made && i < from->result.layers.len; i++)
		key_digest(k, "mounted layer", &from->result.layers.at[i].diff_id);
}

static void key_mounts(struct key *k, const struct node *n, const struct step_run *r,
                       const struct step_plan *p, bool made)
{
	for (size_t i = 0; i < r->n_mounts; i++) {
		key_str(k, "mount", r->mounts[i].path);
		key_int(k, "mount type", r->mounts[i].type);
		key_str(k, "mount source", r->mounts[i].source);
		if (r->mounts[i].writable)
			key_int(k, "mount writable", 1);
		if (r->mounts[i].size)
			key_int(k, "mount size", r->mounts[i].size);
		/* Before, a step saw the project's own files, with their times. */
		if (p->bound[i])
			key_int(k, "mounted copies", 1);
		if (p->bound[i] && !made)
			key_many(k, "mounted files", &p->mounted[i], fileset_list,
			         p->bound[i]);
		else
			key_digest(k, "mounted files", &p->mounted[i]);
		if (r->mounts[i].from)
			key_from(k, node_of(n, r->mounts[i].from), made);
	}
}

static void key_fields(struct key *k, const struct node *n, const struct step_run *r,
                       const struct step_plan *p, bool made)
{
	key_int(k, "run", RUN_VERSION);
	key_strings(k, "command", r->lines.at, r->lines.n);
	key_strings(k, "exec", r->exec.at, r->exec.n);
	key_caches(k, r);
	key_mounts(k, n, r, p, made);
	key_secrets(k, r);
	for (size_t i = 0; i < r->env.n; i++)
		key_str(k, arena_printf(k->arena, "env %s", r->env.at[i].key),
		        r->env.at[i].value);
	key_str(k, "network", r->network ? r->network : "host");
	key_str(k, "user", r->user);
	key_str(k, "workdir", r->workdir);
	key_int(k, "ssh", r->ssh);
	if (r->ssh_path)
		key_str(k, "ssh path", r->ssh_path);
	if (r->platform) {
		struct platform host;
		char text[100];

		platform_host(&host);
		key_str(k, "platform variables", platform_text(&host, text));
		key_str(k, "for platform", platform_text(&n->for_platform, text));
	}
	key_strings(k, "inputs", r->inputs.at, r->inputs.n);
	if (p->files)
		fileset_key(p->files, false, k);
}

static bool has_program(const char *name)
{
	static const char *const dirs[] = { "/usr/bin", "/bin", "/usr/local/bin" };

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		AUTO_BUF path = BUF_INIT;

		buf_addf(&path, "%s/%s", dirs[i], name);
		if (access(path.s, X_OK) == 0)
			return true;
	}
	return false;
}

static void fact_name(char out[32])
{
	snprintf(out, 32, "flat owners %u", (unsigned)geteuid());
}

/* A plan writes nothing and runs nothing, so it cannot try. */
bool run_flat_owners(const struct build *b)
{
	struct idmap uids, gids;
	AUTO_BUF known = BUF_INIT;
	struct err ignored;
	char name[32];

	fact_name(name);
	if (state_get(b->o.store->state, STATE_FACTS, name, strlen(name), &known,
	              &ignored) > 0)
		return known.s[0] == '1';
	if (geteuid() == 0) /* of a namespace of one user, it will be learnt */
		return false;
	return idmap_of_user(&uids, &gids, &ignored) < 0 || !has_program("newuidmap") ||
	       !has_program("newgidmap");
}

int run_learn_owners(const struct build *b, enum sandbox_users users, struct err *e)
{
	bool flat = users == SANDBOX_SINGLE;
	char name[32];

	if (flat == run_flat_owners(b))
		return 0;
	fact_name(name);
	if (state_put(b->o.store->state, STATE_FACTS, name, strlen(name),
	              flat ? "1" : "0", 1, e) < 0)
		return -1;
	return err_set(
		e, ERR_CHANGED,
		flat ? "the ids of /etc/subuid cannot be used here, so files get one owner "
		       "(imgmake doctor says why)"
		     : "the ids of /etc/subuid can be used now");
}

static int find_inputs(struct node *n, const struct step_run *r, struct step_plan *p,
                       struct err *e)
{
	struct step_copy inputs = { .sources = r->inputs, .parents = true };

	if (!r->inputs.n)
		return 0;
	if (fileset_collect(&p->files, n->context, &inputs, e) < 0 ||
	    fileset_hash(p->files, n->context, e) < 0)
		return err_wrap(e, "inputs");
	return 0;
}

/* A bound directory is as much an input as a copied one. */
static int find_mounts(struct node *n, const struct step_run *r, struct step_plan *p,
                       struct err *e)
{
	p->mounted = arena_alloc(&n->arena, (r->n_mounts + 1) * sizeof(*p->mounted));
	p->bound = arena_alloc(&n->arena, (r->n_mounts + 1) * sizeof(*p->bound));
	for (size_t i = 0; i < r->n_mounts; i++) {
		if (r->mounts[i].type == MOUNT_TMPFS || r->mounts[i].from)
			continue;
		if (fileset_named(&p->bound[i], n->context, r->mounts[i].source, e) < 0 ||
		    fileset_hash(p->bound[i], n->context, e) < 0)
			return err_wrap(e, "mount");
		fileset_digest(p->bound[i], false, &p->mounted[i]);
		node_force_touched(n, p->bound[i]);
	}
	return 0;
}

int run_key(struct node *n, const struct step_run *r, struct step_plan *p, struct err *e)
{
	if (find_inputs(n, r, p, e) < 0 || find_mounts(n, r, p, e) < 0)
		return -1;
	key_fields(&n->key, n, r, p, false);
	if (p->files)
		node_force_touched(n, p->files);
	n->flat |= run_flat_owners(n->build);
	if (run_flat_owners(n->build))
		key_str(&n->key, "owners", "flat");
	return 0;
}

void run_cache_keys(struct work *w, const struct run_step *s, const char *id,
                    struct digest out[CACHE_KEYS])
{
	const struct node *n = w->node;
	char platform[100];
	struct key k;

	for (int i = 0; i < CACHE_KEYS; i++) {
		key_init(&k, &w->arena);
		key_str(&k, "result", i ? "cache of a command" : "cache of a step");
		key_str(&k, "id", id);
		key_str(&k, "base", n->base_name);
		key_str(&k, "platform", platform_text(&n->platform, platform));
		if (i == 0)
			key_fields(&k, n, s->r, s->p, false);
		key_strings(&k, "command", s->r->lines.at, s->r->lines.n);
		key_strings(&k, "exec", s->r->exec.at, s->r->exec.n);
		key_value(&k, &out[i]);
		key_fini(&k);
	}
}

/* The configuration that a command sees. Labels, ports and the like are not of it. */
static void key_config(struct key *k, const struct image_config *c)
{
	static const char *const seen[] = { "Env", "User", "WorkingDir", "Shell" };

	for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
		AUTO_BUF text = BUF_INIT;
		json_t *value = config_get(c, seen[i]);

		if (value)
			json_write(&text, value);
		key_str(k, seen[i], text.s);
	}
}

void run_result_key(struct work *w, const struct step_run *r, const struct step_plan *p,
                    struct digest *out)
{
	const struct node *n = w->node;
	char platform[100];
	struct key k;

	key_init(&k, &w->arena);
	key_str(&k, "result", "run");
	key_fields(&k, n, r, p, true);
	key_config(&k, &w->below->config);
	key_str(&k, "platform", platform_text(&n->platform, platform));
	key_int(&k, "compression", n->target->compression);
	key_int(&k, "epoch", build_epoch(n->build));
	key_int(&k, "flat owners", run_flat_owners(n->build));
	for (size_t i = 0; i < w->below->layers.len; i++)
		key_digest(&k, "layer", &w->below->layers.at[i].diff_id);
	key_value(&k, out);
	key_fini(&k);
}

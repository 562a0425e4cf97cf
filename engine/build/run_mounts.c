/* What a run step sees beside the image: cache directories, project files, secrets, the
 * agent's socket. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "build/run_times.h"
#include "build/secrets.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/lock.h"

enum { PRIVATE_MAX = 64 };

void run_mounts_fini(struct run_mounts *m)
{
	for (size_t i = 0; i < m->fds.len; i++)
		fd_close(&m->fds.at[i]);
	vec_fini(&m->fds);
	vec_fini(&m->list);
	vec_fini(&m->caches);
	vec_fini(&m->staged);
	arena_fini(&m->arena);
}

static void add(struct run_mounts *m, enum sandbox_mount_kind kind, const char *target,
                int fd, bool writable)
{
	struct sandbox_mount mount = {
		.kind = kind, .target = target, .source = fd, .writable = writable
	};

	if (fd >= 0)
		vec_push(&m->fds, fd);
	vec_push(&m->list, mount);
}

/* The directory of a cache: a hash of its id, whatever that holds (CVE-2024-9675), and of
 * who owns the files, since one user map cannot read another's. */
static const char *cache_name(struct run_mounts *m, const char *id,
                              enum sandbox_users users, int copy)
{
	char hex[DIGEST_HEX + 1];
	struct digest d;
	struct hasher h;

	hasher_init(&h);
	hasher_str(&h, id);
	hasher_int(&h, users);
	hasher_int(&h, copy);
	hasher_end(&h, &d);
	return arena_printf(&m->arena, "cache/%s", digest_hex(&d, hex));
}

/* A copy of its own, that nobody else has. */
static int lock_private(struct run_mounts *m, struct store *s, const char *id,
                        enum sandbox_users users, const char **dir, struct err *e)
{
	int fd = -1;

	for (int i = 1; fd < 0 && i <= PRIVATE_MAX; i++) {
		*dir = cache_name(m, id, users, i);
		fd = lock_try(s->dir, arena_printf(&m->arena, "%s.lock", *dir), true, e);
		if (fd < 0 && e->code != ERR_EXISTS)
			break;
	}
	return fd;
}

/* A cache directory that was just made. */
struct new_cache {
	int fd;
	const struct run_cache *c;
};

static int give_cache(void *self, struct err *e)
{
	const struct new_cache *n = self;

	if (fchown(n->fd, (uid_t)n->c->uid, (gid_t)n->c->gid) < 0)
		return err_sys(e, "give it to %lld:%lld", (long long)n->c->uid,
		               (long long)n->c->gid);
	if (n->c->mode >= 0 && fchmod(n->fd, (mode_t)n->c->mode) < 0)
		return err_sys(e, "set its mode");
	return 0;
}

/* Where all ids are one, there is nobody to give it to. */
static int set_up_cache(const struct run_place *at, int fd, const struct run_cache *c,
                        struct err *e)
{
	struct new_cache n = { fd, c };

	if (c->mode < 0 && !c->uid && !c->gid)
		return 0;
	if (at->users == SANDBOX_SINGLE)
		return c->mode >= 0 && fchmod(fd, (mode_t)c->mode | 0700) < 0
		               ? err_sys(e, "set its mode")
		               : 0;
	return sandbox_call(at->sandbox, give_cache, &n, e);
}

/* What the caches are opened for. */
struct opening {
	struct run_mounts *m;
	struct work *w;
	struct run_step step;
	const struct run_place *at;
};

/* Locked ones wait for their turn; shared ones are held so that gc leaves them. */
static int open_cache(const struct opening *o, const struct run_cache *c, struct err *e)
{
	struct store *s = o->w->node->build->o.store;
	const struct run_place *at = o->at;
	enum sandbox_users users = at->users;
	struct run_mounts *m = o->m;
	bool is_new;
	struct used_cache used = { .id = c->id, .dir = cache_name(m, c->id, users, 0) };
	int lock;

	if (c->sharing == CACHE_PRIVATE)
		lock = lock_private(m, s, c->id, users, &used.dir, e);
	else
		lock = lock_take(s->dir, arena_printf(&m->arena, "%s.lock", used.dir),
		                 at->alone || c->sharing == CACHE_LOCKED, e);
	if (lock < 0)
		return -1;
	vec_push(&m->fds, lock);
	if (futimens(lock, NULL) < 0) /* for gc */
		return err_sys(e, "mark it as used");
	if (run_import(o->w, &o->step, at, &used, e) < 0)
		return -1;
	is_new = !file_exists(s->dir, used.dir);
	if (file_mkdirs(s->dir, used.dir, 0755, e) < 0)
		return -1;
	used.fd =
		openat(s->dir, used.dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (used.fd < 0)
		return err_sys(e, "open it");
	if (is_new && set_up_cache(at, used.fd, c, e) < 0) {
		fd_close(&used.fd);
		return -1;
	}
	vec_push(&m->fds, used.fd);
	vec_push(&m->caches, used);
	return 0;
}

/* A cache of a step, and which of those in use it is. */
struct asked_cache {
	const struct run_cache *c;
	size_t index, used;
};

/* Of one id, those that need it most come first: the lock is taken once. */
static int by_id(const void *a, const void *b)
{
	const struct asked_cache *x = a, *y = b;
	int order = strcmp(x->c->id, y->c->id);

	return order ? order : (int)y->c->sharing - (int)x->c->sharing;
}

static int by_index(const void *a, const void *b)
{
	const struct asked_cache *x = a, *y = b;

	return x->index < y->index ? -1 : 1;
}

/* In the same order by everyone, so that no two wait for each other. */
static int lock_caches(const struct opening *o, struct asked_cache *all, size_t n,
                       struct err *e)
{
	qsort(all, n, sizeof(*all), by_id);
	for (size_t i = 0; i < n; i++) {
		bool again = i && all[i].c->sharing != CACHE_PRIVATE &&
		             !strcmp(all[i].c->id, all[i - 1].c->id);

		if (!again && open_cache(o, all[i].c, e) < 0)
			return err_wrap(e, "cache %s", all[i].c->id);
		all[i].used = o->m->caches.len - 1;
	}
	qsort(all, n, sizeof(*all), by_index);
	return 0;
}

static int add_caches(const struct opening *o, struct err *e)
{
	struct store *s = o->w->node->build->o.store;
	const struct step_run *r = o->step.r;
	struct run_mounts *m = o->m;
	AUTO_FREE struct asked_cache *all = mem_alloc((r->n_caches + 1) * sizeof(*all));

	if (!r->n_caches)
		return 0;
	for (size_t i = 0; i < r->n_caches; i++)
		all[i] = (struct asked_cache){ &r->caches[i], i, 0 };
	if (file_mkdirs(s->dir, "cache", 0700, e) < 0 ||
	    lock_caches(o, all, r->n_caches, e) < 0)
		return -1;
	for (size_t i = 0; i < r->n_caches; i++) {
		struct sandbox_mount mount = { .kind = SANDBOX_BIND,
			                       .target = r->caches[i].path,
			                       .source = m->caches.at[all[i].used].fd,
			                       .writable = !r->caches[i].readonly };

		vec_push(&m->list, mount);
	}
	return 0;
}

/* Of the project: what its key is of, and nothing that the ignore file hides. */
static int stage_bound(struct run_mounts *m, struct work *w, const struct staged_dir *d,
                       int *fd, struct err *e)
{
	const struct fileset *set = d->set;
	const struct project_file *last =
		set->files.len ? &set->files.at[set->files.len - 1] : NULL;
	bool is_named = last && !strcmp(last->path, d->source);

	if (is_named && last->type == TOC_SYMLINK)
		return err_set(e, ERR_INVALID,
		               "it is a symbolic link; name what it leads to");
	if (is_named && last->type != TOC_DIR)
		return run_stage_file(m, w, &(struct staged_file){ d->as, set, last }, fd,
		                      e);
	return run_stage_dir(m, w, d, fd, e);
}

static int add_mount(struct run_mounts *m, struct work *w, const struct run_mount *x,
                     const struct fileset *bound, struct err *e)
{
	size_t index = m->list.len;
	const char *staged = arena_printf(&m->arena, "%s/bound.%zu", m->dir, index);
	AUTO_BUF source = BUF_INIT;
	struct staged_dir d = { .as = { x->path, staged }, .set = bound };
	int fd, rc;

	if (x->type == MOUNT_TMPFS) {
		add(m, SANDBOX_TMPFS, x->path, -1, true);
		m->list.at[index].size = x->size;
		return 0;
	}
	path_clean(&source, x->source);
	d.source = strcmp(source.s, ".") ? source.s : "";
	rc = x->from ? run_from(m, w, x, index, &fd, e) : stage_bound(m, w, &d, &fd, e);
	if (rc < 0)
		return err_wrap(e, "mount %s", x->source);
	add(m, SANDBOX_BIND, x->path, fd, x->from && x->writable);
	return 0;
}

static int add_secret(struct run_mounts *m, struct work *w, const struct run_secret *x,
                      const struct owner *user, struct err *e)
{
	struct sandbox_mount mount = { .kind = SANDBOX_FILE,
		                       .target = x->path,
		                       .source = -1,
		                       .mode = x->mode < 0 ? 0400 : (mode_t)x->mode,
		                       .uid = x->uid < 0 ? user->uid : (uid_t)x->uid,
		                       .gid = x->gid < 0 ? user->gid : (gid_t)x->gid };
	const struct secret *s;

	if (!x->path)
		return 0;
	if (secrets_get(w->node->build->o.secrets, x->id, &s, e) < 0)
		return x->optional && e->code == ERR_NOT_FOUND ? 0 : -1;
	mount.data = s->value.s;
	mount.data_len = s->value.len;
	vec_push(&m->list, mount);
	return 0;
}

static int add_inputs(struct run_mounts *m, struct work *w, const struct fileset *set,
                      const char *workdir, struct err *e)
{
	for (size_t i = 0; set && i < set->files.len; i++) {
		const struct project_file *f = &set->files.at[i];
		AUTO_BUF target = BUF_INIT;
		struct staged_file as = { .set = set, .file = f };
		int fd;

		if (f->type != TOC_FILE && f->type != TOC_HARDLINK)
			continue;
		path_join(&target, workdir, f->path);
		as.as.inside = arena_strdup(&m->arena, target.s);
		as.as.staged = arena_printf(&m->arena, "%s/input.%zu", m->dir, i);
		if (run_stage_file(m, w, &as, &fd, e) < 0)
			return -1;
		add(m, SANDBOX_BIND, as.as.inside, fd, false);
	}
	return 0;
}

const char *run_agent_path(const struct step_run *r)
{
	return r->ssh_path ? r->ssh_path : "/run/ssh-agent.sock";
}

bool run_has_agent(const struct step_run *r)
{
	const char *path = getenv("SSH_AUTH_SOCK");

	return r->ssh && (!r->ssh_optional || (path && *path && access(path, F_OK) == 0));
}

static int add_ssh(struct run_mounts *m, const struct step_run *r, struct err *e)
{
	const char *path = getenv("SSH_AUTH_SOCK");
	int fd = path && *path ? open(path, O_PATH | O_CLOEXEC) : -1;

	if (fd < 0 && r->ssh_optional)
		return 0;
	if (fd < 0)
		return err_set(
			e, ERR_NOT_FOUND,
			"ssh: there is no agent; start ssh-agent, so that SSH_AUTH_SOCK is "
			"its socket");
	add(m, SANDBOX_BIND, run_agent_path(r), fd, true);
	return 0;
}

int run_mounts_make(struct run_mounts *m, struct work *w, const struct step_run *r,
                    const struct step_plan *p, const struct run_place *at, struct err *e)
{
	const struct opening o = { m, w, { r, p }, at };

	*m = (struct run_mounts){ .arena = ARENA_INIT, .dir = at->staging };
	for (size_t i = 0; i < r->n_mounts; i++)
		if (add_mount(m, w, &r->mounts[i], p->bound[i], e) < 0)
			return -1;
	if (add_caches(&o, e) < 0)
		return -1;
	if (add_inputs(m, w, p->files, at->workdir, e) < 0)
		return -1;
	for (size_t i = 0; i < r->n_secrets; i++)
		if (add_secret(m, w, &r->secrets[i], &at->user, e) < 0)
			return -1;
	return r->ssh ? add_ssh(m, r, e) : 0;
}

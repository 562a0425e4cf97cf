#include "build/run_times.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "build/extract.h"
#include "image/place_meta.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/lock.h"

/* All that happens here, happens as those who own the files inside. */
struct showing {
	struct run_mounts *m;
	struct work *w;
	const struct layers *layers;
	struct toc_view view;
	size_t base; /* so many layers are the base's: their files have times of their own
	              */
	int upper;
	VEC(struct timed_file) files;
	struct map have; /* their paths */
	struct run_record *records;
	struct arena arena;
};

static int64_t ns_of(int64_t seconds)
{
	const int64_t most = 9000000000;

	return (seconds > most ? most : seconds < -most ? -most : seconds) * 1000000000;
}

/* A time that the recipe keeps or names is part of what the file is; ours tells nothing.
 */
static void identify(const struct work *w, const struct toc_entry *t, struct digest *out)
{
	struct hasher h;

	*out = t->digest;
	if (t->mtime == build_epoch(w->node->build) ||
	    t->mtime == work_mtime(w, MTIME_CONTENT, 0, &t->digest, 0))
		return;
	hasher_init(&h);
	hasher_digest(&h, &t->digest);
	hasher_int(&h, t->mtime);
	hasher_end(&h, out);
}

void run_times_stage(struct run_mounts *m, struct work *w, const char *path,
                     const char *staged, const struct toc_entry *t)
{
	AUTO_BUF inside = BUF_INIT;
	struct timed_file f = { .staged = arena_strdup(&m->arena, staged),
		                .own = ns_of(t->mtime),
		                .shown = INT64_MIN };

	path_join(&inside, "/", path);
	f.path = arena_strdup(&m->arena, inside.s + 1);
	identify(w, t, &f.identity);
	vec_push(&m->staged, f);
}

static void add_file(struct showing *s, const char *path, const struct toc_entry *t,
                     size_t layer)
{
	struct toc_entry *own;
	struct timed_file f = { .path = path, .shown = INT64_MIN };

	t = link_target(&s->view, t, &layer);
	if (!t || t->type != TOC_FILE)
		return;
	own = arena_memdup(&s->arena, t, sizeof(*t));
	own->path = path;
	f.entry = own;
	f.own = ns_of(t->mtime);
	identify(s->w, t, &f.identity);
	vec_push(&s->files, f);
	map_put(&s->have, path, s);
}

static int add_own(void *self, const struct toc_entry *t, size_t layer)
{
	struct showing *s = self;

	if (layer >= s->base && (t->type == TOC_FILE || t->type == TOC_HARDLINK))
		add_file(s, t->path, t, layer);
	return 0;
}

static int by_path(const void *a, const void *b)
{
	const struct timed_file *x = a, *y = b;

	return strcmp(x->path, y->path);
}

/* Files of this recipe; what was staged; and the base's where the cache saw a file of a
 * recipe before. */
static void find_files(struct showing *s)
{
	toc_view_walk(&s->view, "", add_own, s);
	for (size_t i = 0; i < s->m->staged.len; i++) {
		struct timed_file f = s->m->staged.at[i];

		if (map_get(&s->have, f.path))
			continue;
		map_put(&s->have, f.path, s);
		vec_push(&s->files, f);
	}
	for (size_t i = 0; i < s->m->caches.len; i++) {
		const struct map *seen = &s->records[i].seen;

		for (size_t k = 0; k < seen->len; k++) {
			const struct toc_entry *t;
			size_t layer;

			if (map_get(&s->have, seen->at[k].key))
				continue;
			t = toc_view_find(&s->view, seen->at[k].key, &layer);
			if (t && (t->type == TOC_FILE || t->type == TOC_HARDLINK))
				add_file(s, t->path, t, layer);
		}
	}
	if (s->files.len)
		qsort(s->files.at, s->files.len, sizeof(*s->files.at), by_path);
}

static int set_staged(const struct showing *s, const struct timed_file *f, struct err *e)
{
	AUTO_CLOSE int fd = file_open_beneath(s->w->node->build->o.store->dir, f->staged,
	                                      O_PATH | O_NOFOLLOW, 0);
	struct timespec t = { .tv_sec = f->shown / 1000000000,
		              .tv_nsec = f->shown % 1000000000 };
	char proc[PROC_FD_MAX];

	if (fd < 0 ||
	    utimensat(AT_FDCWD, proc_fd(proc, fd), (struct timespec[]){ t, t }, 0) < 0)
		return err_sys(e, "set the time of /%s", f->path);
	return 0;
}

static int apply(struct showing *s, struct err *e)
{
	struct lifting l = {
		.layers = s->layers, .view = s->view, .to = s->upper, .arena = ARENA_INIT
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < s->files.len; i++) {
		const struct timed_file *f = &s->files.at[i];

		if (f->shown == f->own)
			continue;
		rc = f->staged ? set_staged(s, f, e)
		               : lift_file(&l, f->entry, f->shown, e);
	}
	if (rc == 0)
		rc = lift_end(&l, e);
	lift_fini(&l);
	return rc;
}

static int show(void *self, struct err *e)
{
	struct showing *s = self;
	size_t n = s->m->caches.len, loaded = 0;
	int rc = 0;

	s->records = mem_alloc(n * sizeof(*s->records));
	for (; rc == 0 && loaded < n; loaded++)
		rc = run_record_load(&s->records[loaded], s->w->node->build->o.store,
		                     &s->m->caches.at[loaded], e);
	if (rc == 0)
		find_files(s);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = run_record_update(&s->records[i], s->files.at, s->files.len, e);
	if (rc == 0)
		rc = apply(s, e);
	while (loaded > 0)
		run_record_fini(&s->records[--loaded]);
	free(s->records);
	vec_fini(&s->files);
	map_fini(&s->have);
	arena_fini(&s->arena);
	return rc;
}

/* Of the base at the bottom. */
static size_t base_layers(const struct node *n)
{
	while (n->from)
		n = n->from;
	return n->target->kind == TARGET_BASE ? n->result.layers.len : 0;
}

static int by_dir(const void *a, const void *b)
{
	const struct used_cache *x = a, *y = b;

	return strcmp(x->dir, y->dir);
}

/* *lock is of the record, for as long as it is looked at and changed. Another lock, which
 * nobody waits for, tells whether anyone else is using the cache. */
static int join(struct run_mounts *m, struct store *s, struct used_cache *c, int *lock,
                struct err *e)
{
	const char *users = arena_printf(&m->arena, "%s.users", c->dir);
	int fd;

	*lock = lock_take(s->dir, arena_printf(&m->arena, "%s.times.lock", c->dir), true,
	                  e);
	if (*lock < 0)
		return -1;
	fd = lock_try(s->dir, users, true, e);
	c->alone = fd >= 0;
	if (fd < 0 && e->code == ERR_EXISTS)
		fd = lock_take(s->dir, users, false, e);
	if (fd < 0)
		return -1;
	vec_push(&m->fds, fd);
	return c->alone ? lock_share(fd, e) : 0;
}

int run_times_show(struct run_mounts *m, struct work *w, const struct layers *l,
                   int upper, struct err *e)
{
	struct showing s = { .m = m,
		             .w = w,
		             .layers = l,
		             .view = layers_view(l),
		             .base = base_layers(w->node),
		             .upper = upper,
		             .arena = ARENA_INIT };
	size_t n = m->caches.len, joined = 0;
	AUTO_FREE int *locks = NULL;
	struct sandbox *sandbox;
	int rc = 0;

	if (!n)
		return 0;
	if (run_sandbox(w->node->build, &sandbox, e) < 0)
		return -1;
	locks = mem_alloc(n * sizeof(*locks));
	/* In the same order by everyone, so that no two wait for each other. */
	qsort(m->caches.at, n, sizeof(*m->caches.at), by_dir);
	for (; rc == 0 && joined < n; joined++)
		rc = join(m, w->node->build->o.store, &m->caches.at[joined],
		          &locks[joined], e);
	if (rc == 0)
		rc = sandbox_call(sandbox, show, &s, e);
	while (joined > 0)
		fd_close(&locks[--joined]);
	return rc < 0 ? err_wrap(e, "times of files") : 0;
}

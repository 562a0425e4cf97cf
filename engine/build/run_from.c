/* Mounts of what another target holds: unpacked for this step, as its owners and modes
 * say. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "build/run_times.h"
#include "os/fd.h"
#include "os/file.h"

struct taking {
	struct run_mounts *m;
	struct work *w;
	const struct run_mount *x;
	const char *staged; /* where it goes, below the store */
	int to;             /* the same, opened */
	struct toc_view view;
	size_t keep; /* bytes in front of the paths that are left off */
	bool is_dir;
	VEC(struct lift_entry) all;
	VEC(size_t) layers;        /* of all */
	VEC(const char *) sources; /* of all: paths there */
	struct map firsts;         /* a file → where it comes first */
	struct spool spool;
};

static int take(void *self, const struct toc_entry *t, size_t layer)
{
	struct taking *s = self;
	const char *below =
		t->path + (strlen(t->path) < s->keep ? strlen(t->path) : s->keep);
	const struct toc_entry *is =
		t->type == TOC_DIR ? t : link_target(&s->view, t, &layer);
	struct lift_entry x = { .offset = -1 };
	char key[32];

	if (!is)
		return 0;
	x.t = *is;
	x.t.path = s->is_dir ? below : "file";
	if (is->type == TOC_FILE) {
		snprintf(key, sizeof(key), "%p", (const void *)is);
		x.first = map_get(&s->firsts, key);
		if (!x.first)
			map_put(&s->firsts, key, (void *)x.t.path);
	}
	vec_push(&s->all, x);
	vec_push(&s->layers, layer);
	vec_push(&s->sources, is->path);
	return 0;
}

static int find(struct taking *s, struct err *e)
{
	AUTO_BUF real = BUF_INIT;
	const struct toc_entry *t;

	if (toc_view_resolve(&s->view, s->x->source, true, &real, &t, e) < 0)
		return -1;
	if (!t)
		return err_set(e, ERR_NOT_FOUND, "no such file in %s", s->x->from->name);
	s->is_dir = t->type == TOC_DIR;
	s->keep = real.len ? real.len + 1 : 0;
	toc_view_walk(&s->view, real.s, take, s);
	return 0;
}

static int fetch(struct taking *s, const struct node *from, struct err *e)
{
	VEC(struct want) wants = { 0 };
	int rc;

	for (size_t i = 0; i < s->all.len; i++) {
		struct want want = { s->layers.at[i], s->sources.at[i],
			             &s->all.at[i].offset };

		if (s->all.at[i].t.type == TOC_FILE && !s->all.at[i].first)
			vec_push(&wants, want);
	}
	rc = extract_files(from, &from->result, wants.at, wants.len, &s->spool, e);
	vec_fini(&wants);
	return rc;
}

static int place_all(void *self, struct err *e)
{
	struct taking *s = self;

	return lift_all(s->to, s->all.at, s->all.len, s->spool.fd, e);
}

/* Their times are as those of copied files. */
static void note_times(struct taking *s)
{
	for (size_t i = 0; i < s->all.len; i++) {
		const struct toc_entry *t = &s->all.at[i].t;
		const char *path = s->is_dir ? arena_printf(&s->m->arena, "%s/%s",
		                                            s->x->path, t->path)
		                             : s->x->path;

		if (t->type == TOC_FILE && !s->all.at[i].first)
			run_times_stage(
				s->m, s->w, path,
				arena_printf(&s->m->arena, "%s/%s", s->staged, t->path),
				t);
	}
}

static int take_all(struct taking *s, const struct node *from, struct err *e)
{
	struct sandbox *sandbox;

	if (find(s, e) < 0 || fetch(s, from, e) < 0 ||
	    run_sandbox(s->w->node->build, &sandbox, e) < 0 ||
	    sandbox_call(sandbox, place_all, s, e) < 0)
		return -1;
	note_times(s);
	return 0;
}

static int open_staged(struct taking *s, struct err *e)
{
	int dir = s->w->node->build->o.store->dir;

	if (file_mkdirs(dir, s->staged, 0755, e) < 0)
		return -1;
	s->to = openat(dir, s->staged, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return s->to < 0 ? err_sys(e, "open %s", s->staged) : 0;
}

int run_from(struct run_mounts *m, struct work *w, const struct run_mount *x,
             size_t index, int *fd, struct err *e)
{
	const struct node *from = node_of(w->node, x->from);
	struct taking s = { .m = m,
		            .w = w,
		            .x = x,
		            .to = -1,
		            .staged = arena_printf(&m->arena, "%s/mount.%zu", m->dir,
		                                   index) };
	AUTO_FREE const struct toc **tocs = NULL;
	int rc;

	if (node_tocs(from, &from->result, &tocs, e) < 0)
		return -1;
	s.view = (struct toc_view){ tocs, from->result.layers.len };
	spool_init(&s.spool, w->node->build->o.store);
	rc = open_staged(&s, e);
	if (rc == 0)
		rc = take_all(&s, from, e);
	if (rc == 0)
		*fd = openat(s.to, s.is_dir ? "." : "file",
		             O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (rc == 0 && *fd < 0)
		rc = err_sys(e, "open %s", s.staged);
	fd_close(&s.to);
	spool_fini(&s.spool);
	vec_fini(&s.all);
	vec_fini(&s.layers);
	vec_fini(&s.sources);
	map_fini(&s.firsts);
	return rc;
}

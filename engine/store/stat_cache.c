#include "store/stat_cache.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/vec.h"
#include "os/fd.h"
#include "os/file.h"
#include "store/state.h"

/* A record: head, files sorted by name, then texts that end in NUL; offsets are from the
 * record's start. LMDB aligns nothing. */
enum { VERSION = 2, DEVICES_MAX = 16 };

struct __attribute__((packed)) head {
	uint32_t version, n;
	uint64_t boot, instance;
	uint64_t dev, ino;
	int64_t now;   /* the cache's when it was written */
	uint32_t path; /* offset */
};

struct __attribute__((packed)) stat_file {
	uint64_t ino;
	int64_t size, mtime, ctime;
	struct digest digest;
	uint32_t name, link; /* offsets; link 0: a file */
};

struct stat_dir {
	struct head head;
};

struct note {
	uint64_t instance;
	struct stat_place at;
	struct stat_news news;
};

struct device {
	uint64_t dev, instance;
	bool trusted;
};

struct stat_cache {
	struct state *state;
	uint64_t boot;
	int64_t now;          /* when it was opened: before any file is read */
	pthread_mutex_t lock; /* guards what follows */
	struct state_view *view;
	bool blind;
	struct device devices[DEVICES_MAX];
	size_t n_devices;
	VEC(struct note) notes;
	struct arena arena; /* of notes */
};

/* Tells boots apart; 0 where /proc does not say, which is then one boot for ever. */
static uint64_t this_boot(void)
{
	AUTO_BUF id = BUF_INIT;
	struct digest d;
	struct err e;
	uint64_t boot;

	if (file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &id, 100, &e) < 0)
		return 0;
	digest_of(&d, id.s, id.len);
	memcpy(&boot, d.b, sizeof(boot));
	return boot;
}

struct stat_cache *stat_cache_open(struct state *s)
{
	struct stat_cache *c = mem_alloc(sizeof(*c));

	c->state = s;
	c->now = stamp_now();
	c->boot = this_boot();
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

void stat_cache_close(struct stat_cache *c)
{
	if (!c)
		return;
	state_view_close(c->view);
	vec_fini(&c->notes);
	arena_fini(&c->arena);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

struct key {
	uint64_t dev, ino;
};

static const struct stat_file *files_of(const struct stat_dir *d)
{
	return (const void *)((const char *)d + sizeof(struct head));
}

static const char *text_at(const struct stat_dir *d, uint32_t offset)
{
	return (const char *)d + offset;
}

/* All offsets lie within the record, and the last byte ends the last text. */
static bool is_sound(const struct stat_dir *d, size_t size)
{
	const struct stat_file *f;

	if (size <= sizeof(struct head) || d->head.version != VERSION ||
	    d->head.n > (size - sizeof(struct head)) / sizeof(*f) ||
	    d->head.path >= size || ((const char *)d)[size - 1] != '\0')
		return false;
	f = files_of(d);
	for (size_t i = 0; i < d->head.n; i++)
		if (f[i].name >= size || f[i].link >= size)
			return false;
	return true;
}

static const struct stat_dir *load(const struct stat_cache *c, struct state_view *v,
                                   const struct stat_place *at, uint64_t instance)
{
	struct key k = { at->dev, at->ino };
	const struct stat_dir *d;
	const void *data;
	struct err e;
	size_t n;

	if (state_view_get(v, STATE_FILES, &k, sizeof(k), &data, &n, &e) <= 0)
		return NULL;
	d = data;
	return is_sound(d, n) && d->head.boot == c->boot &&
	                       d->head.instance == instance && d->head.dev == at->dev &&
	                       d->head.now <= c->now
	               ? d
	               : NULL;
}

/* With the lock held. */
static const struct device *find_device(const struct stat_cache *c, uint64_t dev)
{
	for (size_t i = 0; i < c->n_devices; i++)
		if (c->devices[i].dev == dev)
			return &c->devices[i];
	return NULL;
}

static struct device device_of(struct stat_cache *c, int fd, uint64_t dev)
{
	const struct device *known = find_device(c, dev);
	struct device d = { .dev = dev };

	if (known)
		return *known;
	d.trusted = stamp_trusted(fd);
	d.instance = d.trusted ? stamp_instance(fd, dev) : 0;
	if (c->n_devices < DEVICES_MAX)
		c->devices[c->n_devices++] = d;
	return d;
}

const struct stat_dir *stat_cache_dir(struct stat_cache *c, int fd,
                                      const struct stat_place *at)
{
	const struct stat_dir *d = NULL;
	struct device on;
	struct err e;

	pthread_mutex_lock(&c->lock);
	on = device_of(c, fd, at->dev);
	if (on.trusted && !c->blind &&
	    (c->view || state_view_open(&c->view, c->state, &e) == 0))
		d = load(c, c->view, at, on.instance);
	pthread_mutex_unlock(&c->lock);
	return d;
}

static const struct stat_file *find_name(const struct stat_dir *d, const char *name)
{
	const struct stat_file *f = files_of(d);
	size_t lo = 0, hi = d->head.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(name, text_at(d, f[mid].name));

		if (c == 0)
			return &f[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

static bool is_same(const struct stat_dir *d, const struct stat_file *f,
                    const struct stamp *s)
{
	struct stamp then = { d->head.dev, f->ino, f->size, f->mtime, f->ctime };

	return stamp_same(&then, s);
}

const struct stat_file *stat_dir_find(const struct stat_dir *d, const char *name,
                                      const struct stamp *s)
{
	const struct stat_file *f = d ? find_name(d, name) : NULL;

	return f && is_same(d, f, s) ? f : NULL;
}

struct digest stat_file_digest(const struct stat_file *f)
{
	return f->digest;
}

const char *stat_file_link(const struct stat_dir *d, const struct stat_file *f)
{
	return f->link ? text_at(d, f->link) : NULL;
}

bool stat_cache_wants(const struct stat_cache *c, const struct stat_place *at,
                      const struct stamp *s)
{
	return s->dev == at->dev && stamp_settled(s, c->now, STAMP_GRAIN);
}

void stat_cache_learn(struct stat_cache *c, const struct stat_place *at,
                      const struct stat_news *news)
{
	struct note n = { .at = *at, .news = *news };
	const struct device *d;

	pthread_mutex_lock(&c->lock);
	d = find_device(c, at->dev);
	if (d && d->trusted) {
		n.instance = d->instance;
		n.at.path = arena_strdup(&c->arena, at->path);
		n.news.name = arena_strdup(&c->arena, news->name);
		if (news->link)
			n.news.link = arena_strdup(&c->arena, news->link);
		vec_push(&c->notes, n);
	}
	pthread_mutex_unlock(&c->lock);
}

void stat_cache_rest(struct stat_cache *c)
{
	pthread_mutex_lock(&c->lock);
	state_view_close(c->view);
	c->view = NULL;
	pthread_mutex_unlock(&c->lock);
}

bool stat_cache_has_news(struct stat_cache *c)
{
	bool has;

	pthread_mutex_lock(&c->lock);
	has = c->notes.len > 0;
	pthread_mutex_unlock(&c->lock);
	return has;
}

void stat_cache_distrust(struct stat_cache *c)
{
	pthread_mutex_lock(&c->lock);
	c->blind = true;
	pthread_mutex_unlock(&c->lock);
}

static int by_place(const void *a, const void *b)
{
	const struct note *x = a, *y = b;

	if (x->at.dev != y->at.dev)
		return x->at.dev < y->at.dev ? -1 : 1;
	if (x->at.ino != y->at.ino)
		return x->at.ino < y->at.ino ? -1 : 1;
	return strcmp(x->news.name, y->news.name);
}

/* A record in the making. */
struct writing {
	struct buf files, texts;
	uint32_t n;
	size_t texts_at; /* offset of the texts, once all files are counted */
};

static uint32_t add_text(struct writing *w, const char *s)
{
	uint32_t at = (uint32_t)w->texts.len;

	buf_add(&w->texts, s, strlen(s) + 1);
	return at;
}

/* Offsets are counted from the texts' start until finish(). */
static void add_file(struct writing *w, const struct stat_news *x)
{
	struct stat_file f = { .ino = x->stamp.ino,
		               .size = x->stamp.size,
		               .mtime = x->stamp.mtime,
		               .ctime = x->stamp.ctime,
		               .digest = x->digest };

	f.name = add_text(w, x->name);
	f.link = x->link ? add_text(w, x->link) : 0;
	buf_add(&w->files, &f, sizeof(f));
	w->n++;
}

/* Files that others have learned about stay, if they are still there. */
static void keep_file(struct writing *w, const struct stat_dir *d,
                      const struct stat_file *f, int dir)
{
	struct stat_news x = { .name = text_at(d, f->name),
		               .digest = f->digest,
		               .link = stat_file_link(d, f) };
	struct stat st;

	if (fstatat(dir, x.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	stamp_of(&x.stamp, &st);
	if (is_same(d, f, &x.stamp))
		add_file(w, &x);
}

static void merge(struct writing *w, const struct note *notes, size_t n,
                  const struct stat_dir *old)
{
	AUTO_CLOSE int dir =
		old ? open(notes->at.path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	const struct stat_file *f = old ? files_of(old) : NULL, *end = f;

	if (dir >= 0)
		end += old->head.n;
	for (size_t i = 0; i < n; i++) {
		const struct stat_news *x = &notes[i].news;

		while (f < end && strcmp(text_at(old, f->name), x->name) < 0)
			keep_file(w, old, f++, dir);
		if (f < end && !strcmp(text_at(old, f->name), x->name))
			f++;
		if (i + 1 == n || strcmp(x->name, notes[i + 1].news.name))
			add_file(w, x);
	}
	while (f < end)
		keep_file(w, old, f++, dir);
}

static void finish(struct writing *w, const struct stat_cache *c, const struct note *of,
                   struct buf *out)
{
	const struct stat_place *at = &of->at;

	uint32_t texts = (uint32_t)(sizeof(struct head) + w->files.len);
	struct head h = { .version = VERSION,
		          .n = w->n,
		          .boot = c->boot,
		          .instance = of->instance,
		          .dev = at->dev,
		          .ino = at->ino,
		          .now = c->now,
		          .path = texts + add_text(w, at->path) };
	struct stat_file *f = (void *)w->files.s;

	for (uint32_t i = 0; i < w->n; i++) {
		f[i].name += texts;
		f[i].link += f[i].link ? texts : 0;
	}
	buf_add(out, &h, sizeof(h));
	buf_add(out, w->files.s, w->files.len);
	buf_add(out, w->texts.s, w->texts.len);
}

static void make_record(const struct stat_cache *c, struct state_view *v,
                        const struct note *notes, size_t n, struct buf *out)
{
	struct writing w = { .files = BUF_INIT, .texts = BUF_INIT };

	merge(&w, notes, n, load(c, v, &notes->at, notes->instance));
	finish(&w, c, notes, out);
	buf_fini(&w.files);
	buf_fini(&w.texts);
}

struct records {
	VEC(struct state_change) changes;
	VEC(struct buf) texts;
	struct arena arena;
};

static void add_record(struct records *r, const struct stat_place *at, struct buf record)
{
	struct key k = { at->dev, at->ino };
	struct state_change change = { .table = STATE_FILES,
		                       .key = arena_memdup(&r->arena, &k, sizeof(k)),
		                       .key_len = sizeof(k),
		                       .data = record.s,
		                       .n = record.len };

	vec_push(&r->changes, change);
	vec_push(&r->texts, record);
}

static void write_notes(const struct stat_cache *c, struct note *notes, size_t n)
{
	struct records r = { .arena = ARENA_INIT };
	struct state_view *v;
	struct err e;
	size_t i, k;

	if (state_view_open(&v, c->state, &e) < 0)
		return;
	qsort(notes, n, sizeof(*notes), by_place);
	for (i = 0; i < n; i = k) {
		struct buf record = BUF_INIT;

		for (k = i + 1; k < n && notes[k].at.dev == notes[i].at.dev &&
		                notes[k].at.ino == notes[i].at.ino;)
			k++;
		make_record(c, v, &notes[i], k - i, &record);
		add_record(&r, &notes[i].at, record);
	}
	state_view_close(v);
	(void)!state_change(c->state, r.changes.at, r.changes.len, &e);
	for (i = 0; i < r.texts.len; i++)
		buf_fini(&r.texts.at[i]);
	vec_fini(&r.texts);
	vec_fini(&r.changes);
	arena_fini(&r.arena);
}

void stat_cache_write(struct stat_cache *c)
{
	AUTO(arena_fini) struct arena texts = ARENA_INIT;
	AUTO_FREE struct note *notes = NULL;
	size_t n;

	pthread_mutex_lock(&c->lock);
	notes = c->notes.at;
	n = c->notes.len;
	texts = c->arena;
	memset(&c->notes, 0, sizeof(c->notes));
	c->arena = (struct arena)ARENA_INIT;
	pthread_mutex_unlock(&c->lock);
	if (n)
		write_notes(c, notes, n);
}

struct sweep {
	uint64_t boot;
	VEC(struct key) gone;
};

static bool is_there(const struct stat_dir *d)
{
	struct stat st;

	return lstat(text_at(d, d->head.path), &st) == 0 && st.st_dev == d->head.dev &&
	       st.st_ino == d->head.ino;
}

static int sweep_one(void *self, const struct state_record *r)
{
	struct sweep *s = self;
	const struct stat_dir *d = r->data;
	struct key k;

	if (is_sound(d, r->n) && d->head.boot == s->boot && is_there(d))
		return 0;
	if (r->key_len == sizeof(k)) {
		memcpy(&k, r->key, sizeof(k));
		vec_push(&s->gone, k);
	}
	return 0;
}

int stat_cache_sweep(struct state *state, struct err *e)
{
	struct sweep s = { .boot = this_boot() };
	int rc = state_each(state, STATE_FILES, sweep_one, &s, e);
	struct state_change *changes = mem_alloc((s.gone.len + 1) * sizeof(*changes));

	for (size_t i = 0; i < s.gone.len; i++)
		changes[i] = (struct state_change){ .table = STATE_FILES,
			                            .key = &s.gone.at[i],
			                            .key_len = sizeof(struct key) };
	if (rc == 0)
		rc = state_change(state, changes, s.gone.len, e);
	free(changes);
	vec_fini(&s.gone);
	return rc;
}

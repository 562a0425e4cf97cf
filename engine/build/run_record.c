/* The record beside a cache directory: which content it saw at each path, and when that
 * came. A line "imgmake-times 1\n"; for each path, sorted: u32 length, path, 32 bytes
 * identity, u64 time; and the SHA-256 of all that. In a cache that came from another
 * machine an empty path, of no identity, has the time by which all of it was made there:
 * its ctimes are those of its coming, and that machine's clock may have been ahead. What
 * cannot be read counts as never written: everything is then as new as can be. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "build/run_times.h"
#include "os/file.h"
#include "os/walk.h"

enum { RECORD_MAX = 1 << 30 };

static const char header[] = "imgmake-times 1\n";

struct run_seen {
	struct digest identity; /* zero: several commands saw different ones at once */
	int64_t time;
};

static uint64_t little(const char *s, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | (unsigned char)s[n];
	return v;
}

static void decode_all(struct run_record *r, const char *s, const char *end)
{
	while (end - s >= 4) {
		struct run_seen *x = arena_alloc(&r->arena, sizeof(*x));
		size_t n = little(s, 4);

		s += 4;
		if ((size_t)(end - s) < n || (size_t)(end - s) - n < DIGEST_SIZE + 8)
			return;
		memcpy(x->identity.b, s + n, DIGEST_SIZE);
		x->time = (int64_t)little(s + n + DIGEST_SIZE, 8);
		map_put(&r->seen, arena_strndup(&r->arena, s, n), x);
		if (x->time > r->newest)
			r->newest = x->time;
		s += n + DIGEST_SIZE + 8;
	}
}

static bool decode(struct run_record *r)
{
	size_t head = sizeof(header) - 1, n = r->was.len;
	struct digest d;

	if (n < head + DIGEST_SIZE || memcmp(r->was.s, header, head) != 0)
		return false;
	digest_of(&d, r->was.s, n - DIGEST_SIZE);
	if (memcmp(d.b, r->was.s + n - DIGEST_SIZE, DIGEST_SIZE) != 0)
		return false;
	decode_all(r, r->was.s + head, r->was.s + n - DIGEST_SIZE);
	return true;
}

static enum walk_next found_one(void *self, const struct walk_entry *w, struct err *e)
{
	(void)w;
	*(bool *)self = false;
	err_set(e, ERR_EXISTS, "it is not empty");
	return WALK_ERROR;
}

static int is_empty(int dir, bool *empty, struct err *e)
{
	struct walk_options o = { .visit = found_one, .self = empty };

	*empty = true;
	return walk(dir, ".", &o, e) < 0 && *empty ? -1 : 0;
}

static const char *record_name(struct arena *a, const char *dir)
{
	return arena_printf(a, "%s.times", dir);
}

static void add_line(struct buf *text, const char *path, const struct run_seen *x)
{
	buf_add_str(text, path, strlen(path));
	buf_add(text, x->identity.b, DIGEST_SIZE);
	buf_add_u64(text, (uint64_t)x->time);
}

static void add_end(struct buf *text)
{
	struct digest d;

	digest_of(&d, text->s, text->len);
	buf_add(text, d.b, DIGEST_SIZE);
}

int run_record_load(struct run_record *r, struct store *s, const struct used_cache *c,
                    struct err *e)
{
	bool empty;

	*r = (struct run_record){
		.cache = c, .store = s, .was = BUF_INIT, .arena = ARENA_INIT
	};
	if (file_read(s->dir, record_name(&r->arena, c->dir), &r->was, RECORD_MAX, e) <
	            0 &&
	    e->code != ERR_NOT_FOUND)
		return -1;
	if (decode(r))
		return 0;
	if (is_empty(c->fd, &empty, e) < 0)
		return -1;
	r->first = empty && c->alone;
	return 0;
}

void run_record_fini(struct run_record *r)
{
	map_fini(&r->seen);
	buf_fini(&r->was);
	arena_fini(&r->arena);
}

static int64_t ns_of(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

/* By ctime, which no program can set: a time in the future that a program chose means
 * nothing, while what was made before the clock was set back does. */
static enum walk_next look_at_time(void *self, const struct walk_entry *w, struct err *e)
{
	int64_t *newest = self, t = ns_of(&w->st.st_ctim);

	(void)e;
	if (t > *newest)
		*newest = t;
	return WALK_ON;
}

/* The clock that files get their times from, so that what the command makes is not older.
 */
static int find_fresh(struct run_record *r, struct err *e)
{
	int64_t newest = r->newest;
	struct walk_options o = { .visit = look_at_time, .self = &newest };
	struct timespec now;

	if (walk(r->cache->fd, ".", &o, e) < 0)
		return -1;
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	r->fresh = ns_of(&now) > newest ? ns_of(&now) : newest + 1;
	return 0;
}

/* When others use the cache at the same time, they may still put something into it that
 * they made of what they see, after we have recorded what we see: so that is recorded as
 * unknown. */
static int decide(struct run_record *r, const struct timed_file *f, struct run_seen *out,
                  struct err *e)
{
	const struct run_seen *old = map_get(&r->seen, f->path);

	*out = (struct run_seen){ f->identity, f->own };
	if (r->first)
		return 0;
	if (old && digest_equal(&old->identity, &f->identity)) {
		out->time = old->time;
		return 0;
	}
	if (!r->fresh && find_fresh(r, e) < 0)
		return -1;
	out->time = r->fresh;
	if (!r->cache->alone)
		out->identity = (struct digest){ { 0 } };
	return 0;
}

int run_record_update(struct run_record *r, struct timed_file *files, size_t n,
                      struct err *e)
{
	const struct run_seen *made_there = map_get(&r->seen, "");
	AUTO_BUF text = BUF_INIT;

	buf_adds(&text, header);
	if (made_there)
		add_line(&text, "", made_there);
	for (size_t i = 0; i < n; i++) {
		struct run_seen x;

		if (decide(r, &files[i], &x, e) < 0)
			return -1;
		if (x.time > files[i].shown)
			files[i].shown = x.time;
		add_line(&text, files[i].path, &x);
	}
	add_end(&text);
	if (text.len == r->was.len && !memcmp(text.s, r->was.s, text.len))
		return 0;
	return file_replace(r->store->dir, record_name(&r->arena, r->cache->dir), text.s,
	                    text.len, 0600, e);
}

int run_record_export(struct store *s, const char *dir, int64_t newest, struct buf *out,
                      struct err *e)
{
	struct run_record r = { .was = BUF_INIT, .arena = ARENA_INIT };
	struct run_seen made = { .time = newest };
	int rc = file_read(s->dir, record_name(&r.arena, dir), &r.was, RECORD_MAX, e);

	if (rc < 0 && e->code == ERR_NOT_FOUND)
		rc = 0;
	if (rc == 0 && decode(&r) && r.newest > made.time)
		made.time = r.newest;
	buf_adds(out, header);
	add_line(out, "", &made);
	for (size_t i = 0; i < r.seen.len; i++)
		if (*r.seen.at[i].key)
			add_line(out, r.seen.at[i].key, r.seen.at[i].value);
	add_end(out);
	run_record_fini(&r);
	return rc;
}

int run_record_import(struct store *s, const char *dir, const struct buf *text,
                      struct err *e)
{
	struct run_record r = { .was = BUF_INIT, .arena = ARENA_INIT };
	int rc;

	buf_add(&r.was, text->s, text->len);
	rc = decode(&r) ? file_replace(s->dir, record_name(&r.arena, dir), text->s,
	                               text->len, 0600, e)
	                : err_set(e, ERR_CORRUPT, "its record of times is damaged");
	run_record_fini(&r);
	return rc;
}

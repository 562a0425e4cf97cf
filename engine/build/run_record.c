/* The record beside a cache directory: which content it saw at each path, and when that
 * came. A line "imgmake-times 1\n"; for each path, sorted: u32 length, path, 32 bytes
 * identity, u64 time; and the SHA-256 of all that. What cannot be read counts as never
 * written: everything is then as new as can be. */
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

static const char *record_name(struct run_record *r)
{
	return arena_printf(&r->arena, "%s.times", r->cache->dir);
}

int run_record_load(struct run_record *r, struct store *s, const struct used_cache *c,
                    struct err *e)
{
	bool empty;

	*r = (struct run_record){
		.cache = c, .store = s, .was = BUF_INIT, .arena = ARENA_INIT
	};
	if (file_read(s->dir, record_name(r), &r->was, RECORD_MAX, e) < 0 &&
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
	AUTO_BUF text = BUF_INIT;
	struct digest d;

	buf_adds(&text, header);
	for (size_t i = 0; i < n; i++) {
		struct run_seen x;

		if (decide(r, &files[i], &x, e) < 0)
			return -1;
		if (x.time > files[i].shown)
			files[i].shown = x.time;
		buf_add_str(&text, files[i].path, strlen(files[i].path));
		buf_add(&text, x.identity.b, DIGEST_SIZE);
		buf_add_u64(&text, (uint64_t)x.time);
	}
	digest_of(&d, text.s, text.len);
	buf_add(&text, d.b, DIGEST_SIZE);
	if (text.len == r->was.len && !memcmp(text.s, r->was.s, text.len))
		return 0;
	return file_replace(r->store->dir, record_name(r), text.s, text.len, 0600, e);
}

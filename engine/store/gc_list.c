#include "store/gc_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/fd.h"
#include "store/blobs.h"

enum { PAGE = 4096 };

void gc_list_init(struct gc_list *l, const struct gc_rooms *rooms)
{
	*l = (struct gc_list){ .arena = ARENA_INIT,
		               .rooms = rooms,
		               .now = clock_wall_s() };
}

void gc_list_fini(struct gc_list *l)
{
	vec_fini(&l->items);
	vec_fini(&l->records);
	vec_fini(&l->needs);
	arena_fini(&l->arena);
}

bool gc_too_old(const struct gc_list *l, int64_t used, int64_t max_age)
{
	return max_age >= 0 && used < l->now - max_age;
}

void gc_list_add(struct gc_list *l, enum gc_kind kind, const char *name, int64_t size,
                 int64_t used)
{
	struct gc_item item = { .kind = kind,
		                .name = arena_strdup(&l->arena, name),
		                .size = size,
		                .used = used };

	vec_push(&l->items, item);
}

/* What a file takes of the disk, or will once it is written back. */
static int64_t room_of(const struct stat *st)
{
	return (st->st_size + PAGE - 1) / PAGE * PAGE;
}

static int add_blob(void *self, const char *name, const struct digest *d,
                    const struct stat *st)
{
	struct gc_list *l = self;

	if (!d || !S_ISREG(st->st_mode))
		return 0; /* fsck tells of it */
	gc_list_add(l, GC_BLOBS, name, room_of(st), st->st_mtime);
	l->items.at[l->items.len - 1].digest = *d;
	return 0;
}

static int by_digest(const void *a, const void *b)
{
	const struct gc_item *x = a, *y = b;

	return memcmp(x->digest.b, y->digest.b, DIGEST_SIZE);
}

int gc_list_blobs(struct gc_list *l, struct store *s, struct err *e)
{
	if (blobs_each(s->blobs, add_blob, l, e) < 0)
		return -1;
	l->n_blobs = l->items.len;
	if (l->n_blobs)
		qsort(l->items.at, l->n_blobs, sizeof(*l->items.at), by_digest);
	return 0;
}

/* By ctime: that of a directory changes at the latest when something is put into it. */
static int list_names(struct gc_list *l, struct store *s, const char *dir,
                      enum gc_kind kind, struct err *e)
{
	int fd = openat(s->dir, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *ent;
	struct stat st;

	if (s->dir < 0 || (fd < 0 && errno == ENOENT))
		return 0;
	if (!d) {
		err_sys(e, "list %s/", dir);
		fd_close(&fd);
		return -1;
	}
	while ((ent = readdir(d)))
		if (strcmp(ent->d_name, ".") && strcmp(ent->d_name, "..") &&
		    fstatat(fd, ent->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			gc_list_add(l, kind, ent->d_name, room_of(&st), st.st_ctime);
	closedir(d);
	return 0;
}

int gc_list_read(struct gc_list *l, struct store *s, struct err *e)
{
	if (gc_list_blobs(l, s, e) < 0 || list_names(l, s, "rotten", GC_ROTTEN, e) < 0 ||
	    list_names(l, s, "tmp", GC_LEFTOVERS, e) < 0)
		return -1;
	return l->rooms->list(l->rooms->self, l, e);
}

static struct gc_item *find_blob(const struct gc_list *l, const struct digest *d)
{
	struct gc_item key = { .digest = *d };

	return l->n_blobs ? bsearch(&key, l->items.at, l->n_blobs, sizeof(key), by_digest)
	                  : NULL;
}

struct reading {
	struct gc_list *l;
	enum state_table table;
	int64_t max_age;
	char *project; /* the last that was looked for */
	bool there;
};

/* "directory\0…" */
static bool has_vanished(struct reading *r, const struct state_record *rec)
{
	const char *key = rec->key;

	if (r->table != STATE_TARGETS && r->table != STATE_RULES &&
	    r->table != STATE_IMAGES)
		return false;
	if (!rec->key_len || *key != '/' || !memchr(key, '\0', rec->key_len))
		return false;
	if (!r->project || strcmp(r->project, key) != 0) {
		free(r->project);
		r->project = mem_strdup(key);
		r->there = access(key, F_OK) == 0 || errno != ENOENT;
	}
	return !r->there;
}

/* A blob that came after the others were listed is as good as one that needs nothing. */
static void add_need(struct gc_list *l, struct gc_record *rec, const struct digest *d)
{
	const struct gc_item *blob = find_blob(l, d);

	if (!blob && blobs_has(l->blobs, d, NULL))
		return;
	if (!blob || blob->damaged) {
		rec->absent = true;
		rec->damaged |= blob != NULL;
		rec->missing = arena_memdup(&l->arena, d, sizeof(*d));
		return;
	}
	l->items.at[blob - l->items.at].needed = true;
	vec_push(&l->needs, (size_t)(blob - l->items.at));
	rec->n++;
}

static void add_names(struct reading *r, const struct state_record *from,
                      struct gc_record *rec)
{
	struct gc_names names = { .told = false };
	struct gc_list *l = r->l;

	l->rooms->names(l->rooms->self, r->table, from, &names);
	rec->told = names.told;
	rec->absent = names.unreadable;
	for (size_t i = 0; i < names.needed.len; i++)
		add_need(l, rec, &names.needed.at[i]);
	for (size_t i = 0; i < names.kept.len && !rec->vanished &&
	                   !gc_too_old(l, rec->used, r->max_age);
	     i++) {
		struct gc_item *blob = find_blob(l, &names.kept.at[i]);

		if (blob)
			blob->kept = true;
	}
	vec_fini(&names.needed);
	vec_fini(&names.kept);
}

static int add_record(void *self, const struct state_record *from)
{
	struct reading *r = self;
	struct gc_list *l = r->l;
	struct gc_record rec = { .table = r->table,
		                 .key = arena_memdup(&l->arena, from->key, from->key_len),
		                 .key_len = from->key_len,
		                 .used = from->used,
		                 .first = l->needs.len };

	if (!rec.used) /* a store of before such notes: it is noted now */
		rec.used = l->now;
	rec.vanished = has_vanished(r, from);
	if (r->table == STATE_RESULTS || r->table == STATE_LAYERS ||
	    r->table == STATE_IMAGES)
		add_names(r, from, &rec);
	vec_push(&l->records, rec);
	return 0;
}

/* The table of contents of a layer that is kept. */
static void keep_tables(struct gc_list *l)
{
	for (size_t i = 0; i < l->records.len; i++) {
		const struct gc_record *rec = &l->records.at[i];
		const size_t *needs = l->needs.at + rec->first;

		if (rec->table != STATE_RESULTS || rec->absent || rec->n % 2)
			continue;
		for (size_t k = 0; k + 1 < rec->n; k += 2)
			if (l->items.at[needs[k]].kept)
				l->items.at[needs[k + 1]].kept = true;
	}
}

int gc_list_records(struct gc_list *l, struct store *s, int64_t max_age, struct err *e)
{
	static const enum state_table tables[] = { STATE_IMAGES, STATE_RESULTS,
		                                   STATE_LAYERS, STATE_TARGETS,
		                                   STATE_RULES,  STATE_CHECKS,
		                                   STATE_SOURCES };

	l->blobs = s->blobs;
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		struct reading r = { .l = l, .table = tables[i], .max_age = max_age };
		int rc = state_each(s->state, tables[i], add_record, &r, e);

		free(r.project);
		if (rc < 0)
			return -1;
	}
	keep_tables(l);
	return 0;
}

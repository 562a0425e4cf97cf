#include "build/rooms_own.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/result.h"
#include "image/image.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/lock.h"

/* --- Records ----------------------------------------------------------------------- */

static bool member_digest(const json_t *j, const char *name, struct digest *out)
{
	const char *text = json_string_value(json_object_get(j, name));
	struct err ignored;

	return text && digest_parse(out, text, &ignored) == 0;
}

/* Layers with a table of contents of their own were made here; others are a base's, which
 * may be elsewhere. */
static void name_layers(const json_t *j, struct gc_names *out)
{
	struct digest blob, toc;
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_true(json_object_get(j, "remote")))
		return; /* a remote cache has it */
	if (member_digest(j, "digest", &blob) && member_digest(j, "toc", &toc)) {
		vec_push(&out->needed, blob);
		vec_push(&out->needed, toc);
	}
	json_object_foreach((json_t *)j, key, value)
	{
		if (strcmp(key, "config") != 0)
			name_layers(value, out);
	}
	json_array_foreach(j, i, value) name_layers(value, out);
}

static int keep_blob(void *self, const struct descriptor *d, struct err *e)
{
	struct gc_names *out = self;

	(void)e;
	vec_push(&out->kept, d->digest);
	return 0;
}

static void name_image(struct rooms *r, const json_t *j, struct gc_names *out)
{
	struct descriptor root;
	struct err ignored;

	out->unreadable = descriptor_read(&root, j, &ignored) < 0;
	if (out->unreadable)
		return;
	vec_push(&out->needed, root.digest);
	/* Of an image that is there in part, the part is not worth keeping. */
	if (image_each_blob(r->look, &root, keep_blob, out, &ignored) < 0)
		out->kept.len = 0;
}

/* Of a whole target. */
static void name_record(const struct state_record *rec, struct gc_names *out)
{
	AUTO_BUF copy = BUF_INIT;
	struct result r;

	buf_add(&copy, rec->data, rec->n);
	out->unreadable = result_decode(&r, &copy) < 0;
	if (out->unreadable)
		return;
	for (size_t i = 0; i < r.layers.len; i++) {
		const struct layer *l = &r.layers.at[i];

		if (l->remote || digest_is_zero(&l->toc))
			continue;
		vec_push(&out->needed, l->blob.digest);
		vec_push(&out->needed, l->toc);
	}
	out->told = true;
	result_fini(&r);
}

static void names(void *self, enum state_table t, const struct state_record *rec,
                  struct gc_names *out)
{
	struct digest toc;
	AUTO_JSON *j = NULL;
	struct err ignored;

	if (t == STATE_LAYERS) {
		out->unreadable = rec->n != DIGEST_SIZE;
		if (out->unreadable)
			return;
		memcpy(toc.b, rec->data, DIGEST_SIZE);
		vec_push(&out->needed, toc);
		return;
	}
	if (t == STATE_RESULTS && result_is_record(rec->data, rec->n)) {
		name_record(rec, out);
		return;
	}
	out->unreadable = json_read(&j, rec->data, rec->n, &ignored) < 0;
	if (out->unreadable)
		return;
	if (t == STATE_IMAGES) {
		name_image(self, j, out);
		return;
	}
	name_layers(j, out);
	out->told = json_object_get(j, "config") != NULL; /* of a whole target */
}

/* --- Directories ------------------------------------------------------------------- */

int rooms_inside(struct rooms *r, const struct inside **out, struct err *e)
{
	struct sandbox_options o = { 0 };
	AUTO_BUF dir = BUF_INIT;

	*out = &r->inside;
	if (r->probed || geteuid() == 0 || r->store->read_only)
		return 0;
	buf_addf(&dir, "%s/tmp", r->store->path);
	o.dir = dir.s;
	if (sandbox_open(&r->sandbox, &o, e) < 0)
		return -1;
	r->probed = true;
	if (sandbox_probe_get(r->sandbox)->users == SANDBOX_RANGE)
		r->inside = (struct inside){ sandbox_call, r->sandbox };
	return 0;
}

/* A directory below rootfs/ or cache/, and the lock that says when it was used. */
struct found {
	enum gc_kind kind;
	char *path;    /* rootfs/NAME */
	int64_t used;  /* seconds */
	int64_t stamp; /* what it is measured by: another one, and it is measured anew */
	int64_t size;
};

struct finding {
	struct rooms *r;
	VEC(struct found) list;
};

struct measured {
	int64_t stamp, size;
};

static int64_t ns_of(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

/* Unpacked layers do not change after they were made. Of what has no lock nobody can be
 * the user: it was left by one who was killed. */
static void add_found(struct finding *f, enum gc_kind kind, const char *dir,
                      const char *name)
{
	struct found x = { .kind = kind };
	AUTO_BUF path = BUF_INIT, lock = BUF_INIT;
	struct stat st;

	buf_addf(&path, "%s/%s", dir, name);
	buf_addf(&lock, "%s.lock", path.s);
	if (fstatat(f->r->store->dir, lock.s, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		x.used = kind == GC_UNPACKED ? st.st_ctime : st.st_mtime;
		x.stamp = ns_of(&st.st_mtim);
	}
	x.path = buf_take(&path);
	vec_push(&f->list, x);
}

static int find_in(struct finding *f, enum gc_kind kind, const char *dir, struct err *e)
{
	int fd = openat(f->r->store->dir, dir,
	                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *ent;
	struct stat st;

	if (f->r->store->dir < 0 || (fd < 0 && errno == ENOENT))
		return 0;
	if (!d) {
		err_sys(e, "list %s/", dir);
		fd_close(&fd);
		return -1;
	}
	while ((ent = readdir(d)))
		if (ent->d_name[0] != '.' &&
		    fstatat(fd, ent->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISDIR(st.st_mode))
			add_found(f, kind, dir, ent->d_name);
	closedir(d);
	return 0;
}

static int recall_size(struct rooms *r, struct found *x, bool *known, struct err *e)
{
	AUTO_BUF data = BUF_INIT;
	struct measured m;
	int rc = state_get(r->store->state, STATE_SIZES, x->path, strlen(x->path), &data,
	                   e);

	*known = false;
	if (rc <= 0 || data.len != sizeof(m))
		return rc < 0 ? -1 : 0;
	memcpy(&m, data.s, sizeof(m));
	*known = m.stamp == x->stamp && x->stamp;
	x->size = m.size;
	return 0;
}

static int remember_sizes(struct rooms *r, struct found *const *list, size_t n,
                          struct err *e)
{
	AUTO_FREE struct state_change *changes = mem_alloc((n + 1) * sizeof(*changes));
	AUTO_FREE struct measured *sizes = mem_alloc((n + 1) * sizeof(*sizes));

	if (r->store->read_only)
		return 0;
	for (size_t i = 0; i < n; i++) {
		sizes[i] = (struct measured){ list[i]->stamp, list[i]->size };
		changes[i] = (struct state_change){ STATE_SIZES, list[i]->path,
			                            strlen(list[i]->path), &sizes[i],
			                            sizeof(sizes[i]) };
	}
	return state_change(r->store->state, changes, n, e);
}

static int measure_new(struct finding *f, struct err *e)
{
	AUTO_FREE struct found **fresh = mem_alloc((f->list.len + 1) * sizeof(*fresh));
	AUTO_FREE int64_t *sizes = mem_alloc((f->list.len + 1) * sizeof(*sizes));
	AUTO_STRLIST paths = STRLIST_INIT;
	size_t n = 0;
	bool known;

	for (size_t i = 0; i < f->list.len; i++) {
		if (recall_size(f->r, &f->list.at[i], &known, e) < 0)
			return -1;
		if (known)
			continue;
		fresh[paths.len] = &f->list.at[i];
		strlist_add(&paths, f->list.at[i].path);
	}
	if (rooms_measure(f->r, &paths, sizes, e) < 0)
		return -1;
	for (size_t i = 0; i < paths.len; i++) {
		if (sizes[i] < 0)
			continue;
		fresh[i]->size = sizes[i];
		fresh[n++] = fresh[i];
	}
	return remember_sizes(f->r, fresh, n, e);
}

static int list(void *self, struct gc_list *l, struct err *e)
{
	struct finding f = { .r = self };
	int rc = -1;

	if (find_in(&f, GC_UNPACKED, "rootfs", e) == 0 &&
	    find_in(&f, GC_CACHES, "cache", e) == 0)
		rc = measure_new(&f, e);
	for (size_t i = 0; i < f.list.len; i++) {
		struct found *x = &f.list.at[i];

		if (rc == 0)
			gc_list_add(l, x->kind, strchr(x->path, '/') + 1, x->size,
			            x->used);
		free(x->path);
	}
	vec_fini(&f.list);
	return rc;
}

/* --- Removing ---------------------------------------------------------------------- */

/* Of a cache, whoever uses it has its lock. That stays, empty, since others may wait for
 * it. */
static int remove_cache(struct rooms *r, const char *name, int64_t before, struct err *e)
{
	AUTO_STRLIST paths = STRLIST_INIT;
	AUTO_CLOSE int lock = -1;
	AUTO_BUF path = BUF_INIT;
	struct stat st;

	buf_addf(&path, "cache/%s.lock", name);
	lock = lock_try(r->store->dir, path.s, true, e);
	if (lock < 0)
		return e->code == ERR_EXISTS ? 0 : -1;
	if (fstat(lock, &st) < 0 || st.st_mtime >= before)
		return 0;
	buf_truncate(&path, path.len - strlen(".lock"));
	strlist_add(&paths, path.s);
	buf_adds(&path, ".times"); /* what it saw is gone, too */
	strlist_add(&paths, path.s);
	return rooms_remove(r, &paths, e);
}

static void tidy(void *self)
{
	struct rooms *r = self;
	int fd = openat(r->store->dir, "cache",
	                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *ent;

	if (!d) {
		fd_close(&fd);
		return;
	}
	while ((ent = readdir(d))) {
		size_t n = strcspn(ent->d_name, ".");
		AUTO_FREE char *name = mem_strndup(ent->d_name, n);

		if (n && ent->d_name[n] && !file_exists(fd, name))
			unlinkat(fd, ent->d_name, 0);
	}
	closedir(d);
}

static int remove_unpacked(struct rooms *r, const struct strlist *only, int64_t before,
                           struct err *e)
{
	struct layers_choice c = { .only = only, .before = before };

	if (rooms_inside(r, &c.inside, e) < 0)
		return -1;
	return layers_sweep(r->store, &c, NULL, e);
}

static int forget_sizes(struct rooms *r, const struct strlist *paths, bool *gone,
                        struct err *e)
{
	AUTO_FREE struct state_change *changes = mem_alloc(paths->len * sizeof(*changes));
	size_t n = 0;

	for (size_t i = 0; i < paths->len; i++) {
		gone[i] = !file_exists(r->store->dir, paths->at[i]);
		if (gone[i])
			changes[n++] =
				(struct state_change){ .table = STATE_SIZES,
				                       .key = paths->at[i],
				                       .key_len = strlen(paths->at[i]) };
	}
	return state_change(r->store->state, changes, n, e);
}

static int remove_some(void *self, enum gc_kind kind, const struct strlist *only,
                       int64_t before, bool *gone, struct err *e)
{
	static const char *const dirs[GC_KINDS] = {
		[GC_UNPACKED] = "rootfs", [GC_CACHES] = "cache", [GC_LEFTOVERS] = "tmp"
	};
	AUTO_STRLIST paths = STRLIST_INIT;
	struct rooms *r = self;
	struct err other;
	int rc = 0;

	for (size_t i = 0; i < only->len; i++) {
		AUTO_BUF path = BUF_INIT;

		buf_addf(&path, "%s/%s", dirs[kind], only->at[i]);
		strlist_add(&paths, path.s);
	}
	if (kind == GC_UNPACKED)
		rc = remove_unpacked(r, only, before, e);
	else if (kind == GC_LEFTOVERS)
		rc = rooms_remove(r, &paths, e);
	for (size_t i = 0; kind == GC_CACHES && rc == 0 && i < only->len; i++)
		rc = remove_cache(r, only->at[i], before, e);
	return forget_sizes(r, &paths, gone, rc ? &other : e) < 0 ? -1 : rc;
}

int rooms_open(struct rooms **out, struct store *s, struct err *e)
{
	struct rooms *r = mem_alloc(sizeof(*r));

	r->gc = (struct gc_rooms){ r, names, list, remove_some, tidy };
	r->fsck = (struct fsck_rooms){ &r->gc, r, rooms_is_table, rooms_check_unpacked };
	r->store = s;
	if (blobs_open(&r->look, s->dir, true, e) < 0) {
		free(r);
		return -1;
	}
	*out = r;
	return 0;
}

void rooms_close(struct rooms *r)
{
	if (!r)
		return;
	sandbox_close(r->sandbox);
	blobs_close(r->look);
	free(r);
}

void rooms_limit(struct rooms *r, int64_t deadline)
{
	r->deadline = deadline;
}

const struct gc_rooms *rooms_for_gc(const struct rooms *r)
{
	return &r->gc;
}

const struct fsck_rooms *rooms_for_fsck(const struct rooms *r)
{
	return &r->fsck;
}

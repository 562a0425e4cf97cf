#include "sandbox/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "image/archive_late.h"
#include "image/layer_files.h"
#include "image/place_meta.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/lock.h"
#include "os/pool.h"
#include "sandbox/layer_plan.h"

/* rootfs/ has of each layer:
 *   NAME        the directory, being made or whole
 *   NAME.lock   shared lock: in use; exclusive: being made or removed. Its text says
 * whether the directory is whole: "boot ID\n": in that boot of the machine, since it was
 * not synced to disk; "durable\n": for good.
 *
 * Why that holds without syncing what was unpacked: the text is written when the
 * directory is whole. As long as the machine runs, the kernel shows every process both,
 * whoever was killed. After a power cut either may be lost or half there, but then the
 * machine has booted, the ID is another one, and the layer is made again: it is a cache
 * of what the blobs hold. "durable" is only written after syncfs said that all is on
 * disk. A text that is cut is neither. */
enum {
	NAME_EXTRA = 80,
	TEXT_MAX = 128,
	SETTLED = 60, /* seconds after which the kernel has written it back */
	DIRTY_MAX_KIB = 8 << 10,
	MEMINFO_MAX = 64 << 10,
};

static const char durable[] = "durable\n";

struct layers_hold {
	char *name;
	int lock;
	size_t plan;  /* by which it is made */
	bool missing; /* and to be made */
	bool settled; /* and might be made durable */
};

static void boot_text(struct buf *out)
{
	struct err e;

	buf_adds(out, "boot ");
	if (file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", out, TEXT_MAX, &e) < 0)
		buf_reset(out); /* then nothing is known, and each is made anew */
}

static int write_text(int lock, const char *text, struct err *e)
{
	size_t n = strlen(text);

	if (ftruncate(lock, 0) < 0 || pwrite(lock, text, n, 0) != (ssize_t)n)
		return err_sys(e, "mark an unpacked layer as whole");
	return 0;
}

/* *settled: it was made in this boot, so long ago that its pages are written back, but
 * never synced. */
static bool is_whole(const struct layers *l, const struct layers_hold *h, bool *settled)
{
	char text[TEXT_MAX] = "";
	struct stat st;
	ssize_t n = pread(h->lock, text, sizeof(text) - 1, 0);

	*settled = false;
	if (n <= 0 || fstat(h->lock, &st) < 0 || !file_exists(l->dir, h->name))
		return false;
	if (!strcmp(text, durable))
		return true;
	if (!l->boot.len || strcmp(text, l->boot.s) != 0)
		return false;
	*settled = st.st_mtime + SETTLED < time(NULL);
	return true;
}

static long long kib_of(const char *meminfo, const char *name)
{
	const char *at = strstr(meminfo, name);

	return at ? strtoll(at + strlen(name), NULL, 10) : DIRTY_MAX_KIB + 1;
}

/* Syncing waits for everyone's dirty pages, up to gigabytes, and a layer can be made
 * again: it is only worth doing when there is next to nothing to wait for. */
static bool disk_is_quiet(void)
{
	AUTO_BUF text = BUF_INIT;
	struct err e;

	if (file_read(AT_FDCWD, "/proc/meminfo", &text, MEMINFO_MAX, &e) < 0)
		return false;
	return kib_of(text.s, "\nDirty:") + kib_of(text.s, "\nWriteback:") <=
	       DIRTY_MAX_KIB;
}

/* So that the next boot has them; what is not done now a later build will. */
static void make_durable(const struct layers *l)
{
	bool any = false;
	struct err e;

	for (size_t i = 0; i < l->n_holds; i++)
		any |= l->holds[i].settled;
	if (!any || !disk_is_quiet() || syncfs(l->dir) < 0)
		return;
	for (size_t i = 0; i < l->n_holds; i++)
		if (l->holds[i].settled && write_text(l->holds[i].lock, durable, &e) < 0)
			return;
}

/* For layers_sweep, by way of ctime; mtime says when it was made. */
static void mark_used(int lock)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW },
		                           { .tv_nsec = UTIME_OMIT } };

	if (futimens(lock, times) < 0)
		return; /* then it is only removed too early, when nobody uses it */
}

/* 1: we have it to ourselves; 0: another has it, or is just looking, too. */
static int try_alone(int dir, struct layers_hold *h, struct err *e)
{
	static const struct timespec moment = { .tv_nsec = 1000000 };

	h->lock = layer_lock(dir, h->name, true, false, e);
	if (h->lock >= 0)
		return 1;
	if (e->code != ERR_EXISTS)
		return -1;
	nanosleep(&moment, NULL); /* two that look at once must not go on like that */
	return 0;
}

/* Shared if it is whole; else exclusive. To be alone is tried and never waited for:
 * whoever makes it shares it when it is whole, and then has it for as long as its command
 * runs. */
static int hold(const struct layers *l, struct layers_hold *h, struct err *e)
{
	int alone = 0;

	while (!alone) {
		h->lock = layer_lock(l->dir, h->name, false, true, e);
		if (h->lock < 0)
			return -1;
		if (is_whole(l, h, &h->settled))
			break;
		fd_close(&h->lock);
		alone = try_alone(l->dir, h, e);
		if (alone < 0)
			return -1;
	}
	if (alone) {
		/* Another may have made it meanwhile. */
		h->missing = !is_whole(l, h, &h->settled);
		if (!h->missing && lock_share(h->lock, e) < 0)
			return -1;
	}
	mark_used(h->lock);
	return 0;
}

static int check_map(const char *map, struct err *e)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

	if (!*map || strlen(map) > NAME_EXTRA / 2 || map[strspn(map, allowed)])
		return err_set(e, ERR_INVALID, "'%.80s' cannot name an id map", map);
	return 0;
}

static int plan_one(struct layers *l, const struct layers_options *o, size_t i,
                    struct err *e)
{
	l->own[i] = mem_alloc(sizeof(*l->own[i]));
	l->plans[i] = l->own[i];
	if (layer_plan_make(l->own[i], &o->items[i], l->tables, i, e) < 0)
		return err_wrap(e, "layer %zu", i + 1);
	return 0;
}

static int plan_all(struct layers *l, const struct layers_options *o, struct err *e)
{
	struct digest chain = { { 0 } };

	l->plans = mem_alloc((o->n + 1) * sizeof(*l->plans));
	l->own = mem_alloc((o->n + 1) * sizeof(*l->own));
	l->tables = mem_alloc((o->n + 1) * sizeof(*l->tables));
	for (size_t i = 0; i < o->n; i++) {
		l->n_tables = i + 1;
		digest_chain(&chain, &o->items[i].diff_id);
		l->plans[i] = o->memory ? layers_memory_get(o->memory, &chain) : NULL;
		if (l->plans[i])
			l->tables[i] = &l->plans[i]->real;
		else if (plan_one(l, o, i, e) < 0)
			return -1;
	}
	return 0;
}

/* What is needed for making directories is no more. */
static void remember_all(struct layers *l, const struct layers_options *o)
{
	struct digest chain = { { 0 } };

	for (size_t i = 0; o->memory && i < o->n; i++) {
		digest_chain(&chain, &o->items[i].diff_id);
		if (l->own[i] && layers_memory_put(o->memory, &chain, l->own[i]))
			l->own[i] = NULL;
	}
}

/* Of one that is remembered, what making it takes is not. */
static int plan_missing(struct layers *l, const struct layers_options *o, struct err *e)
{
	for (size_t i = 0; i < l->n_holds; i++) {
		size_t plan = l->holds[i].plan;

		if (l->holds[i].missing && !l->own[plan] && plan_one(l, o, plan, e) < 0)
			return -1;
	}
	return 0;
}

/* The same layer may be missing twice, here and in what other threads have, under names
 * that differ with what is below it. Whoever comes second reads the layer. */
static void take_files(struct layers *l)
{
	for (size_t i = 0; i < l->n_holds; i++) {
		struct layer_plan *p = l->own[l->holds[i].plan];

		if (l->holds[i].missing && p->item.files &&
		    !layer_files_take(p->item.files))
			p->item.files = NULL;
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct layers_hold *)a)->name,
	              ((const struct layers_hold *)b)->name);
}

static void add_hold(struct layers *l, const char *map, size_t i)
{
	char hex[DIGEST_HEX + 1];
	AUTO_BUF name = BUF_INIT;

	buf_addf(&name, "%s-%s", digest_hex(&l->plans[i]->key, hex), map);
	l->holds[l->n_holds++] =
		(struct layers_hold){ .name = buf_take(&name), .lock = -1, .plan = i };
}

/* What a layer says is said again by the same one above, so that one is enough; and
 * overlayfs takes no directory twice. */
static void name_all(struct layers *l, const struct layers_options *o, const char *where)
{
	l->holds = mem_alloc((o->n + 1) * sizeof(*l->holds));
	for (size_t i = 0; i < o->n; i++) {
		bool again = false;

		for (size_t k = i + 1; k < o->n && !again; k++)
			again = digest_equal(&l->plans[i]->key, &l->plans[k]->key);
		if (again)
			continue;
		add_hold(l, o->map, i);
		AUTO_BUF path = BUF_INIT;

		buf_addf(&path, "%s/%s", where, l->holds[l->n_holds - 1].name);
		strlist_add(&l->paths, path.s);
	}
	/* Locks are taken in the same order by everyone, so that no two wait for each
	 * other. */
	qsort(l->holds, l->n_holds, sizeof(*l->holds), by_name);
}

struct making {
	struct layers *l;
	const struct layers_options *o;
	int result; /* memory file for struct unpack_report, if in another process */
	pthread_mutex_t lock;
	struct unpack_report report;
	bool failed;
	struct err why;
};

struct work {
	struct making *m;
	const struct layers_hold *hold;
};

static int make_one(struct making *m, const struct layers_hold *h,
                    struct unpack_report *report, struct err *e)
{
	AUTO_CLOSE int root = -1;

	if (file_remove_tree(m->l->dir, h->name, e) < 0)
		return -1;
	if (mkdirat(m->l->dir, h->name, 0700) < 0)
		return err_sys(e, "create rootfs/%s", h->name);
	root = openat(m->l->dir, h->name,
	              O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root < 0)
		return err_sys(e, "open rootfs/%s", h->name);
	return layer_fill(root, m->o->store->blobs, m->l->plans, h->plan, report, e);
}

static void run_one(void *arg)
{
	struct work *w = arg;
	struct making *m = w->m;
	struct unpack_report report = { 0 };
	struct err e, unused;
	int rc = make_one(m, w->hold, &report, &e);

	if (rc < 0 && file_remove_tree(m->l->dir, w->hold->name, &unused) < 0)
		err_wrap(&e, "%.200s", unused.msg);
	pthread_mutex_lock(&m->lock);
	m->report.owners_skipped += report.owners_skipped;
	m->report.devices_skipped += report.devices_skipped;
	m->report.xattrs_skipped += report.xattrs_skipped;
	if (rc < 0 && !m->failed) {
		m->failed = true;
		m->why = e;
	}
	pthread_mutex_unlock(&m->lock);
}

/* After a step one is missing, its own, which is small: threads would take longer. */
static void make_each(struct work *work, size_t n, int threads)
{
	struct pool *pool;

	if (n == 1) {
		run_one(work);
		return;
	}
	pool = pool_new(threads > 0 ? threads : 1);
	for (size_t i = 0; i < n; i++)
		pool_submit(pool, run_one, &work[i]);
	pool_free(pool);
}

/* All that are missing; perhaps in a process of its own, where the threads are made then.
 */
static int make_missing(void *arg, struct err *e)
{
	struct making *m = arg;
	AUTO_FREE struct work *work = mem_alloc((m->l->n_holds + 1) * sizeof(*work));
	size_t n = 0;

	for (size_t i = 0; i < m->l->n_holds; i++)
		if (m->l->holds[i].missing)
			work[n++] = (struct work){ m, &m->l->holds[i] };
	make_each(work, n, m->o->threads);
	if (m->failed) {
		*e = m->why;
		return -1;
	}
	if (pwrite(m->result, &m->report, sizeof(m->report), 0) != sizeof(m->report))
		return err_sys(e, "report on unpacking");
	return 0;
}

int inside_call(const struct inside *in, int (*fn)(void *, struct err *), void *arg,
                struct err *e)
{
	return in->call ? in->call(in->sandbox, fn, arg, e) : fn(arg, e);
}

static int make_all(struct layers *l, const struct layers_options *o, struct err *e)
{
	AUTO_CLOSE int result = memfd_create("report", MFD_CLOEXEC);
	struct making m = { .l = l, .o = o, .result = result };
	int rc;

	if (result < 0)
		return err_sys(e, "create a memory file");
	/* Loaded there it would be from among a stranger's files, or not at all. */
	if (archive_late_load(e) < 0)
		return -1;
	take_files(l);
	pthread_mutex_init(&m.lock, NULL);
	rc = inside_call(&o->inside, make_missing, &m, e);
	pthread_mutex_destroy(&m.lock);
	if (rc < 0)
		return -1;
	if (pread(result, &l->report, sizeof(l->report), 0) != sizeof(l->report))
		return err_set(e, ERR_FAILED, "unpacking gave no report");
	for (size_t i = 0; i < l->n_holds; i++) {
		struct layers_hold *h = &l->holds[i];

		if (!h->missing)
			continue;
		if (write_text(h->lock, l->boot.s, e) < 0 || lock_share(h->lock, e) < 0)
			return -1;
		h->missing = false;
	}
	return 0;
}

static int open_all(struct layers *l, const struct layers_options *o, struct err *e)
{
	AUTO_FREE char *where = NULL;
	char proc[PROC_FD_MAX];
	bool missing = false;

	if (check_map(o->map, e) < 0 || file_mkdirs(o->store->dir, "rootfs", 0700, e) < 0)
		return -1;
	l->dir = openat(o->store->dir, "rootfs",
	                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	where = l->dir < 0 ? NULL : realpath(proc_fd(proc, l->dir), NULL);
	if (!where)
		return err_sys(e, "open rootfs/");
	if (plan_all(l, o, e) < 0)
		return -1;
	name_all(l, o, where);
	boot_text(&l->boot);
	for (size_t i = 0; i < l->n_holds; i++) {
		if (hold(l, &l->holds[i], e) < 0)
			return -1;
		missing |= l->holds[i].missing;
	}
	make_durable(l);
	if (missing && (plan_missing(l, o, e) < 0 || make_all(l, o, e) < 0))
		return -1;
	remember_all(l, o);
	return 0;
}

int layers_open(struct layers *l, const struct layers_options *o, struct err *e)
{
	*l = (struct layers)LAYERS_INIT;
	return open_all(l, o, e) < 0 ? err_wrap(e, "unpack the layers") : 0;
}

void layers_close(struct layers *l)
{
	for (size_t i = 0; i < l->n_holds; i++) {
		free(l->holds[i].name);
		fd_close(&l->holds[i].lock);
	}
	for (size_t i = 0; i < l->n_tables; i++) {
		if (l->own[i])
			layer_plan_fini(l->own[i]);
		free(l->own[i]);
	}
	free(l->holds);
	free(l->plans);
	free(l->own);
	free(l->tables);
	strlist_fini(&l->paths);
	buf_fini(&l->boot);
	fd_close(&l->dir);
	*l = (struct layers)LAYERS_INIT;
}

struct toc_view layers_view(const struct layers *l)
{
	return (struct toc_view){ l->tables, l->n_tables };
}

struct rooting {
	int fd;
	struct toc_entry t;
};

static int make_root(void *arg, struct err *e)
{
	struct rooting *r = arg;
	struct unpack_report report = { 0 };

	return place_meta(&report, r->fd, &r->t, e);
}

int layers_make_root(int fd, const struct toc_view *v, const struct inside *inside,
                     struct err *e)
{
	struct rooting r = { fd, *toc_view_find(v, "", NULL) };

	return inside_call(inside, make_root, &r, e);
}

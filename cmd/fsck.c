/* imgmake fsck: damage in the store. */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "build/rooms.h"
#include "cmd/commands.h"
#include "os/process.h"

struct telling {
	const struct options *o;
	struct buf text;
	json_t *list; /* or NULL */
};

static void found(void *self, const struct fsck_finding *f)
{
	struct telling *t = self;

	buf_addf(&t->text, "%s ", f->kind);
	buf_add_printable(&t->text, f->name, strlen(f->name));
	buf_addf(&t->text, ": %s%s\n", f->problem,
	         f->repaired    ? "; mended"
	         : t->o->repair ? "; could not be mended"
	                        : "");
	if (t->list)
		json_array_append_new(t->list,
		                      json_pack("{s:s,s:s,s:s,s:b}", "kind", f->kind,
		                                "name", f->name, "problem", f->problem,
		                                "repaired", f->repaired));
}

static int check(struct session *s, struct telling *t, struct fsck_report *r,
                 struct err *e)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct fsck_options o = { .repair = s->options->repair,
		                  .threads = cpus > 0 ? (int)cpus : 1,
		                  .progress = terminal_progress(s->terminal),
		                  .stop = session_interrupted(),
		                  .found = found,
		                  .self = t };
	struct rooms *rooms;
	int rc;

	if (rooms_open(&rooms, &s->store, e) < 0)
		return -1;
	o.rooms = rooms_for_fsck(rooms);
	rc = fsck_run(&s->store, &o, r, e);
	rooms_close(rooms);
	return rc;
}

static void summary(struct session *s, struct telling *t, const struct fsck_report *r)
{
	struct buf *out = &t->text;

	if (t->list) {
		session_print_json(
			s, json_pack("{s:s?,s:I,s:I,s:I,s:I,s:O}", "store", s->store.path,
		                     "blobs", (json_int_t)r->blobs, "bytes",
		                     (json_int_t)r->bytes, "records",
		                     (json_int_t)r->records, "repaired",
		                     (json_int_t)r->repaired, "findings", t->list));
		return;
	}
	buf_addf(out, "%lld blobs, ", (long long)r->blobs);
	human_size(out, r->bytes);
	buf_addf(out, ", and %lld records: ", (long long)r->records);
	if (!r->findings)
		buf_adds(out, "clean\n");
	else
		buf_addf(out, "%lld found, %lld mended%s\n", (long long)r->findings,
		         (long long)r->repaired,
		         s->options->repair ? "" : "; imgmake fsck --repair mends");
	session_print(s, out);
}

/* For a process of its own, which ends well, with 1, or by a signal. */
static int try_state(const struct options *o, struct terminal *t)
{
	enum { SECONDS = 100 }; /* of the processor: pages may lead in a circle */
	const struct rlimit none = { 0, 0 }, some = { SECONDS, 2 * SECONDS };
	struct err e;
	int rc;

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)setrlimit(RLIMIT_CPU, &some);
	rc = store_try_state(o->store, &e);
	if (rc < 0)
		terminal_error(t, &e);
	return rc == 0 ? 0 : e.code == ERR_CORRUPT ? 1 : 2;
}

static bool is_fault(int status)
{
	return status == 1 || status == 128 + SIGSEGV || status == 128 + SIGBUS ||
	       status == 128 + SIGABRT || status == 128 + SIGXCPU;
}

/* What is wrong otherwise is said by whoever opens it next. */
static bool state_works(const struct options *o)
{
	const char *argv[] = { "/proc/self/exe", "fsck",
		               "--state",        o->store ? "--store" : NULL,
		               o->store,         NULL };
	AUTO_BUF said = BUF_INIT;
	struct process_options p = {
		.argv = argv, .cwd = -1, .out = &said, .err = &said
	};
	struct err ignored;
	int status;

	return process_run(&p, &status, &ignored) < 0 || !is_fault(status);
}

/* A state that cannot even be read is one finding; without it, all is to be made anew.
 */
static int open_store(struct session *s, struct telling *t, struct fsck_report *r,
                      struct err *e)
{
	const struct options *o = s->options;
	struct terminal *terminal = s->terminal;
	struct fsck_finding damaged = { .kind = "file",
		                        .name = "state.mdb",
		                        .problem = "cannot be read",
		                        .repaired = o->repair };

	if (state_works(o)) {
		if (session_open(s, o, terminal, SESSION_STORE, e) == 0)
			return 0;
		if (e->code != ERR_CORRUPT)
			return -1;
		session_close(s);
	}
	if (o->repair && (store_reset_state(o->store, e) < 0 ||
	                  session_open(s, o, terminal, SESSION_STORE, e) < 0))
		return -1;
	*s = o->repair ? *s : (struct session){ .options = o, .terminal = terminal };
	r->findings++;
	r->repaired += o->repair;
	found(t, &damaged);
	return 0;
}

int cmd_fsck(const struct options *o, struct terminal *t)
{
	struct telling told = { .o = o, .text = BUF_INIT };
	struct fsck_report before = { 0 }, r = { 0 };
	struct session s = { .options = o, .terminal = t };
	struct err e;
	int rc;

	if (o->state_only)
		return try_state(o, t);
	told.list = o->json ? json_array() : NULL;
	rc = open_store(&s, &told, &before, &e);
	if (rc == 0 && s.store.state)
		rc = check(&s, &told, &r, &e);
	r.findings += before.findings;
	r.repaired += before.repaired;
	if (rc == 0)
		summary(&s, &told, &r);
	buf_fini(&told.text);
	json_decref(told.list);
	return rc < 0 ? session_fail(&s, &e) : session_end(&s, r.findings ? 1 : 0);
}

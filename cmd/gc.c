/* imgmake gc, and what a build does of it at its end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/amount.h"
#include "build/rooms.h"
#include "cmd/commands.h"
#include "cmd/table.h"
#include "os/clock.h"

#define EXIT_TIME ((int64_t)2000000000) /* ns that a build may spend on it */

static const char *const kinds[GC_KINDS] = {
	[GC_BLOBS] = "blobs",
	[GC_UNPACKED] = "unpacked layers",
	[GC_CACHES] = "caches of run steps",
	[GC_ROTTEN] = "damaged blobs",
	[GC_LEFTOVERS] = "left by killed builds",
};
static const char *const names[GC_KINDS] = {
	[GC_BLOBS] = "blobs",   [GC_UNPACKED] = "unpacked",   [GC_CACHES] = "caches",
	[GC_ROTTEN] = "rotten", [GC_LEFTOVERS] = "leftovers",
};

/* The option, else the environment variable, else what it was; "none" is -1. */
static int read_bound(const char *option, const char *variable, const char *text,
                      int (*read)(const char *, int64_t *, struct err *), int64_t *out,
                      struct err *e)
{
	const char *from = option;

	if (!text) {
		from = variable;
		text = getenv(variable);
	}
	if (!text || !*text)
		return 0;
	if (!strcmp(text, "none"))
		*out = -1;
	else if (read(text, out, e) < 0)
		return err_wrap(e, "%s", from);
	return 0;
}

static int read_bounds(const struct session *s, struct gc_options *o, struct err *e)
{
	o->max_size = gc_default_size(&s->store);
	o->max_age = GC_DEFAULT_AGE;
	if (read_bound("--max-size", "IMGMAKE_MAX_SIZE", s->options->max_size,
	               amount_size, &o->max_size, e) < 0)
		return -1;
	return read_bound("--max-age", "IMGMAKE_MAX_AGE", s->options->max_age,
	                  amount_duration, &o->max_age, e);
}

static int run(struct session *s, struct gc_options *o, struct gc_report *r,
               struct err *e)
{
	struct rooms *rooms;
	int rc;

	if (rooms_open(&rooms, &s->store, e) < 0)
		return -1;
	rooms_limit(rooms, o->deadline);
	o->rooms = rooms_for_gc(rooms);
	o->stop = session_interrupted();
	rc = gc_run(&s->store, o, r, e);
	rooms_close(rooms);
	return rc;
}

static int64_t bytes_of(const struct gc_count counts[GC_KINDS])
{
	int64_t bytes = 0;

	for (int i = 0; i < GC_KINDS; i++)
		bytes += counts[i].bytes;
	return bytes;
}

/* Where the disk is full, that was said by whatever met it first. */
static bool is_full_disk(const struct err *e)
{
	return e->code == ERR_SYS && (e->sys == ENOSPC || e->sys == EDQUOT);
}

void session_keep_bounds(struct session *s)
{
	struct gc_options o = { .on_exit = true };
	AUTO_BUF removed = BUF_INIT, left = BUF_INIT;
	struct gc_report r;
	struct err e;

	if (!s->build || s->store.read_only || atomic_load(session_interrupted()))
		return;
	if (read_bounds(s, &o, &e) < 0) {
		progress_warning(terminal_progress(s->terminal), "%s", e.msg);
		return;
	}
	if (!gc_due(&s->store, o.max_size))
		return;
	o.deadline = clock_ns() + EXIT_TIME;
	if (run(s, &o, &r, &e) < 0) {
		if (!is_full_disk(&e))
			progress_warning(terminal_progress(s->terminal), "%s", e.msg);
		return;
	}
	if (!bytes_of(r.removed))
		return;
	human_size(&removed, bytes_of(r.removed));
	human_size(&left, bytes_of(r.had) - bytes_of(r.removed) + r.state);
	terminal_note(s->terminal,
	              "gc: removed %s of what was not used for longest; the "
	              "store has %s",
	              removed.s, left.s);
}

static json_t *count_json(const struct gc_count *c)
{
	return json_pack("{s:I,s:I}", "count", (json_int_t)c->n, "bytes",
	                 (json_int_t)c->bytes);
}

static json_t *bound_json(int64_t bound)
{
	return bound < 0 ? json_null() : json_integer(bound);
}

static json_t *to_json(const struct session *s, const struct gc_options *o,
                       const struct gc_report *r)
{
	json_int_t before = bytes_of(r->had) + r->state;
	json_t *all = json_object();

	for (int i = 0; i < GC_KINDS; i++)
		json_object_set_new(all, names[i],
		                    json_pack("{s:o,s:o,s:o}", "had",
		                              count_json(&r->had[i]), "removed",
		                              count_json(&r->removed[i]), "in_use",
		                              count_json(&r->in_use[i])));
	return json_pack("{s:s,s:b,s:o,s:o,s:I,s:I,s:I,s:o,s:b}", "store", s->store.path,
	                 "dry_run", o->dry_run, "max_size", bound_json(o->max_size),
	                 "max_age", bound_json(o->max_age), "before", before, "after",
	                 before - bytes_of(r->removed), "records_removed",
	                 (json_int_t)r->records, "kinds", all, "stopped", r->stopped);
}

static void add_count(struct table *table, const struct gc_count *c)
{
	AUTO_BUF size = BUF_INIT;

	human_size(&size, c->bytes);
	table_addf(table, "%lld", (long long)c->n);
	table_add(table, size.s);
}

static void to_text(const struct gc_options *o, const struct gc_report *r,
                    struct buf *out)
{
	const char *columns[] = { "WHAT", ">HAD",
		                  "",     o->dry_run ? ">WOULD REMOVE" : ">REMOVED",
		                  "",     NULL };
	struct table *table;
	AUTO_BUF left = BUF_INIT;

	columns[2] = columns[4] = ">SIZE";
	table = table_new(columns);
	for (int i = 0; i < GC_KINDS; i++) {
		if (!r->had[i].n)
			continue;
		table_add(table, kinds[i]);
		add_count(table, &r->had[i]);
		add_count(table, &r->removed[i]);
	}
	table_write(table, out);
	table_free(table);
	human_size(&left, bytes_of(r->had) - bytes_of(r->removed) + r->state);
	buf_addf(out, "%s %s%s", o->dry_run ? "would leave" : "the store has", left.s,
	         r->records ? ", " : "\n");
	if (r->records)
		buf_addf(out, "%s %lld records\n",
		         o->dry_run ? "and forget" : "and forgot", (long long)r->records);
}

/* What people may wonder about. */
static void to_notes(struct session *s, const struct gc_options *o,
                     const struct gc_report *r)
{
	int64_t left = bytes_of(r->had) - bytes_of(r->removed) + r->state;
	AUTO_BUF size = BUF_INIT;

	human_size(&size, bytes_of(r->in_use));
	if (bytes_of(r->in_use))
		terminal_note(s->terminal,
		              "%s more would go, but other builds are using the store",
		              size.s);
	else if (o->max_size >= 0 && !o->all && left > o->max_size && !r->stopped)
		terminal_note(s->terminal, "what is left are the records of results");
	if (r->stopped)
		terminal_note(s->terminal, "interrupted; run it again for the rest");
}

int cmd_gc(const struct options *o, struct terminal *t)
{
	struct gc_options gc = { .all = o->all, .dry_run = o->dry_run };
	AUTO_BUF out = BUF_INIT;
	struct gc_report r;
	struct session s;
	struct err e;

	if (session_open(&s, o, t, o->dry_run ? SESSION_STORE_READ : SESSION_STORE, &e) <
	            0 ||
	    read_bounds(&s, &gc, &e) < 0 || run(&s, &gc, &r, &e) < 0)
		return session_fail(&s, &e);
	if (o->json) {
		session_print_json(&s, to_json(&s, &gc, &r));
	} else {
		to_text(&gc, &r, &out);
		session_print(&s, &out);
		to_notes(&s, &gc, &r);
	}
	return session_end(&s, r.stopped ? 2 : 0);
}

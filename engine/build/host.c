/* Commands of the recipe on the host: of `file` and `task` rules, and of checks there. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "build/node.h"
#include "os/file.h"
#include "os/jobserver.h"
#include "os/process.h"

static bool is_on_host(const struct target *t)
{
	return t->kind == TARGET_FILE || t->kind == TARGET_TASK ||
	       (t->kind == TARGET_CHECK && t->on_host);
}

/* A name in MAKEFLAGS ends at the next space. */
static const char *fifo_path(const struct build *b, struct buf *out)
{
	buf_addf(out, "%s/tmp/jobs.%d", b->o.store->path, (int)getpid());
	return strpbrk(out->s, " \t\n") ? NULL : out->s;
}

/* Make as a host rule's command shares our places; where make started us, its own. */
int host_open(struct build *b, struct err *e)
{
	AUTO_BUF path = BUF_INIT;
	const char *fifo;
	bool any = false;

	for (size_t i = 0; i < b->recipe->n_targets; i++)
		any |= is_on_host(b->recipe->targets[i]);
	if (!any || b->o.shared_jobs)
		return 0;
	fifo = fifo_path(b, &path);
	if (file_mkdirs(b->o.store->dir, "tmp", 0700, e) < 0)
		return -1;
	if (fifo)
		unlink(fifo); /* of a killed process with our number */
	return jobserver_new(&b->own_jobs, b->o.jobs, fifo, e);
}

/* GNU make takes the name of a fifo from 4.4 on; what is older has to be given open
 * descriptors, which every version understands. Asked once, when a rule runs. */
static bool make_takes_names(struct build *b)
{
	const char *argv[] = { "make", "--version", NULL };
	AUTO_BUF said = BUF_INIT;
	struct process_options o = {
		.argv = argv, .cwd = -1, .out = &said, .err = &said
	};
	int status, major = 0, minor = 0;
	struct err ignored;

	pthread_mutex_lock(&b->lock);
	if (!b->asked_make) {
		b->asked_make = true;
		b->make_takes_names =
			process_run(&o, &status, &ignored) == 0 && status == 0 &&
			sscanf(said.s, "GNU Make %d.%d", &major, &minor) == 2 &&
			(major > 4 || (major == 4 && minor >= 4));
	}
	pthread_mutex_unlock(&b->lock);
	return b->make_takes_names;
}

static bool sets(const char *pair, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(pair, name, n) && pair[n] == '=';
}

/* The environment of the process, with MAKEFLAGS and one more, "NAME=value" or NULL. The
 * caller frees the array, not the strings. */
static const char **environment(const char *makeflags, const char *more)
{
	AUTO_FREE char *name =
		mem_strndup(more ? more : "", more ? strcspn(more, "=") : 0);
	const char **env;
	size_t n = 0, k = 0;

	while (environ[n])
		n++;
	env = mem_alloc((n + 3) * sizeof(*env));
	env[k++] = makeflags;
	if (more)
		env[k++] = more;
	for (size_t i = 0; i < n; i++)
		if (!sets(environ[i], "MAKEFLAGS") && !(more && sets(environ[i], name)))
			env[k++] = environ[i];
	return env;
}

static void offer_jobs(struct build *b, struct buf *makeflags, int fds[2])
{
	const struct jobserver *j = b->o.shared_jobs ? b->o.shared_jobs : b->own_jobs;

	buf_adds(makeflags, "MAKEFLAGS=");
	jobserver_offer(j, getenv("MAKEFLAGS"), j && make_takes_names(b), makeflags, fds);
	if (b->o.limit_load && !b->o.shared_jobs)
		buf_addf(makeflags, " -l%g", b->o.max_load);
}

struct output_sink {
	struct build *build;
	const char *target;
};

static void print_line(void *self, const char *s, size_t n)
{
	const struct output_sink *o = self;
	AUTO_FREE char *text = mem_strndup(s, n);

	progress_output(o->build->o.progress, o->target, text);
}

static int run(struct build *b, const struct host_command *c, struct process_options *o,
               int *status, struct err *e)
{
	struct output_sink out = { b, c->target };
	AUTO_BUF makeflags = BUF_INIT;
	AUTO_FREE const char **env = NULL;
	int rc;

	offer_jobs(b, &makeflags, o->pass);
	o->env = env = environment(makeflags.s, c->variable);
	o->line = print_line;
	o->line_self = &out;
	progress_begin(b->o.progress, c->target, "commands on the host", -1);
	rc = process_run(o, status, e);
	progress_end(b->o.progress, c->target, "commands on the host", 0);
	progress_output_end(b->o.progress, c->target,
	                    rc == 0 && *status && !build_cancelled(b));
	return rc;
}

int host_run(struct build *b, const struct host_command *c, struct err *e)
{
	AUTO_BUF script = BUF_INIT;
	const char *argv[] = { "/bin/sh", "-ec", NULL, NULL };
	struct process_options o = { .argv = argv, .cwd = c->dir };
	int status;

	for (size_t i = 0; i < c->lines->n; i++)
		buf_addf(&script, "%s\n", c->lines->at[i]);
	argv[2] = script.s;
	if (b->o.no_host)
		return err_set(e, ERR_DENIED, "host commands are refused by --no-host");
	if (run(b, c, &o, &status, e) < 0)
		return -1;
	if (build_cancelled(b))
		return err_set(e, ERR_CANCELLED, "interrupted");
	if (status > 128)
		return err_set(e, ERR_FAILED, "its command was ended by signal %d",
		               status - 128);
	if (status)
		return err_set(e, ERR_FAILED, "its command failed with status %d",
		               status);
	return 0;
}

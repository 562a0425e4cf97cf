#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/fd.h"
#include "sandbox/copy.h"
#include "sandbox/exec.h"
#include "sandbox/exposed.h"
#include "sandbox/filter.h"
#include "sandbox/probe.h"
#include "sandbox/runtime.h"
#include "sandbox/state.h"

int sandbox_open(struct sandbox **out, const struct sandbox_options *o, struct err *e)
{
	struct sandbox *s;
	struct filter_options filter;

	if (o->chroot && o->runtime)
		return err_set(
			e, ERR_INVALID,
			"--runtime needs namespaces, and --isolation=chroot is for "
			"where there are none; leave one of them out");
	s = mem_alloc(sizeof(*s));
	s->userns = s->cgroup = -1;
	probe_all(s, o);
	filter = (struct filter_options){ .flat = s->probe.users == SANDBOX_SINGLE,
		                          .chroot = s->probe.chroot };
	if (filter_make(&s->filter, &filter, e) < 0 ||
	    (o->runtime && runtime_find(&s->runtime, o->runtime, e) < 0)) {
		sandbox_close(s);
		return -1;
	}
	*out = s;
	return 0;
}

void sandbox_close(struct sandbox *s)
{
	if (!s)
		return;
	fd_close(&s->userns);
	fd_close(&s->cgroup);
	free(s->filter.filter);
	runtime_free(s->runtime);
	free(s->pasta);
	free(s->fuse);
	free(s);
}

const struct sandbox_probe *sandbox_probe_get(const struct sandbox *s)
{
	return &s->probe;
}

void sandbox_result_fini(struct sandbox_result *r)
{
	strlist_fini(&r->stubs);
}

/* The first thing that is missing, as the doctor has it. */
static int cannot(const struct sandbox *s, struct err *e)
{
	for (size_t i = 0; i < s->probe.n_findings; i++) {
		const struct sandbox_finding *f = &s->probe.findings[i];

		if (!f->ok && f->needed)
			return err_set(e, ERR_FAILED,
			               "no command can be run here: %s%s%s", f->said,
			               f->remedy[0] ? "; mend it with: " : "", f->remedy);
	}
	return err_set(e, ERR_FAILED, "no command can be run here");
}

static int copy(void *arg, struct err *e)
{
	return copy_layers(arg, e);
}

static int fill_upper(struct sandbox *s, const struct sandbox_spec *spec, struct err *e)
{
	struct copy_options o = { .lower = spec->lower,
		                  .n_lower = spec->n_lower,
		                  .upper = spec->upper };

	return sandbox_call(s, copy, &o, e);
}

static int check_chroot(const struct sandbox_spec *spec, struct err *e)
{
	if (spec->network != SANDBOX_NET_HOST)
		return err_set(
			e, ERR_INVALID,
			"with --isolation=chroot there is only the host's network; "
			"run it where namespaces can be made, or leave network out");
	return exposed_refuse(e);
}

int sandbox_run(struct sandbox *s, const struct sandbox_spec *spec,
                struct sandbox_result *r, struct err *e)
{
	*r = (struct sandbox_result){ .end = SANDBOX_EXITED };
	if (s->probe.users == SANDBOX_NOBODY || s->probe.rootfs == SANDBOX_NO_ROOTFS)
		return cannot(s, e);
	if (s->probe.chroot && check_chroot(spec, e) < 0)
		return -1;
	if (spec->network == SANDBOX_NET_PRIVATE && !s->probe.private_network)
		return err_set(
			e, ERR_NOT_FOUND,
			"a private network needs the program pasta (install passt) and "
			"/dev/net/tun");
	if (s->probe.rootfs == SANDBOX_COPY && !spec->again && fill_upper(s, spec, e) < 0)
		return -1;
	return sandbox_try(s, spec, false, r, e);
}

static int hear_call(int fd, struct err *e)
{
	struct report m;
	ssize_t n;

	do
		n = recv(fd, &m, sizeof(m), 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return 0;
	m.err.msg[sizeof(m.err.msg) - 1] = '\0';
	*e = m.err;
	return -1;
}

int sandbox_call(struct sandbox *s, int (*fn)(void *arg, struct err *e), void *arg,
                 struct err *e)
{
	int pair[2], status = 0, rc;
	pid_t pid;

	if (s->userns < 0)
		return fn(arg, e);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "make a socket");
	pid = fork();
	if (pid == 0)
		exec_call(s->userns, pair[1], fn, arg);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return err_sys(e, "start a process");
	}
	rc = hear_call(pair[0], e);
	close(pair[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (rc == 0 && status)
		return err_set(e, ERR_FAILED, "a helper process ended with status %d",
		               status);
	return rc;
}

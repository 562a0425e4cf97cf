/* Our side of a run: starts the child, hears its reports, follows its output, ends it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/children.h"
#include "os/clock.h"
#include "os/fd.h"
#include "sandbox/chroot.h"
#include "sandbox/clone.h"
#include "sandbox/exec.h"
#include "sandbox/limits.h"
#include "sandbox/lines.h"
#include "sandbox/prepare.h"
#include "sandbox/runtime.h"
#include "sandbox/state.h"

static const int64_t second = 1000000000;

enum { GRACE_S = 10, CHUNK = 64 * 1024 };

struct run {
	struct sandbox *s;
	const struct sandbox_spec *spec;
	struct sandbox_result *result;
	struct child child;
	struct limits limits;
	struct chroot_place place;
	struct lines lines;
	int report, out, pidfd;
	bool started; /* the first process exists */
	bool ended;   /* it said how the command ended */
	bool failed;  /* it said why the command could not be started: */
	struct err error;
	unsigned interrupts; /* as counted before the start */
	int wait_status;
	int64_t deadline; /* next thing to do about the time limit; 0: none */
	bool timed_out;
};

static int know_pid(struct run *r, pid_t pid, struct err *e)
{
	r->child.pid = pid;
	r->started = true;
	setpgid(pid, pid); /* the child does so too: whoever comes first */
	child_register(&r->child, r->interrupts);
	r->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return r->pidfd < 0 ? err_sys(e, "watch the sandbox's first process") : 0;
}

static int take_report(struct run *r, const struct report *m, struct err *e)
{
	switch (m->kind) {
	case REPORT_PID: return know_pid(r, m->number, e);
	case REPORT_STUB: strlist_add(&r->result->stubs, m->text); return 0;
	case REPORT_ERR:
		if (!r->failed) /* what others then say follows from it */
			r->error = m->err;
		r->failed = true;
		return 0;
	case REPORT_END:
		r->wait_status = m->number;
		r->ended = true;
		return 0;
	}
	return 0;
}

/* 1: one was taken; 0: none is there, or none will come any more (*over). */
static int hear(struct run *r, int flags, bool *over, struct err *e)
{
	struct report m;
	ssize_t n = recv(r->report, &m, sizeof(m), flags);

	*over = n == 0 || (n < 0 && errno == ECONNRESET);
	if (n < 0 && (errno == EAGAIN || errno == EINTR || *over))
		return 0;
	if (n < 0)
		return err_sys(e, "hear from the sandbox");
	if (n == 0)
		return 0;
	m.err.msg[sizeof(m.err.msg) - 1] = '\0';
	return take_report(r, &m, e) < 0 ? -1 : 1;
}

static int reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return status;
}

/* Through a child that enters the user namespace and ends. Others may have reported
 * before. */
static int hear_of_first_process(struct run *r, pid_t helper, struct err *e)
{
	bool over = false;
	int rc;

	reap(helper);
	do
		rc = hear(r, MSG_DONTWAIT, &over, e);
	while (rc > 0 && !r->started);
	if (r->started || rc < 0)
		return rc < 0 ? -1 : 0;
	if (!r->failed)
		return err_set(e, ERR_FAILED, "the sandbox ended before it began");
	*e = r->error;
	return -1;
}

static int start(struct run *r, struct setup *setup, struct err *e)
{
	bool direct = setup->userns < 0;
	sigset_t all, before;
	pid_t pid;

	r->interrupts = children_interrupts();
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = direct ? clone_child(exec_namespaces(setup), setup->cgroup, NULL)
	             : clone_child(0, -1, NULL);
	if (pid == 0)
		exec_enter(setup);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	fd_close(&setup->report);
	fd_close(&setup->out);
	if (pid < 0)
		return err_sys(e, "make namespaces");
	if (direct)
		return know_pid(r, pid, e);
	return hear_of_first_process(r, pid, e);
}

static int64_t grace(const struct run *r)
{
	return r->spec->grace_ns ? r->spec->grace_ns : GRACE_S * second;
}

/* The first process hands TERM on; KILL takes it, and with it everything. */
static void check_time(struct run *r)
{
	if (!r->deadline || clock_ns() < r->deadline)
		return;
	kill(r->child.pid, r->timed_out ? r->child.last_signal : SIGTERM);
	r->deadline = r->timed_out ? 0 : clock_ns() + grace(r);
	r->timed_out = true;
}

static int wait_ms(struct run *r)
{
	int ms = child_kill_when_due(&r->child);
	int64_t left;

	if (!r->deadline)
		return ms;
	left = (r->deadline - clock_ns()) / 1000000 + 1;
	if (left < 0)
		left = 0;
	if (left > 3600 * 1000)
		left = 3600 * 1000;
	return ms >= 0 && ms < left ? ms : (int)left;
}

/* 1: something came. */
static int read_output(struct run *r, struct err *e)
{
	char chunk[CHUNK];
	ssize_t n = r->out < 0 ? 0 : read(r->out, chunk, sizeof(chunk));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return err_sys(e, "read the output of the command");
	if (n == 0) {
		fd_close(&r->out);
		return 0;
	}
	lines_add(&r->lines, chunk, (size_t)n);
	return 1;
}

static bool has_exited(const struct run *r)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)r->child.pid, &info, WEXITED | WNOHANG | WNOWAIT) ==
	               0 &&
	       info.si_pid == r->child.pid;
}

static int poll_once(struct run *r, struct err *e)
{
	bool over = false;
	eventfd_t told;
	struct pollfd p[4] = {
		{ .fd = r->out, .events = POLLIN },
		{ .fd = r->pidfd, .events = POLLIN },
		{ .fd = r->child.wake, .events = POLLIN },
		{ .fd = r->report, .events = POLLIN },
	};

	if (poll(p, ARRAY_LEN(p), wait_ms(r)) < 0 && errno != EINTR)
		return err_sys(e, "wait for the command");
	if (p[2].revents && eventfd_read(r->child.wake, &told) < 0)
		return err_sys(e, "wait for the command");
	check_time(r);
	if (p[3].revents && hear(r, MSG_DONTWAIT, &over, e) < 0)
		return -1;
	if (over)
		fd_close(&r->report);
	return p[0].revents && read_output(r, e) < 0 ? -1 : 0;
}

/* All processes are gone when the first one has ended, and so is all that will be
 * written. */
static int follow(struct run *r, struct err *e)
{
	bool over = false;
	int rc;

	while (!has_exited(r))
		if (poll_once(r, e) < 0)
			return -1;
	do
		rc = r->report < 0 ? 0 : hear(r, MSG_DONTWAIT, &over, e);
	while (rc > 0);
	while (rc == 0 && (rc = read_output(r, e)) > 0)
		rc = 0;
	if (rc == 0 && r->failed) {
		*e = r->error;
		rc = -1;
	}
	return rc;
}

/* The sandbox has had the terminal; it is ours again, which only the background is told.
 */
static void take_terminal_back(const struct run *r)
{
	sigset_t stop, before;

	if (!r->spec->interactive || !isatty(0))
		return;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &stop, &before);
	tcsetpgrp(0, getpgrp());
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void end_child(struct run *r, bool kill_it)
{
	siginfo_t info;

	if (!r->started)
		return;
	if (kill_it)
		kill(r->child.pid, r->child.last_signal);
	/* The pid stays taken until nobody can signal it any more. */
	while (waitid(P_PID, (id_t)r->child.pid, &info, WEXITED | WNOWAIT) < 0 &&
	       errno == EINTR)
		continue;
	child_unregister(&r->child);
	reap(r->child.pid);
	take_terminal_back(r);
}

static void judge(struct run *r)
{
	struct sandbox_result *out = r->result;
	int st = r->wait_status;

	if (!r->ended) {
		out->status = 128 + SIGKILL;
		out->end = SANDBOX_SIGNALLED;
	} else if (WIFSIGNALED(st)) {
		out->status = 128 + WTERMSIG(st);
		out->end = SANDBOX_SIGNALLED;
	} else {
		out->status = WEXITSTATUS(st);
		out->end = SANDBOX_EXITED;
	}
	if (limits_out_of_memory(&r->limits))
		out->end = SANDBOX_OUT_OF_MEMORY;
	else if (r->child.kill_at)
		out->end = SANDBOX_INTERRUPTED;
	else if (r->timed_out)
		out->end = SANDBOX_TIMED_OUT;
}

/* The first process has ended all others, or nothing of the image has run. */
static bool is_alone(struct run *r)
{
	bool over;
	struct err e;

	while (r->report >= 0 && hear(r, MSG_DONTWAIT, &over, &e) > 0)
		continue;
	return !r->started || r->ended || r->failed;
}

/* For both outputs, whatever ours are. Who has become another user may not open it anew,
 * but mostly has it for writing, too. */
static int take_terminal(struct setup *setup, struct err *e)
{
	if ((fcntl(0, F_GETFL) & O_ACCMODE) == O_RDWR)
		setup->out = fcntl(0, F_DUPFD_CLOEXEC, 3);
	else
		setup->out = open("/proc/self/fd/0", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	return setup->out < 0 ? err_sys(e, "open the terminal") : 0;
}

static int open_channels(struct run *r, struct setup *setup, struct err *e)
{
	int pair[2], out[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "make a socket");
	r->report = pair[0];
	setup->report = pair[1];
	r->child.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->child.wake < 0)
		return err_sys(e, "make an event fd");
	if (r->spec->interactive)
		return r->spec->on_terminal ? take_terminal(setup, e) : 0;
	if (pipe2(out, O_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	r->out = out[0];
	setup->out = out[1];
	setup->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (setup->in < 0 || fcntl(r->out, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, "open /dev/null");
	return 0;
}

static int run_all(struct run *r, struct setup *setup, struct err *e)
{
	struct prepared p = { 0 };
	struct err more;
	int rc = prepare(&p, setup, e);

	if (rc == 0 && setup->chroot)
		rc = procs_mark_new(&setup->mark, e);
	if (rc == 0 && setup->chroot)
		rc = chroot_open(&r->place, setup, &r->result->stubs, e);
	if (rc == 0)
		rc = limits_new(&r->limits, r->s, r->spec, e);
	setup->cgroup = r->limits.group;
	if (rc == 0)
		rc = open_channels(r, setup, e);
	if (rc == 0 && r->spec->timeout_ns)
		r->deadline = clock_ns() + r->spec->timeout_ns;
	if (rc == 0)
		rc = start(r, setup, e);
	if (rc == 0)
		rc = follow(r, e);
	end_child(r, rc < 0);
	if (setup->chroot && chroot_close(&r->place, is_alone(r), rc < 0 ? &more : e) < 0)
		rc = -1;
	prepared_fini(&p);
	return rc;
}

int sandbox_try(struct sandbox *s, const struct sandbox_spec *spec, bool trial,
                struct sandbox_result *result, struct err *e)
{
	struct run r = {
		.s = s,
		.spec = spec,
		.result = result,
		.report = -1,
		.out = -1,
		.pidfd = -1,
		.child.wake = -1,
		/* KILL takes the first process, and with it its pid namespace. Without
		 * one, it has to end the others itself. */
		.child.last_signal = s->probe.chroot ? SETUP_END_ALL : SIGKILL,
		.place = { .root = -1, .work = -1 },
		.limits.group = -1,
		.lines = { spec->line, spec->line_self, BUF_INIT },
	};
	struct setup setup = {
		.spec = spec,
		.chroot = s->probe.chroot,
		.trial = trial,
		.userns = s->userns,
		.filter = s->filter,
		.user_ns = s->userns >= 0 || !s->initial_userns,
		.many_ids = s->probe.users != SANDBOX_SINGLE,
		.cgroup = -1,
		.report = -1,
		.in = -1,
		.out = -1,
		.rootfs = s->probe.rootfs,
		.fuse = s->probe.rootfs == SANDBOX_FUSE_OVERLAY ? s->fuse : NULL,
		.pasta = s->pasta,
		.pid_max = s->probe.pids == SANDBOX_PIDS_NAMESPACE ? spec->pids : 0,
	};
	struct runtime_texts texts = { 0 };
	int rc;

	if (s->runtime && !trial) {
		runtime_texts_make(&texts, s->runtime, &setup);
		setup.runtime = &texts.call;
	}
	rc = run_all(&r, &setup, e);
	runtime_texts_fini(&texts);
	judge(&r);
	lines_end(&r.lines);
	limits_free(&r.limits);
	fd_close(&r.report);
	fd_close(&r.out);
	fd_close(&r.pidfd);
	fd_close(&r.child.wake);
	fd_close(&setup.report);
	fd_close(&setup.in);
	fd_close(&setup.out);
	return rc;
}

/* The child's side: from the first instruction after clone to the command's exec. Order
 * matters here: what needs rights comes before they are given up, what needs the host's
 * files before they are out of sight, and nothing of the image is run but the command. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/clone.h"
#include "sandbox/exec.h"
#include "sandbox/procs.h"
#include "sandbox/setup.h"
#include "sandbox/target.h"

enum { EXIT_BROKEN = 125 };

void setup_report(const struct setup *s, struct report *r, size_t len)
{
	send(s->report, r, offsetof(struct report, text) + len, MSG_NOSIGNAL);
}

void setup_stub(const struct setup *s, const char *path)
{
	struct report r = { .kind = REPORT_STUB };
	size_t n = strlen(path) + 1;

	if (n <= sizeof(r.text)) {
		memcpy(r.text, path, n);
		setup_report(s, &r, n);
	}
}

static _Noreturn void give_up(const struct setup *s, const struct err *e)
{
	struct report r = { .kind = REPORT_ERR, .err = *e };

	setup_report(s, &r, sizeof(r.err));
	_exit(EXIT_BROKEN);
}

/* All fds of our parent are ours too: locks, other sandboxes' pipes, connections. */
static void close_others(const struct setup *s)
{
	int *k = s->keep, n = 0;
	const int own[] = { s->userns, s->cgroup, s->report, s->in, s->out };
	unsigned from = 3;

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		k[n++] = own[i];
	for (size_t i = 0; i < s->spec->n_mounts; i++)
		k[n++] = s->spec->mounts[i].source;
	for (int i = 1; i < n; i++) /* few, and nothing of the C library that allocates */
		for (int j = i; j > 0 && k[j - 1] > k[j]; j--) {
			int t = k[j];

			k[j] = k[j - 1];
			k[j - 1] = t;
		}
	for (int i = 0; i < n; i++) {
		if (k[i] < (int)from)
			continue;
		if (k[i] > (int)from)
			syscall(SYS_close_range, from, (unsigned)k[i] - 1, 0);
		from = (unsigned)k[i] + 1;
	}
	syscall(SYS_close_range, from, ~0U, 0);
}

/* Without a pid namespace: what we started, and what has our root. */
static int signal_all(const struct setup *s, const struct procs *all, int sig)
{
	if (s->chroot)
		return procs_signal(all, sig);
	return kill(-1, sig);
}

/* Until nothing is left that could start more. Their parents gone, all are ours. */
static int end_all(const struct procs *all, pid_t command, int status)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	pid_t pid;
	int how;

	for (;;) {
		procs_signal(all, SIGKILL);
		while ((pid = waitpid(-1, &how, WNOHANG)) > 0)
			if (pid == command)
				status = how;
		if (pid < 0 && errno == ECHILD)
			return status;
		nanosleep(&pause, NULL);
	}
}

/* Reaps, and hands on TERM, which our parent sends; KILL comes from it too, 10 s later,
 * and takes all with us. When the command has ended we end, and what it left is killed by
 * the kernel. */
static _Noreturn void first_process(struct setup *s, const struct procs *all,
                                    pid_t command)
{
	struct report r = { .kind = REPORT_END };
	sigset_t wanted;
	int status = 0, sig;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGCHLD);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SETUP_END_ALL);
	for (;;) {
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid == command || (pid < 0 && errno == ECHILD))
			break;
		if (pid > 0)
			continue;
		sig = sigwaitinfo(&wanted, NULL);
		if (sig == SETUP_END_ALL)
			break;
		if (sig == SIGTERM) {
			signal_all(s, all, SIGTERM);
			/* A stopped one would never hear it. */
			signal_all(s, all, SIGCONT);
		}
	}
	r.number = s->chroot ? end_all(all, command, status) : status;
	setup_report(s, &r, 0);
	_exit(0);
}

static int hide(struct err *e)
{
	/* What our parent knows is in our memory, and the command may have our uid. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(e, "hide our memory");
	return 0;
}

static int isolate(const struct setup *s, struct err *e)
{
	if (unshare(CLONE_NEWCGROUP) < 0 && errno != EINVAL)
		return err_sys(e, "make a control group namespace");
	if (s->many_ids && syscall(SYS_setgroups, 0, NULL) < 0)
		return err_sys(e, "leave our groups");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(e, "make our mounts private");
	if (sethostname("imgmake", 7) < 0)
		return err_sys(e, "set the host name");
	return 0;
}

/* Returns the fd of the working directory. */
static int build_root(struct setup *s, struct err *e)
{
	struct target workdir = { .kind = TARGET_DIRECTORY };
	int root, stage, fd;

	if (mounts_take_sources(s, e) < 0)
		return -1;
	root = rootfs_mount(s, e);
	stage = root < 0 ? -1 : mounts_stage(s, e);
	if (stage < 0 || devices_mount(s, root, stage, e) < 0 ||
	    mounts_files(s, root, stage, e) < 0 || mounts_user(s, root, stage, e) < 0)
		return -1;
	workdir.root = root;
	fd = target_open(&workdir, s->spec->workdir, e);
	if (fd < 0)
		return err_wrap(e, "working directory");
	if ((s->runtime ? runtime_prepare(s, root, stage, e) : rootfs_enter(root, e)) < 0)
		return -1;
	return fd;
}

static void more_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r); /* if not, fewer layers go */
	}
}

/* All others, which lead to the host's files. */
static void keep_only(int a, int b)
{
	int low = a < b ? a : b, high = a < b ? b : a;

	if (low > 0)
		syscall(SYS_close_range, 0U, (unsigned)low - 1, 0);
	if (high > low + 1)
		syscall(SYS_close_range, (unsigned)low + 1, (unsigned)high - 1, 0);
	syscall(SYS_close_range, (unsigned)high + 1, ~0U, 0);
}

/* So that /dev/stdout can be opened by a user who is not root. Not everywhere allowed. */
static void give_output(const struct setup *s)
{
	if (s->out >= 0 && !s->spec->interactive &&
	    fchown(s->out, s->spec->uid, s->spec->gid) < 0)
		return;
}

/* It may have died before it could be asked for. */
static void end_with_parent(const struct setup *s)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, s->chroot ? SETUP_END_ALL : SIGKILL, 0, 0, 0);
	if (recv(s->report, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		_exit(EXIT_BROKEN);
}

/* A group of our own, which our parent ends as one; with a terminal, the one that it
 * listens to. SIGTTOU is blocked as all are. */
static void lead_group(const struct setup *s)
{
	setpgid(0, 0);
	if (s->spec->interactive && isatty(0))
		tcsetpgrp(0, getpgrp());
}

/* Its root is ready; nothing is mounted and nobody else is kept out of sight. */
static int open_chroot(const struct setup *s, struct procs *all, int *workdir,
                       struct err *e)
{
	struct target t = { .kind = TARGET_DIRECTORY };
	struct stat st;
	int root = open(s->spec->upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	all->proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || all->proc < 0 || fstat(root, &st) < 0)
		return err_sys(e, "open the root file system and /proc");
	*all = (struct procs){ all->proc, st.st_dev, st.st_ino, s->mark };
	t.root = root;
	*workdir = target_open(&t, s->spec->workdir, e);
	if (*workdir < 0)
		return err_wrap(e, "working directory");
	return root;
}

struct command {
	const struct setup *s;
	int root; /* to be entered; -1: we are in it */
	int workdir;
};

static int command_main(void *arg)
{
	const struct command *c = arg;
	struct err e;

	if (c->root >= 0 && rootfs_chroot(c->root, &e) < 0)
		give_up(c->s, &e);
	if (c->s->trial)
		_exit(0);
	if (command_run(c->s, c->workdir, &e) < 0)
		give_up(c->s, &e);
	_exit(EXIT_BROKEN);
}

static pid_t start_command(const struct setup *s, int root, int workdir)
{
	struct command c = { s, root, workdir };
	pid_t pid = clone_for_exec(command_main, &c);
	struct err e;

	if (pid < 0) {
		err_sys(&e, "start a process");
		give_up(s, &e);
	}
	return pid;
}

/* The first process stays outside: it needs /proc to find what it has to end. */
static _Noreturn void chroot_main(struct setup *s)
{
	struct procs all = { .proc = -1 };
	struct err e;
	int workdir = -1, root = open_chroot(s, &all, &workdir, &e);
	pid_t pid;

	if (root < 0 || hide(&e) < 0 || procs_mark_take(&s->mark, &e) < 0)
		give_up(s, &e);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	give_output(s);
	pid = start_command(s, root, workdir);
	keep_only(s->report, all.proc);
	first_process(s, &all, pid);
}

_Noreturn void setup_main(struct setup *s)
{
	struct err e;
	int workdir;
	pid_t pid;

	end_with_parent(s);
	lead_group(s);
	signal(SIGCHLD, SIG_DFL);
	umask(0);
	if (s->chroot)
		chroot_main(s);
	more_files();
	if (isolate(s, &e) < 0 || network_up(s, &e) < 0)
		give_up(s, &e);
	workdir = build_root(s, &e);
	if (workdir < 0 || hide(&e) < 0)
		give_up(s, &e);
	if (s->trial)
		_exit(0);
	give_output(s);
	pid = start_command(s, -1, workdir);
	if (s->runtime) {
		pid = runtime_command(s, pid, &e);
		if (pid < 0)
			give_up(s, &e);
	}
	if (caps_only_kill(&e) < 0)
		give_up(s, &e);
	keep_only(s->report, s->report);
	first_process(s, NULL, pid);
}

_Noreturn void exec_enter(struct setup *s)
{
	struct report r = { .kind = REPORT_PID };
	struct err e;
	pid_t pid;

	close_others(s);
	if (s->userns < 0)
		setup_main(s);
	if (setns(s->userns, CLONE_NEWUSER) < 0) {
		err_sys(&e, "enter the user namespace");
		give_up(s, &e);
	}
	pid = clone_child(exec_namespaces(s) | CLONE_PARENT, s->cgroup, NULL);
	if (pid < 0) {
		err_sys(&e, "make namespaces");
		give_up(s, &e);
	}
	if (pid == 0)
		setup_main(s);
	r.number = pid;
	setup_report(s, &r, 0);
	_exit(0);
}

uint64_t exec_namespaces(const struct setup *s)
{
	if (s->chroot)
		return 0;
	return CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
	       (s->spec->network == SANDBOX_NET_NONE ? CLONE_NEWNET : 0);
}

_Noreturn void exec_end(int status)
{
	_exit(status);
}

_Noreturn void exec_idle(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	syscall(SYS_close_range, 0U, ~0U, 0);
	for (;;)
		pause();
}

_Noreturn void exec_call(int userns, int report, int (*fn)(void *, struct err *),
                         void *arg)
{
	struct report r = { .kind = REPORT_ERR };
	struct setup s = { .report = report };
	bool ok = false;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (setns(userns, CLONE_NEWUSER) < 0)
		err_sys(&r.err, "enter the user namespace");
	else
		ok = fn(arg, &r.err) == 0;
	if (!ok)
		setup_report(&s, &r, sizeof(r.err));
	_exit(!ok);
}

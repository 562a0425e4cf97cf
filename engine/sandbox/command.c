/* The command's own process, from its first process' fork to exec: the last rights go. */
#include <errno.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/setup.h"

static int become_user(const struct setup *s, struct err *e)
{
	const struct sandbox_spec *spec = s->spec;

	/* Not glibc's, which would tell threads that are not here. In a namespace of one
	 * user, setgroups is denied for good. */
	if (s->many_ids && syscall(SYS_setgroups, spec->n_groups, spec->groups) < 0)
		return err_sys(e, "set the groups of the command");
	if (syscall(SYS_setresgid, spec->gid, spec->gid, spec->gid) < 0)
		return err_sys(e, "become group %u", spec->gid);
	if (syscall(SYS_setresuid, spec->uid, spec->uid, spec->uid) < 0)
		return err_sys(e, "become user %u", spec->uid);
	return 0;
}

static int limit(struct err *e)
{
	struct rlimit core = { 0, 0 }, files;

	if (setrlimit(RLIMIT_CORE, &core) < 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_sys(e, "set limits");
	/* 1024 is what programs that use select() need it to be. */
	files.rlim_cur = files.rlim_max < 1024 ? files.rlim_max : 1024;
	return setrlimit(RLIMIT_NOFILE, &files) < 0 ? err_sys(e, "set limits") : 0;
}

static int take_standard_fds(const struct setup *s, struct err *e)
{
	if (s->in >= 0 && dup2(s->in, 0) < 0)
		return err_sys(e, "set the command's input");
	if (s->out >= 0 && (dup2(s->out, 1) < 0 || dup2(s->out, 2) < 0))
		return err_sys(e, "set the command's output");
	if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return err_sys(e, "close what is ours");
	return 0;
}

static void reset_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++) /* SIGKILL and the C library's own refuse: fine */
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int filter(const struct setup *s, struct err *e)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, "give up new privileges");
	if (s->filter.len && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &s->filter) < 0)
		return err_sys(e, "filter system calls");
	return 0;
}

/* Errors that mean "not this one": the next of PATH is tried, and the first said reason
 * kept. */
static int exec_error(const struct setup *s, int reason, struct err *e)
{
	const char *name = s->spec->argv[0];

	errno = reason;
	if (reason == ENOENT && !strchr(name, '/'))
		return err_set(e, ERR_NOT_FOUND,
		               "%s: no such program in the image (PATH)", name);
	if (reason == ENOENT && access(name, F_OK) == 0)
		return err_set(
			e, ERR_NOT_FOUND,
			"%s: the program that runs it (interpreter, #!) is not in the image",
			name);
	if (reason == ENOENT || reason == ENOTDIR)
		return err_set(e, ERR_NOT_FOUND, "%s: no such program in the image",
		               name);
	if (reason == EACCES)
		return err_set(e, ERR_DENIED, "%s: user %u may not run it", name,
		               s->spec->uid);
	if (reason == ENOEXEC)
		return err_set(e, ERR_INVALID,
		               "%s: not a program of this machine, and without a #! line",
		               name);
	return err_sys(e, "run %s", name);
}

static int run_command(const struct setup *s, struct err *e)
{
	int reason = ENOENT;

	for (const char **p = s->programs; *p; p++) {
		execve(*p, (char *const *)s->spec->argv, (char *const *)s->spec->env);
		if (errno == EACCES ||
		    (errno != ENOENT && errno != ENOTDIR && reason == ENOENT))
			reason = errno;
		if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
			break;
	}
	return exec_error(s, reason, e);
}

/* getcwd is where one sees whether a directory of outside has been slipped in. */
static int go_to_workdir(int fd, struct err *e)
{
	char cwd[4096];

	if (fchdir(fd) < 0)
		return err_sys(e, "enter the working directory");
	if (syscall(SYS_getcwd, cwd, sizeof(cwd)) < 0 || cwd[0] != '/')
		return err_set(e, ERR_INVALID,
		               "the working directory is outside of the image");
	return 0;
}

/* The rest is in its config.json. */
static int become_runtime(const struct setup *s, struct err *e)
{
	static const char *const env[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL
	};

	if (limit(e) < 0 || take_standard_fds(s, e) < 0)
		return -1;
	reset_signals();
	execve(s->runtime->argv[0], (char *const *)s->runtime->argv, (char *const *)env);
	return err_sys(e, "run %s", s->runtime->argv[0]);
}

/* Where there is no pid namespace to end with. After the change of user, which clears it.
 */
static void end_with_first_process(const struct setup *s)
{
	if (s->chroot)
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

int command_run(const struct setup *s, int workdir, struct err *e)
{
	umask(022);
	if (!s->spec->interactive)
		setsid();
	if (s->runtime)
		return become_runtime(s, e);
	if (go_to_workdir(workdir, e) < 0 || limit(e) < 0 || caps_limit(s, e) < 0 ||
	    become_user(s, e) < 0 || take_standard_fds(s, e) < 0)
		return -1;
	end_with_first_process(s);
	reset_signals();
	return filter(s, e) < 0 ? -1 : run_command(s, e);
}

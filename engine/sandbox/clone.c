#include "sandbox/clone.h"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

pid_t clone_child(uint64_t flags, int cgroup, int *pidfd)
{
	struct clone_args a = { .flags = flags };

	/* A sibling ends as our parent's children do. */
	a.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD;
	if (cgroup >= 0) {
		a.flags |= CLONE_INTO_CGROUP;
		a.cgroup = (uint64_t)cgroup;
	}
	if (pidfd) {
		a.flags |= CLONE_PIDFD;
		a.pidfd = (uint64_t)(uintptr_t)pidfd;
	}
	return (pid_t)syscall(SYS_clone3, &a, sizeof(a));
}

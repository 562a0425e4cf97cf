#ifndef SANDBOX_CLONE_H
#define SANDBOX_CLONE_H

/* fork, but into namespaces and a control group, and without what fork does in the C
 * library. */
#include <stdint.h>
#include <sys/types.h>

/* `cgroup`: the fd of its directory, or -1. *pidfd, if not NULL, is the caller's to close
 * (close on exec). 0 in the child; -1 and errno. */
pid_t clone_child(uint64_t flags, int cgroup, int *pidfd);

/* A child that is to become another program, in fn(arg), which may not return: until then
 * it has our memory and we wait, so that nothing is copied for it. All else, identity,
 * signals, files and root, is its own. -1 and errno. */
pid_t clone_for_exec(int (*fn)(void *arg), void *arg);

#endif

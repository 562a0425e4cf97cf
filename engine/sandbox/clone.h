#ifndef SANDBOX_CLONE_H
#define SANDBOX_CLONE_H

/* fork, but into namespaces and a control group, and without what fork does in the C
 * library. */
#include <stdint.h>
#include <sys/types.h>

/* `cgroup`: the fd of its directory, or -1. *pidfd, if not NULL, is the caller's to close
 * (close on exec). 0 in the child; -1 and errno. */
pid_t clone_child(uint64_t flags, int cgroup, int *pidfd);

#endif

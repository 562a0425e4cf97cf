#ifndef SANDBOX_PROCS_H
#define SANDBOX_PROCS_H

/* Processes of a command without a pid namespace: found through /proc. Allocates
 * nothing. */
#include <sys/types.h>

struct procs {
	int proc;  /* /proc, open for reading */
	dev_t dev; /* those whose root directory this is */
	ino_t ino;
	pid_t ancestor; /* what does not let us see its own counts if it descends from
	                   here; 0: no */
};

/* Sends it to all there are at the moment; how many that were. */
int procs_signal(const struct procs *p, int sig);

#endif

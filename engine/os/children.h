#ifndef OS_CHILDREN_H
#define OS_CHILDREN_H

/* Which children there are, so that an interrupt reaches all of them. Only process.c and
 * whoever else starts processes need this. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
	struct child *next;
	pid_t pid; /* leads a process group */
	int wake;  /* eventfd of the owner: written when the child was told to end */
	int64_t kill_at; /* monotonic, 0: never */
	bool killed;
	int last_signal; /* when it is due; 0: KILL */
};

/* How often all were interrupted. Read before starting a child and given to
 * child_register, which ends a child that an interrupt in between has missed. */
unsigned children_interrupts(void);
void child_register(struct child *c, unsigned interrupts_before);
/* After its exit and before it is reaped, since its pid may be anybody's afterwards. */
void child_unregister(struct child *c);

/* Milliseconds until an interrupted child is due for KILL, -1 for never; sends it when
 * due. */
int child_kill_when_due(struct child *c);

#endif

#include "os/children.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "os/clock.h"
#include "os/process.h"

enum { GRACE_S = 10 }; /* between TERM and KILL */

/* Process-wide, because a signal to imgmake is: whoever handles it cannot know which
 * threads are waiting for what. */
static struct {
	pthread_mutex_t lock;
	struct child *first;
	unsigned interrupts;
} running = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Under the lock, and the child is not yet reaped: its pid is no other process's. */
static void tell_to_end(struct child *c)
{
	if (c->kill_at)
		return;
	kill(-c->pid, SIGTERM);
	kill(-c->pid, SIGCONT); /* a stopped one would never hear it */
	c->kill_at = clock_ns() + (int64_t)GRACE_S * 1000000000;
	if (eventfd_write(c->wake, 1) < 0)
		return; /* only when it is full, and then it is readable */
}

void process_interrupt_all(void)
{
	pthread_mutex_lock(&running.lock);
	running.interrupts++;
	for (struct child *c = running.first; c; c = c->next)
		tell_to_end(c);
	pthread_mutex_unlock(&running.lock);
}

void process_kill_all(void)
{
	pthread_mutex_lock(&running.lock);
	for (struct child *c = running.first; c; c = c->next)
		kill(-c->pid, SIGKILL);
	pthread_mutex_unlock(&running.lock);
}

unsigned children_interrupts(void)
{
	unsigned n;

	pthread_mutex_lock(&running.lock);
	n = running.interrupts;
	pthread_mutex_unlock(&running.lock);
	return n;
}

void child_register(struct child *c, unsigned interrupts_before)
{
	pthread_mutex_lock(&running.lock);
	c->next = running.first;
	running.first = c;
	if (running.interrupts != interrupts_before)
		tell_to_end(c);
	pthread_mutex_unlock(&running.lock);
}

void child_unregister(struct child *c)
{
	struct child **p = &running.first;

	pthread_mutex_lock(&running.lock);
	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	pthread_mutex_unlock(&running.lock);
}

int child_kill_when_due(struct child *c)
{
	int64_t left = -1;

	pthread_mutex_lock(&running.lock);
	if (c->kill_at && !c->killed) {
		left = (c->kill_at - clock_ns()) / 1000000;
		if (left <= 0) {
			kill(-c->pid, c->last_signal ? c->last_signal : SIGKILL);
			c->killed = true;
			left = -1;
		}
	}
	pthread_mutex_unlock(&running.lock);
	return (int)left;
}

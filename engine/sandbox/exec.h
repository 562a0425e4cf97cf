#ifndef SANDBOX_EXEC_H
#define SANDBOX_EXEC_H

/* Where children begin. These never return to the caller's code. */
#include <stdint.h>

#include "sandbox/setup.h"

/* The namespaces that the sandbox's first process is cloned into. */
uint64_t exec_namespaces(const struct setup *s);

/* Right after clone_child(): into exec_namespaces where there is no user namespace to
 * enter first; else plain, and then the sandbox's first process is a second child of our
 * parent, told as REPORT_PID, and this one ends. */
_Noreturn void exec_enter(struct setup *s);

/* In a child made by fork(): see sandbox_call. Reports REPORT_ERR or nothing. */
_Noreturn void exec_call(int userns, int report, int (*fn)(void *, struct err *),
                         void *arg);

/* In a child made by clone_child() into a new user namespace: waits to be killed. */
_Noreturn void exec_idle(void);

/* _exit, of which there is one place in this room. */
_Noreturn void exec_end(int status);

#endif

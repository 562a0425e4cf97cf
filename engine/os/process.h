#ifndef OS_PROCESS_H
#define OS_PROCESS_H

/* Child processes, always from an argument vector, never through a shell of ours. */
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct process_options {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
	const char *const *env;  /* NULL: the caller's */
	int cwd;                 /* directory fd, or -1 for the caller's */
	int pass[2]; /* become its descriptors 3 and 4; pass[1] 0 or less: it gets none */
	const void *input; /* written to standard input; NULL: /dev/null */
	size_t input_len;
	struct buf *out; /* standard output, at most `limit` bytes; NULL: as `err` */
	struct buf *err; /* standard error; NULL: inherited */
	size_t limit;    /* for each; 0 is 1 MiB. Beyond it the oldest bytes go. */
	/* If set, gets all output instead, in the order written: lines without their
	 * newline, very long ones in pieces. Called on the caller's thread. */
	void (*line)(void *self, const char *s, size_t n);
	void *line_self;
};

/* Runs to the end of the program itself, in a process group of its own; what it left in
 * the background is not waited for. `out` and `err` may be one buffer. *status is the
 * exit status, or 128 + signal. -1 only if it could not be started (ERR_NOT_FOUND when
 * the program does not exist) or its output not read. */
MUST_CHECK int process_run(const struct process_options *o, int *status, struct err *e);

/* Ends children that process_run has running, with their process groups (TERM, and KILL
 * 10 s later). From any thread, but not from a signal handler. */
void process_interrupt_all(void);
/* KILL at once, before an _exit. */
void process_kill_all(void);

#endif

#ifndef CMD_TERMINAL_H
#define CMD_TERMINAL_H

/* The one place that writes to standard error: progress, warnings, errors. From any
 * thread. Results of commands go to standard output, through terminal_print. */
#include <stdbool.h>

#include "base/err.h"
#include "base/progress.h"
#include "cmd/human.h"

enum terminal_mode {
	TERMINAL_PLAIN,  /* a line now and then */
	TERMINAL_TTY,    /* a status line that is rewritten in place */
	TERMINAL_JSON,   /* one JSON object a line */
	TERMINAL_SILENT, /* errors and warnings only */
};

struct terminal;

/* What suits a file: a status line on a terminal that can do it, plain lines elsewhere.
 */
enum terminal_mode terminal_mode_for(int fd);
/* Lines go to `err_fd`, results to `out_fd`; neither is closed. */
struct terminal *terminal_new(enum terminal_mode mode, int out_fd, int err_fd);
void terminal_free(struct terminal *t); /* clears the status line; NULL is fine */
/* From now on all that is said is written into files, too; either may be NULL. */
MUST_CHECK int terminal_record(struct terminal *t, const char *events, const char *trace,
                               struct err *e);
/* Ends them; -1 if something could not be written. To be called before terminal_free. */
MUST_CHECK int terminal_record_end(struct terminal *t, struct err *e);
struct progress *terminal_progress(struct terminal *t);
/* What commands say is shown line by line, as it comes, and not kept together; `bare`:
 * without the name of its target. */
void terminal_output_at_once(struct terminal *t, bool bare);

/* "imgmake: MESSAGE", one line. */
void terminal_error(struct terminal *t, const struct err *e);
/* A line of our own to standard error, not in silent mode. */
void terminal_note(struct terminal *t, const char *fmt, ...) PRINTF(2, 3);
/* Writes to standard output as it is, after clearing the status line. A failure to write
 * is kept for terminal_flush. */
void terminal_print(struct terminal *t, const char *text, size_t n);
/* -1 if something could not be written to standard output (a full disk, a closed pipe).
 */
MUST_CHECK int terminal_flush(struct terminal *t, struct err *e);

#endif

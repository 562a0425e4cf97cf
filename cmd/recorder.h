#ifndef CMD_RECORDER_H
#define CMD_RECORDER_H

/* What happens, written into files beside what is shown: --events and --trace-out. The
 * caller serialises the calls. */
#include "base/err.h"
#include "base/progress.h"

struct recorder;

/* Makes the files, or empties them; NULL: not that one. */
MUST_CHECK int recorder_open(struct recorder **out, const char *events, const char *trace,
                             struct err *e);
/* On the thread that the event comes from. */
void recorder_event(struct recorder *r, const struct progress_event *ev);
/* Errors and notes. */
void recorder_text(struct recorder *r, const char *event, const char *text);
/* -1: something could not be written. Ends it in any case; NULL is fine. */
MUST_CHECK int recorder_close(struct recorder *r, struct err *e);

#endif

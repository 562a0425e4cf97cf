#ifndef CMD_ASK_H
#define CMD_ASK_H

/* What a person, or whoever is at the other end of standard input, says. */
#include "base/buf.h"
#include "base/err.h"

/* ^C, where a terminal has been told to give it as a character: for those who must set
 * the terminal back. */
enum { ASK_INTERRUPT = 3 };

/* Appends one line of standard input, without its newline; the end of input is an empty
 * one. `what` is for messages. Memory is taken once: no copies of a secret are left. */
MUST_CHECK int ask_line(struct buf *out, const char *what, struct err *e);

#endif

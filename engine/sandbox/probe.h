#ifndef SANDBOX_PROBE_H
#define SANDBOX_PROBE_H

/* What this machine allows, by doing it. */
#include "sandbox/state.h"

/* Fills in all but s->filter. */
void probe_all(struct sandbox *s, const struct sandbox_options *o);

/* The path of a program, as execvp would find it; NULL if there is none. The caller
 * frees. */
char *probe_program(const char *name);

#endif

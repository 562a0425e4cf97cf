#ifndef CMD_HUMAN_H
#define CMD_HUMAN_H

/* Numbers and foreign text as people read them. */
#include <stdint.h>

#include "base/buf.h"

void human_size(struct buf *out, int64_t bytes);  /* "77.4 MB", "812 B"; powers of 1000 */
void human_duration(struct buf *out, int64_t ns); /* "120 ms", "1.2 s", "3 min 20 s" */
/* One line of a program's output as it would stand on a terminal in the end: tabs
 * expanded, colours dropped, only what follows the last carriage return; other controls
 * escaped. */
void human_line(struct buf *out, const char *s, size_t n);

#endif

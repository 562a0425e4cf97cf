#ifndef SANDBOX_LINES_H
#define SANDBOX_LINES_H

/* Output of a command, cut into lines as it comes. */
#include "base/buf.h"

struct lines {
	void (*line)(void *self, const char *s, size_t n); /* NULL: nobody listens */
	void *self;
	struct buf part; /* of a line not yet ended */
};

void lines_add(struct lines *l, const char *data, size_t n);
void lines_end(struct lines *l); /* gives the unfinished line, if any, and frees */

#endif

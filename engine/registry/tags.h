#ifndef REGISTRY_TAGS_H
#define REGISTRY_TAGS_H

/* The parts of reading a list of tags that look at foreign bytes. */
#include "base/json.h"
#include "base/vec.h"

/* Target of the link with rel="next" (RFC 8288), or NULL. Caller frees. */
char *tags_next_link(const char *header);
/* Adds the tags of one page. */
MUST_CHECK int tags_read_page(const char *text, size_t n, struct strlist *out,
                              struct err *e);

#endif

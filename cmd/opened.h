#ifndef CMD_OPENED_H
#define CMD_OPENED_H

/* An image by name, with the tables of contents of its layers. */
#include "cmd/session.h"
#include "image/image.h"
#include "publish/image_tables.h"

struct opened {
	struct image image;
	struct image_tables tables;
};

/* A name as session_image takes it, or the digest of what is in the store. Layers are
 * only fetched where their tables are not known. End with opened_fini, also after an
 * error; start from zero. */
MUST_CHECK int opened_init(struct opened *x, struct session *s, const char *name,
                           struct err *e);
void opened_fini(struct opened *x);

#endif

#ifndef PUBLISH_PROMOTE_H
#define PUBLISH_PROMOTE_H

/* `imgmake promote`: gives a digest that is published already a family of tags, without
 * building. */
#include "publish/ship.h"

/* `from` is REPO@DIGEST or REPO:TAG; `to` a repository, NULL for the same. What another
 * repository lacks is mounted where the registries allow it, else streamed through the
 * store; all platforms of an index. */
MUST_CHECK int promote(struct deploy_result *out, const char *from, const char *to,
                       const struct family_options *family, const struct ship_options *o,
                       struct err *e);

#endif

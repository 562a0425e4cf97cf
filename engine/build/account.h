#ifndef BUILD_ACCOUNT_H
#define BUILD_ACCOUNT_H

/* Names of users and groups, as an image's own /etc/passwd and /etc/group give them. Our
 * own parser: the host's name service must not be asked, nor the image's libraries run
 * (CVE-2019-14271). */
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct owner {
	uint32_t uid, gid;
};

/* Reads a file of the image into *text (may be empty); absent is not an error. */
typedef int account_reader(void *self, const char *path, struct buf *text, struct err *e);

/* "uid", "uid:gid", "user", "user:group" or a mixture. A user name alone brings its
 * group; a number alone is also the group, as COPY --chown has it. */
MUST_CHECK int account_resolve(const char *spec, account_reader *read, void *self,
                               struct owner *out, struct err *e);

#endif

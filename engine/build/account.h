#ifndef BUILD_ACCOUNT_H
#define BUILD_ACCOUNT_H

/* Names of users and groups, as an image's own /etc/passwd and /etc/group give them. Our
 * own parser: the host's name service must not be asked, nor the image's libraries run
 * (CVE-2019-14271). */
#include <stdbool.h>
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

/* What a process of an image's user is, as runtimes have it: a number alone has the group
 * that /etc/passwd says, else 0, not its own; without a group in `spec` it is also in
 * those that /etc/group names it in. */
enum { ACCOUNT_GROUPS_MAX = 64 };
struct account_process {
	struct owner owner;
	struct buf home; /* absolute */
	uint32_t groups[ACCOUNT_GROUPS_MAX];
	size_t n_groups;
};
/* `spec` may be "": root. The caller frees out->home, after an error too. */
MUST_CHECK int account_process(const char *spec, account_reader *read, void *self,
                               struct account_process *out, struct err *e);

/* Whether a line that ends at `stop` has the field i, from 0; and where it begins. */
bool account_field(const char *line, const char *stop, int i, const char **out);
/* The lines of such a text: the one after `line`, at most `end`; the one whose first
 * field is `name`, NULL if there is none; and the number in a line's third field. */
const char *account_next(const char *line, const char *end);
const char *account_find(const struct buf *text, const char *name);
bool account_id(const char *line, const char *end, uint32_t *id);

#endif

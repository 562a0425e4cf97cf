#ifndef SANDBOX_EXPOSED_H
#define SANDBOX_EXPOSED_H

/* Credentials that only a chroot would keep from a command: in a last resort, one gap is
 * enough, so there must be none to be had. */
#include "base/err.h"

/* ERR_DENIED names the first that can be read by us, and what to do: a variable of our
 * environment by its name (TOKEN, PASSWORD, SECRET, …), a file that holds registries',
 * clouds' or git's passwords or keys, a socket of docker or of an ssh agent. */
MUST_CHECK int exposed_refuse(struct err *e);

#endif

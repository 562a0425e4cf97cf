#ifndef REGISTRY_LOGIN_H
#define REGISTRY_LOGIN_H

/* Logging in and out: passwords kept where docker, podman and we look for them. */
#include <stdbool.h>

#include "registry/client.h"

struct login {
	const char *host; /* "docker.io" for Docker Hub */
	const char *user, *secret;
};

/* Appends the host that people mean by "registry.example.com:5000",
 * "https://index.docker.io/v1/" or "Docker.io". */
MUST_CHECK int login_host(const char *text, struct buf *out, struct err *e);

/* Asks the host. ERR_DENIED if it refuses them; *wanted: it wants some at all. To be
 * called before anything else is asked of `r`. */
MUST_CHECK int login_check(struct registry *r, const struct login *l, bool *wanted,
                           struct err *e);
/* Keeps them in the file that has an entry of the host, else $DOCKER_CONFIG/config.json,
 * else $REGISTRY_AUTH_FILE, else ~/.docker/config.json; through the helper that the file
 * names. *where (caller frees) is the file or helper. */
MUST_CHECK int login_keep(const struct login *l, char **where, struct err *e);
/* Forgets what files and helpers have for the host; `where` gets each. */
MUST_CHECK int login_forget(const char *host, struct strlist *where, struct err *e);

#endif

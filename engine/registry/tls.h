#ifndef REGISTRY_TLS_H
#define REGISTRY_TLS_H

/* Whom to trust for which host: certs.d/HOST[:PORT]/{*.crt,*.cert,*.key} of containers
 * and of docker (containers-certs.d(5)), on top of the system's authorities. Looked up
 * once a host. */
#include <stdbool.h>

#include "base/vec.h"

struct tls_host {
	char *authority;            /* "host" or "host:port" */
	struct strlist authorities; /* paths of *.crt */
	char *cert, *key;           /* the client's own; NULL: none */
	bool insecure;              /* certificates are not checked */
};

struct tls;
/* `insecure` is copied. */
struct tls *tls_new(const struct strlist *insecure);
void tls_free(struct tls *t);
/* Borrowed, for as long as `t` lives. From any thread. */
const struct tls_host *tls_for(struct tls *t, const char *authority);
/* HOST[:PORT] is on the list, with its port or for all ports. */
bool tls_insecure(struct tls *t, const char *authority);

/* OpenSSL's directory of certificate authorities, if its files are named by hash, else
 * NULL. Looking one authority up there costs nothing, where reading the bundle of all of
 * them costs more than a whole deploy of nothing new. */
const char *tls_system_directory(struct tls *t);

#endif

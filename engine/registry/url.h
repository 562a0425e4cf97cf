#ifndef REGISTRY_URL_H
#define REGISTRY_URL_H

/* http(s) URLs (RFC 3986). What a registry sends is kept byte for byte: paths and queries
 * carry its state and signatures, so nothing is decoded or put together anew. */
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct url {
	char *scheme; /* "http" or "https" */
	char *host;   /* lower case; an IPv6 address without its brackets */
	int port;     /* the scheme's own if none is written */
	bool ipv6;
};

/* Takes http and https with a host; refuses user names, control characters, blanks and
 * bad ports. */
MUST_CHECK int url_parse(struct url *u, const char *text, struct err *e);
void url_fini(struct url *u);
#define AUTO_URL AUTO(url_fini) struct url

/* RFC 3986, 5.2: `ref`, found in the answer to `base`, as an absolute URL without
 * fragment. Caller frees *out. */
MUST_CHECK int url_resolve(char **out, const char *base, const char *ref, struct err *e);
/* `url` with key=value (escaped) appended by `?` or `&`. Caller frees. */
char *url_add_query(const char *url, const char *key, const char *value);
/* Appends `s`, all but unreserved characters percent-encoded. */
void url_escape(struct buf *out, const char *s);

bool url_same_origin(const char *a, const char *b); /* scheme, host and port */
/* "host", or "host:port" where the port is not the scheme's own: what credentials,
 * certificates and messages go by. Caller frees. */
char *url_authority(const struct url *u);

bool url_host_loopback(const char *host); /* 127/8, ::1, localhost, *.localhost */
/* An IP address as such, in a private, loopback, link-local or otherwise inner range. */
bool url_host_inner(const char *host);

#endif

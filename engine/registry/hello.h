#ifndef REGISTRY_HELLO_H
#define REGISTRY_HELLO_H

/* Whether who listens at a host of this machine speaks plain http and no TLS, found out
 * in one round trip: a TLS library needs ten milliseconds to begin with. */
#include <stdbool.h>

/* Says TLS's hello to "host:port". True: the answer was http. Anything else, silence for
 * a moment included, is for a proper handshake to judge. */
bool hello_finds_plain(const char *authority);

#endif

#ifndef REGISTRY_CURL_LATE_H
#define REGISTRY_CURL_LATE_H

/* libcurl, and libssl which it brings along, when first needed (os/late.h). */
#include "base/err.h"

/* Before any function of libcurl, or the few that we use of libssl; starts it. */
MUST_CHECK int curl_late_load(struct err *e);

#endif

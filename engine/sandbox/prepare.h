#ifndef SANDBOX_PREPARE_H
#define SANDBOX_PREPARE_H

/* Everything that a child will need and may not allocate: names, texts, room. */
#include "base/buf.h"
#include "base/vec.h"
#include "sandbox/setup.h"

struct prepared {
	struct strlist programs, sources;
	struct buf resolv, hosts, fuse;
	const char **program_list, **source_list;
	int *trees, *keep;
};

/* Checks the spec and fills in setup from it; what p holds must outlive it. */
MUST_CHECK int prepare(struct prepared *p, struct setup *setup, struct err *e);
void prepared_fini(struct prepared *p);

#endif

#ifndef SANDBOX_RUNTIME_H
#define SANDBOX_RUNTIME_H

/* An OCI runtime in the place of our own last steps: the root with all that is mounted in
 * it, the namespaces, the network and the limits are ours, and it enters the root and
 * runs the command there. So no runtime ever looks for a place in the files of a
 * stranger's image. */
#include "base/buf.h"
#include "base/vec.h"
#include "sandbox/setup.h"

struct runtime {
	char *path; /* of the program */
	bool alone; /* it must stay while the command runs, whose wait status it has */
	/* The command may make devices: they have no effect, since this one keeps the
	 * root mounted as it was. */
	bool devices;
	const char *const *options;
};

/* `name`: crun, runc, runsc, or an absolute path. *out is for runtime_free. ERR_INVALID
 * or ERR_NOT_FOUND say what to do. */
MUST_CHECK int runtime_find(struct runtime **out, const char *name, struct err *e);
void runtime_free(struct runtime *r); /* NULL is fine */
/* Appends those that are in PATH, as "crun, runc". */
void runtime_list(struct buf *out);

/* What setup_runtime points to. */
struct runtime_texts {
	struct buf config;
	struct strlist words;
	const char **argv;
	char *log, *pid_file, *nowhere;
	struct setup_runtime call;
};

/* The bundle's config.json (OCI runtime-spec 1.0.2), and the runtime's command line.
 * t->call is for setup->runtime, and t for runtime_texts_fini, also if all zero. */
void runtime_texts_make(struct runtime_texts *t, const struct runtime *r,
                        const struct setup *s);
void runtime_texts_fini(struct runtime_texts *t);

/* bundle.c */
void bundle_config(struct buf *out, const struct setup *s, const struct runtime *r,
                   bool terminal);

#endif

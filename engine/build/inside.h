#ifndef BUILD_INSIDE_H
#define BUILD_INSIDE_H

/* Commands in finished images and stages. What they change is thrown away. */
#include "build/build.h"
#include "sandbox/sandbox.h"

struct inside_command {
	struct strings script; /* lines of one script, for the image's shell */
	struct strings argv; /* or a program; neither: the image's entrypoint and command
	                      */
	bool shell;          /* or a shell for people */
	bool interactive; /* it has our standard input and outputs; else they are told as
	                     `name`'s */
	bool secrets;     /* it sees those of the build, as files */
	bool ssh;         /* it may use our agent */
	const char *name;
};

/* Runs it in the files of an image or stage that is made, as its user, in its working
 * directory and environment; of several platforms in this machine's. -1: it could not be
 * started, or is not interactive and failed. *res, which is the caller's to
 * sandbox_result_fini in any case, is how it ended. */
MUST_CHECK int build_inside(struct build *b, const struct target *t,
                            const struct inside_command *c, struct sandbox_result *res,
                            struct err *e);

/* The platform that build_inside takes, of those that the target is made for. ERR_INVALID
 * if the programs of none can be run here. */
MUST_CHECK int build_inside_platform(const struct build *b, const struct target *t,
                                     struct platform *out, struct err *e);

#endif

#ifndef SANDBOX_FOREIGN_H
#define SANDBOX_FOREIGN_H

/* Programs of another architecture: run by the processor all the same (arm on arm64), or
 * by an emulator that binfmt_misc calls. Found out by running one. */
#include "base/err.h"

enum foreign {
	FOREIGN_RUNS,
	FOREIGN_REFUSED, /* nothing runs them */
	/* There is an emulator, looked up anew by its name for every program: it is not
	 * in the root of an image. (Flag F of binfmt_misc opens it once and for all.) */
	FOREIGN_OUTSIDE,
};

/* `arch` as in GOARCH. */
MUST_CHECK int foreign_try(enum foreign *out, const char *arch, struct err *e);

#endif

#ifndef IMAGE_ARCHIVE_LATE_H
#define IMAGE_ARCHIVE_LATE_H

/* libarchive, when first needed (os/late.h). */
#include "base/err.h"

/* Before any function of libarchive. Never from within a stranger's root file system. */
MUST_CHECK int archive_late_load(struct err *e);

#endif

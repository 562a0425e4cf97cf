#ifndef BUILD_ACCOUNT_ADD_H
#define BUILD_ACCOUNT_ADD_H

/* Entries in an image's lists of accounts, as useradd and groupadd write them, without a
 * program of the image (passwd(5), group(5), shadow(5), gshadow(5)). */
#include "build/account.h"
#include "recipe/recipe.h"

struct account_files {
	struct buf passwd, group;   /* empty: the image has none yet */
	struct buf shadow, gshadow; /* written only if the image has them */
	bool has_shadow, has_gshadow;
};

/* Adds to the texts. *out is whose the home is. A name or number that is taken is
 * ERR_INVALID, as is a group to be joined that is not there. */
MUST_CHECK int account_add(struct account_files *f, const struct step_account *a,
                           struct owner *out, struct err *e);

#endif

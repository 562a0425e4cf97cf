#ifndef CMD_SHIPPED_H
#define CMD_SHIPPED_H

/* What a deploy, push, copy or promote did, or would do: the closing table, and its JSON.
 */
#include "cmd/session.h"
#include "publish/ship.h"

/* Prints and releases the result. `planned`: nothing was sent. */
void shipped_print(struct session *s, struct deploy_result *r, bool planned);
void ship_options_of(struct session *s, bool plan_only, struct ship_options *out);

#endif

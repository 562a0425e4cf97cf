#ifndef CMD_SHIPPED_H
#define CMD_SHIPPED_H

/* What a deploy, push, copy or promote did, or would do: the closing table, and its JSON.
 */
#include "cmd/session.h"
#include "publish/ship.h"

/* Prints and releases the result. `planned`: nothing was sent. */
void shipped_print(struct session *s, struct deploy_result *r, bool planned);
void ship_options_of(struct session *s, bool plan_only, struct ship_options *out);
/* How much came from registries, and in how many requests: a note for people. */
void shipped_note_received(struct session *s);

#endif

#ifndef CMD_COMMANDS_H
#define CMD_COMMANDS_H

/* One function a command: opens a session, does the work, returns the exit status. */
#include "cmd/session.h"

int cmd_build(const struct options *o, struct terminal *t);
int cmd_plan(const struct options *o, struct terminal *t);
int cmd_check(const struct options *o, struct terminal *t);
int cmd_clean(const struct options *o, struct terminal *t);
int cmd_deploy(const struct options *o, struct terminal *t);
int cmd_why(const struct options *o, struct terminal *t);
int cmd_diff(const struct options *o, struct terminal *t);
int cmd_graph(const struct options *o, struct terminal *t);
int cmd_list(const struct options *o, struct terminal *t);
int cmd_history(const struct options *o, struct terminal *t);
int cmd_inspect(const struct options *o, struct terminal *t);
int cmd_export(const struct options *o, struct terminal *t);
int cmd_import(const struct options *o, struct terminal *t);
int cmd_pull(const struct options *o, struct terminal *t);
int cmd_push(const struct options *o, struct terminal *t);
int cmd_copy(const struct options *o, struct terminal *t);
int cmd_tags(const struct options *o, struct terminal *t);
int cmd_promote(const struct options *o, struct terminal *t);
int cmd_run(const struct options *o, struct terminal *t);
int cmd_shell(const struct options *o, struct terminal *t);
int cmd_init(const struct options *o, struct terminal *t);
extern const char *const init_kinds[]; /* NULL-terminated */
int cmd_doctor(const struct options *o, struct terminal *t);
int cmd_load(const struct options *o, struct terminal *t);
extern const char *const load_engines[]; /* NULL-terminated */
int cmd_login(const struct options *o, struct terminal *t);
int cmd_logout(const struct options *o, struct terminal *t);
int cmd_fsck(const struct options *o, struct terminal *t);
int cmd_cache(const struct options *o, struct terminal *t);
int cmd_gc(const struct options *o, struct terminal *t);
int cmd_completion(const struct options *o, struct terminal *t);
int cmd_lint(const struct options *o, struct terminal *t);
int cmd_convert(const struct options *o, struct terminal *t);
int cmd_size(const struct options *o, struct terminal *t);
int cmd_tree(const struct options *o, struct terminal *t);
int cmd_help(const struct options *o, struct terminal *t);
int cmd_version(const struct options *o, struct terminal *t);

/* why.c: the reasons for a target, at most `most` lines; or all as a JSON list (new
 * reference). */
MUST_CHECK int why_text(struct session *s, const struct target *t, size_t most,
                        struct buf *out, struct err *e);
MUST_CHECK int why_json(struct session *s, const struct target *t, json_t **out,
                        struct err *e);

const char *status_text(enum status s); /* build.c: "up to date" */

#endif

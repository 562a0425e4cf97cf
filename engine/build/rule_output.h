#ifndef BUILD_RULE_OUTPUT_H
#define BUILD_RULE_OUTPUT_H

/* What a host rule makes: what there is of it, and what was left when it was made.
 * Private to build/. */
#include "build/node.h"

struct fileset;
struct project_file;

/* Of STATE_RULES: its state, and which files it has made. */
void rule_state_key(const struct node *n, struct buf *out);
void rule_files_key(const struct node *n, struct buf *out);
/* Relative to its Imagefile's directory; the name is relative to the project's. */
const char *rule_output_path(const struct node *n);

/* What its deps name, hashed; to be freed. */
MUST_CHECK int rule_find_deps(struct node *n, struct fileset **out, struct err *e);
void rule_hash_file(struct hasher *h, const struct project_file *f);

/* 1: *out is the digest of what is there; 0: nothing is. */
MUST_CHECK int rule_output_digest(struct node *n, struct digest *out, struct err *e);
/* The command has ended well: that what it was to make is there, and of the right kind.
 * Appends what is to be kept of its files, for rule_outputs. */
MUST_CHECK int rule_output_take(struct node *n, struct digest *out, struct buf *files,
                                struct err *e);
/* The files that the last making left, in the arena, and those that there are. 0: not
 * known, or nothing is there. */
MUST_CHECK int rule_outputs(struct node *n, struct arena *a, struct record *then,
                            struct key *now, struct err *e);

#endif

#ifndef BUILD_WHY_NOTES_H
#define BUILD_WHY_NOTES_H

/* What changes a target without being an argument of it: variables, files that the recipe
 * has read, and the ignore file. Private to build/. */
#include "build/node.h"

/* In front of names in a target's record that are none of its key. */
#define NOTE '\1'
#define NOTE_PROJECT "\1project" /* its digest is what notes_load finds the others by */

/* "variable NAME" and what was read, by key_name. */
void notes_list(const struct build *b, struct key *k);
/* Keeps them; *out is what notes_load finds them by. */
MUST_CHECK int notes_keep(struct build *b, struct digest *out, struct err *e);
/* 1: *out is filled, in the arena; 0: they are not there any more. */
MUST_CHECK int notes_load(const struct build *b, const struct digest *d, struct arena *a,
                          struct record *out, struct err *e);
/* NOTE "ignore file NAME", if the node's directory has one. */
void note_ignore_file(const struct node *n, struct key *k);

#endif

#ifndef CMD_TABLE_H
#define CMD_TABLE_H

/* Aligned columns for people. The JSON form of the same facts is the command's own. */
#include "base/buf.h"

struct table;

/* `columns` names them, NULL-terminated; a name that starts with `>` is aligned right. */
struct table *table_new(const char *const *columns);
void table_free(struct table *t);                  /* NULL is fine */
void table_add(struct table *t, const char *text); /* next cell; copied, made printable */
void table_addf(struct table *t, const char *fmt, ...) PRINTF(2, 3);
/* Header and rows, two spaces between columns, none at the end of lines. */
void table_write(const struct table *t, struct buf *out);

size_t text_width(const char *s, size_t n); /* columns on a terminal */

#endif

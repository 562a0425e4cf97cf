#ifndef IMAGE_SQLITE_TABLE_H
#define IMAGE_SQLITE_TABLE_H

/* The rows of a table of an SQLite database that lies in memory, and that somebody else
 * may have made up: https://sqlite.org/fileformat2.html. Changes in a write-ahead log
 * beside it are not seen. */
#include "base/buf.h"
#include "base/err.h"

/* Calls fn with the `column`th value of each row, in the order of their keys, where it is
 * a text or a blob; fn returns 0 or -1 with *e set. ERR_NOT_FOUND: no such table;
 * ERR_INVALID: it is no such database, or damaged. */
typedef int sqlite_row_fn(void *self, const void *data, size_t n, struct err *e);
MUST_CHECK int sqlite_table(const struct buf *db, const char *table, size_t column,
                            sqlite_row_fn *fn, void *self, struct err *e);

#endif

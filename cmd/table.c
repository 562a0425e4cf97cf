#include "cmd/table.h"

#include <string.h>

#include "base/glob.h"
#include "base/vec.h"

struct table {
	const char *const *columns;
	size_t n_columns;
	struct strlist cells; /* row by row */
};

struct table *table_new(const char *const *columns)
{
	struct table *t = mem_alloc(sizeof(*t));

	t->columns = columns;
	while (columns[t->n_columns])
		t->n_columns++;
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	strlist_fini(&t->cells);
	free(t);
}

void table_add(struct table *t, const char *text)
{
	struct buf cell = BUF_INIT;

	buf_add_printable(&cell, text, strlen(text));
	strlist_take(&t->cells, buf_take(&cell));
}

void table_addf(struct table *t, const char *fmt, ...)
{
	AUTO_BUF text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	table_add(t, text.s);
}

/* Combining marks take no column, East Asian wide characters and emoji take two. */
static size_t char_width(uint32_t c)
{
	static const struct {
		uint32_t lo, hi;
	} wide[] = {
		{ 0x1100, 0x115f },   { 0x2e80, 0x303e },   { 0x3041, 0xa4cf },
		{ 0xac00, 0xd7a3 },   { 0xf900, 0xfaff },   { 0xfe30, 0xfe6f },
		{ 0xff00, 0xff60 },   { 0xffe0, 0xffe6 },   { 0x1f300, 0x1f64f },
		{ 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd },
	};

	if ((c >= 0x300 && c <= 0x36f) || (c >= 0x200b && c <= 0x200f) ||
	    (c >= 0xfe00 && c <= 0xfe0f))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(wide); i++)
		if (c >= wide[i].lo && c <= wide[i].hi)
			return 2;
	return 1;
}

size_t text_width(const char *s, size_t n)
{
	size_t width = 0;
	uint32_t c;

	for (size_t i = 0; i < n;) {
		i += glob_decode(s + i, n - i, &c);
		width += char_width(c);
	}
	return width;
}

static bool is_right(const struct table *t, size_t column)
{
	return t->columns[column][0] == '>';
}

/* Row 0 is the header. */
static const char *cell(const struct table *t, size_t row, size_t column)
{
	size_t i = (row - 1) * t->n_columns + column;

	if (row == 0)
		return t->columns[column] + is_right(t, column);
	return i < t->cells.len ? t->cells.at[i] : "";
}

static void write_row(const struct table *t, size_t row, const size_t *widths,
                      struct buf *out)
{
	for (size_t c = 0; c < t->n_columns; c++) {
		const char *s = cell(t, row, c);
		int pad = (int)(widths[c] - text_width(s, strlen(s)));

		if (c)
			buf_adds(out, "  ");
		if (is_right(t, c))
			buf_addf(out, "%*s%s", pad, "", s);
		else
			buf_addf(out, "%s%*s", s, pad, "");
	}
	while (out->len && out->s[out->len - 1] == ' ')
		buf_truncate(out, out->len - 1);
	buf_addc(out, '\n');
}

void table_write(const struct table *t, struct buf *out)
{
	AUTO_FREE size_t *widths = mem_alloc((t->n_columns + 1) * sizeof(*widths));
	size_t rows = 1 + (t->cells.len + t->n_columns - 1) / t->n_columns;

	for (size_t r = 0; r < rows; r++) {
		for (size_t c = 0; c < t->n_columns; c++) {
			const char *s = cell(t, r, c);
			size_t w = text_width(s, strlen(s));

			widths[c] = w > widths[c] ? w : widths[c];
		}
	}
	for (size_t r = 0; r < rows; r++)
		write_row(t, r, widths, out);
}

#include "base/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum { NAME_MAX_COMPARED = 64, EDIT = 4, CASE = 1 };

static int replace_cost(char a, char b)
{
	if (a == b)
		return 0;
	return tolower((unsigned char)a) == tolower((unsigned char)b) ? CASE : EDIT;
}

static int smaller(int a, int b)
{
	return a < b ? a : b;
}

/* Optimal string alignment distance, in units of a quarter of an edit; three rows
 * suffice. */
static int distance(const char *a, size_t na, const char *b, size_t nb)
{
	int rows[3][NAME_MAX_COMPARED + 1];

	for (size_t j = 0; j <= nb; j++)
		rows[0][j] = (int)j * EDIT;
	for (size_t i = 1; i <= na; i++) {
		int *now = rows[i % 3], *before = rows[(i + 2) % 3],
		    *second = rows[(i + 1) % 3];

		now[0] = (int)i * EDIT;
		for (size_t j = 1; j <= nb; j++) {
			now[j] = smaller(now[j - 1], before[j]) + EDIT;
			now[j] = smaller(
				now[j], before[j - 1] + replace_cost(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				now[j] = smaller(now[j], second[j - 2] + EDIT);
		}
	}
	return rows[na % 3][nb];
}

const char *nearest_name(const char *name, const char *const *candidates, size_t n)
{
	size_t len = strlen(name);
	int best = (int)(len < 3 ? 3 : len) * EDIT / 3;
	const char *found = NULL;

	if (len == 0 || len > NAME_MAX_COMPARED)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t clen = strlen(candidates[i]);
		int d;

		if (clen == 0 || clen > NAME_MAX_COMPARED)
			continue;
		d = distance(name, len, candidates[i], clen);
		if (d < best || (d == best && !found)) {
			best = d;
			found = candidates[i];
		}
	}
	return found;
}

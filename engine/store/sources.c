#include "store/sources.h"

#include <string.h>

int sources_get(struct state *s, const struct digest *blob, struct strlist *out, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	char *line, *rest;
	int found = state_get(s, STATE_SOURCES, blob->b, DIGEST_SIZE, &text, e);

	if (found <= 0)
		return found;
	for (rest = text.s; (line = strsep(&rest, "\n"));)
		if (*line)
			strlist_add(out, line);
	return 0;
}

int sources_add(struct state *s, const struct digest *blob, const char *repo, struct err *e)
{
	AUTO_STRLIST known = STRLIST_INIT;
	AUTO_BUF text = BUF_INIT;

	if (sources_get(s, blob, &known, e) < 0)
		return -1;
	if (known.len && !strcmp(known.at[0], repo))
		return 0;   /* the common case writes nothing */
	buf_addf(&text, "%s\n", repo);
	for (size_t i = 0; i < known.len && i < SOURCES_MAX - 1; i++)
		if (strcmp(known.at[i], repo) != 0)
			buf_addf(&text, "%s\n", known.at[i]);
	return state_put(s, STATE_SOURCES, blob->b, DIGEST_SIZE, text.s, text.len, e);
}

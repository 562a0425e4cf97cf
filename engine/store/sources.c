#include "store/sources.h"

#include <string.h>

/* A record is a list of repositories, each ended by a NUL. */

int blob_sources_get(struct state *s, const struct digest *blob, struct strlist *out,
                     struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int found = state_get(s, STATE_SOURCES, blob->b, DIGEST_SIZE, &text, e);

	if (found <= 0)
		return found;
	for (size_t i = 0; i < text.len; i += strlen(text.s + i) + 1)
		strlist_add(out, text.s + i);
	return 0;
}

int blob_sources_add(struct state *s, const struct digest *blob, const char *repo,
                     struct err *e)
{
	AUTO_STRLIST known = STRLIST_INIT;
	AUTO_BUF text = BUF_INIT;

	if (blob_sources_get(s, blob, &known, e) < 0)
		return -1;
	if (known.len && !strcmp(known.at[0], repo))
		return 0; /* the common case writes nothing */
	buf_add(&text, repo, strlen(repo) + 1);
	for (size_t i = 0; i < known.len && i < SOURCES_MAX - 1; i++)
		if (strcmp(known.at[i], repo) != 0)
			buf_add(&text, known.at[i], strlen(known.at[i]) + 1);
	return state_put(s, STATE_SOURCES, blob->b, DIGEST_SIZE, text.s, text.len, e);
}

int blob_sources_forget(struct state *s, const struct digest *blob, const char *repo,
                        struct err *e)
{
	AUTO_STRLIST known = STRLIST_INIT;
	AUTO_BUF text = BUF_INIT;

	if (blob_sources_get(s, blob, &known, e) < 0)
		return -1;
	if (!strlist_has(&known, repo))
		return 0;
	for (size_t i = 0; i < known.len; i++)
		if (strcmp(known.at[i], repo) != 0)
			buf_add(&text, known.at[i], strlen(known.at[i]) + 1);
	return state_put(s, STATE_SOURCES, blob->b, DIGEST_SIZE, text.len ? text.s : NULL,
	                 text.len, e);
}

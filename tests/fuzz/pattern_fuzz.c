/* Any text as a pattern, as an ignore file, and as a path (from the last NUL on). What is said
 * about directories has to agree with what is said about the paths below them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/path.h"
#include "base/pattern.h"

static void require(int fine)
{
	if (!fine)
		abort();
}

static void try_pattern(const char *text, const char *dir, const char *path)
{
	struct pattern *p;
	struct err e;

	if (pattern_new(&p, text, &e) < 0) {
		require(e.code == ERR_INVALID || e.code == ERR_LIMIT);
		return;
	}
	if (pattern_match(p, path))
		require(pattern_may_match_below(p, dir));
	if (pattern_is_literal(text)) {
		AUTO_BUF clean = BUF_INIT;

		path_clean(&clean, text);
		require(pattern_match(p, path) == !strcmp(clean.s, path));
		require(pattern_match(p, clean.s));
	}
	pattern_free(p);
}

static void try_ignore(const char *text, size_t n, const char *dir, const char *path)
{
	struct ignore *ig;
	struct err e;

	if (ignore_parse(&ig, text, n, "fuzz", &e) < 0) {
		require(e.code == ERR_INVALID || e.code == ERR_LIMIT);
		return;
	}
	if (ignore_skips_directory(ig, dir))
		require(ignore_matches(ig, dir) && ignore_matches(ig, path));
	if (ignore_matches(ig, dir) && !memchr(text, '!', n))
		require(ignore_matches(ig, path));   /* nothing can bring it back */
	ignore_free(ig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *text = (const char *)data, *nul = n ? memrchr(data, '\0', n) : NULL;
	AUTO_BUF raw = BUF_INIT;
	AUTO_BUF path = BUF_INIT;

	if (!nul || n > 4096)
		return 0;
	buf_add(&raw, nul + 1, n - (size_t)(nul + 1 - text));
	path_clean(&path, raw.s);
	if (path.s[0] == '/' || path_escapes(path.s) || !strcmp(path.s, "."))
		return 0;
	AUTO_FREE char *dir = path_dir(path.s);
	AUTO_FREE char *pattern = mem_strndup(text, strnlen(text, (size_t)(nul - text)));

	try_pattern(pattern, dir, path.s);
	try_ignore(text, (size_t)(nul - text), dir, path.s);
	return 0;
}

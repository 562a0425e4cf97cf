/* Any text as a reference and as a platform. What is accepted keeps the grammar and comes
 * back the same from its own text. */
#include <stdlib.h>
#include <string.h>

#include "image/descriptor.h"
#include "image/layout.h"
#include "image/reference.h"

static void require(int fine)
{
	if (!fine)
		abort();
}

static void try_reference(const char *text)
{
	struct reference r, again;
	struct err e;

	if (reference_parse(&r, text, &e) < 0)
		return;
	AUTO_FREE char *out = reference_text(&r);
	require(r.host[0] && r.repo[0] && (r.tag[0] || r.has_digest));
	require(!strstr(r.repo, "..") && r.repo[0] != '/' &&
		!strpbrk(r.repo, " @:%?#\\"));
	require(!strpbrk(r.host, "/@%?#\\ "));
	require(!r.tag[0] || reference_tag_valid(r.tag));
	require(reference_parse(&again, out, &e) == 0);
	require(!memcmp(&r, &again, sizeof(r)));
}

static void try_platform(const char *text)
{
	struct platform p, again;
	char out[100];
	struct err e;

	if (platform_parse(&p, text, &e) < 0)
		return;
	require(platform_parse(&again, platform_text(&p, out), &e) == 0);
	require(platform_equal(&p, &again) && platform_fits(&p, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	AUTO_FREE char *text = mem_strndup((const char *)bytes, n);
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *tag = NULL;
	enum layout_kind kind;

	try_reference(text);
	try_platform(text);
	require(layout_parse(text, &kind, &path, &tag) == (path != NULL));
	return 0;
}

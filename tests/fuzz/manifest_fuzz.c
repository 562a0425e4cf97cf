/* Any bytes as a manifest and as an index. No document is both; what is accepted is
 * written in a form that is read again and written the same. */
#include <stdlib.h>
#include <string.h>

#include "image/manifest.h"

static void require(int fine)
{
	if (!fine)
		abort();
}

static int try_manifest(const char *text, size_t n)
{
	AUTO_BUF one = BUF_INIT, two = BUF_INIT;
	struct manifest m, again;
	struct err e;

	if (manifest_read(&m, "", text, n, &e) < 0)
		return 0;
	manifest_write(&m, &one);
	require(manifest_read(&again, m.media_type, one.s, one.len, &e) == 0);
	manifest_write(&again, &two);
	require(!strcmp(one.s, two.s) && m.n_layers == again.n_layers);
	manifest_fini(&again);
	manifest_fini(&m);
	return 1;
}

static int try_index(const char *text, size_t n)
{
	AUTO_BUF one = BUF_INIT, two = BUF_INIT;
	struct image_index ix, again;
	struct platform host;
	struct err e;

	if (index_read(&ix, "", text, n, &e) < 0)
		return 0;
	platform_host(&host);
	index_select(&ix, &host);
	index_write(&ix, &one);
	require(index_read(&again, ix.media_type, one.s, one.len, &e) == 0);
	index_write(&again, &two);
	require(!strcmp(one.s, two.s) && ix.n == again.n);
	index_fini(&again);
	index_fini(&ix);
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	require(try_manifest((const char *)bytes, n) +
			try_index((const char *)bytes, n) <=
		1);
	return 0;
}

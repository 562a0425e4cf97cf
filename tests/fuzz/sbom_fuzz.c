/* Any bytes as what a package manager has written down: the first says which. Whatever it
 * holds, what is written is JSON, and the same again. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "image/sbom.h"

static void require(int fine)
{
	if (!fine)
		abort();
}

static const char *const paths[] = {
	[SBOM_SYSTEM] = "etc/os-release",
	[SBOM_DPKG] = "var/lib/dpkg/status",
	[SBOM_DPKG_ONE] = "var/lib/dpkg/status.d/a",
	[SBOM_APK] = "lib/apk/db/installed",
	[SBOM_RPM] = "var/lib/rpm/rpmdb.sqlite",
	[SBOM_NPM] = "node_modules/@a/b/package.json",
	[SBOM_PYTHON] = "lib/a.egg-info",
};

/* 1: accepted. */
static int document(enum sbom_kind kind, const uint8_t *bytes, size_t n, struct buf *out)
{
	struct digest d = { { 1 } };
	struct sbom_subject of = { .name = "x",
		                   .manifest = &d,
		                   .created = "1980-01-02T00:00:00Z" };
	struct buf content = BUF_INIT;
	struct sbom *s = sbom_new();
	struct err e;
	int rc;

	buf_add(&content, bytes, n);
	rc = sbom_add(s, kind, paths[kind], &content, &e);
	if (rc == 0)
		sbom_write(s, &of, out);
	buf_fini(&content);
	sbom_free(s);
	return rc == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	AUTO_BUF one = BUF_INIT, two = BUF_INIT;
	AUTO_JSON *j = NULL;
	enum sbom_kind kind;
	struct err e;

	if (!n)
		return 0;
	kind = 1 + *bytes % SBOM_PYTHON;
	if (!document(kind, bytes + 1, n - 1, &one))
		return 0;
	require(document(kind, bytes + 1, n - 1, &two));
	require(one.len == two.len && !memcmp(one.s, two.s, one.len));
	require(json_read(&j, one.s, one.len, &e) == 0);
	return 0;
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "image/manifest.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DESC(type) "{\"mediaType\":\"" type "\",\"digest\":\"sha256:" HEX "\",\"size\":3}"
#define CONFIG "\"config\":" DESC(MEDIA_OCI_CONFIG)
#define LAYERS "\"layers\":[" DESC(MEDIA_OCI_LAYER_GZIP) "]"
#define ENTRIES "\"manifests\":[" DESC(MEDIA_OCI_MANIFEST) "]"
#define V2 "\"schemaVersion\":2,"
#define TYPE(t) "\"mediaType\":\"" t "\","

static int read_manifest(const char *type, const char *text, struct err *e)
{
	struct manifest m;

	if (manifest_read(&m, type, text, strlen(text), e) < 0)
		return -1;
	manifest_fini(&m);
	return 0;
}

static int read_index(const char *type, const char *text, struct err *e)
{
	struct image_index ix;

	if (index_read(&ix, type, text, strlen(text), e) < 0)
		return -1;
	index_fini(&ix);
	return 0;
}

static void a_manifest_comes_back_as_it_was_written(void **state)
{
	static const char text[] = "{" V2 TYPE(
		MEDIA_OCI_MANIFEST) "\"artifactType\":\"a/b\"," CONFIG ",\"layers\":["
				    "{\"mediaType\":\"" MEDIA_OCI_LAYER
				    "\",\"digest\":\"sha256:" HEX "\",\"size\":3,"
				    "\"annotations\":{\"k\":\"v\"}}],\"subject\":" DESC(
					    MEDIA_OCI_MANIFEST) ",\"annotations\":{\"a\":\"1\",\"b\":\"2\"}}";
	AUTO_BUF out = BUF_INIT;
	struct manifest m;
	struct err e;

	(void)state;
	assert_int_equal(manifest_read(&m, MEDIA_OCI_MANIFEST, text, strlen(text), &e),
	                 0);
	assert_int_equal(m.n_layers, 1);
	assert_string_equal(m.artifact_type, "a/b");
	manifest_write(&m, &out);
	assert_string_equal(out.s, text);
	manifest_fini(&m);
}

static void annotations_are_written_sorted(void **state)
{
	static const char text[] =
		"{" V2 CONFIG "," LAYERS ",\"annotations\":{\"b\":\"2\",\"a\":\"1\"}}";
	AUTO_BUF out = BUF_INIT;
	struct manifest m;
	struct err e;

	(void)state;
	assert_int_equal(manifest_read(&m, "", text, strlen(text), &e), 0);
	manifest_write(&m, &out);
	assert_non_null(strstr(out.s, "\"annotations\":{\"a\":\"1\",\"b\":\"2\"}"));
	manifest_fini(&m);
}

static void an_index_comes_back_as_it_was_written(void **state)
{
	static const char text[] = "{" V2 TYPE(
		MEDIA_DOCKER_INDEX) "\"manifests\":[{\"mediaType\":\"" MEDIA_DOCKER_MANIFEST
				    "\",\"digest\":\"sha256:" HEX
				    "\",\"size\":3,\"annotations\":{\"x\":\"y\"},"
				    "\"platform\":{\"architecture\":\"amd64\",\"os\":\"linux\"}}],"
				    "\"annotations\":{\"z\":\"\"}}";
	AUTO_BUF out = BUF_INIT;
	struct image_index ix;
	struct err e;

	(void)state;
	assert_int_equal(index_read(&ix, "", text, strlen(text), &e), 0);
	index_write(&ix, &out);
	assert_string_equal(out.s, text);
	index_fini(&ix);
}

static void a_body_of_two_meanings_is_refused(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(read_manifest("", "{" V2 CONFIG "," LAYERS "," ENTRIES "}", &e),
	                 -1);
	assert_non_null(strstr(e.msg, "both a manifest and an index"));
	assert_int_equal(read_index("", "{" V2 ENTRIES "," LAYERS "}", &e), -1);
	assert_int_equal(read_index(MEDIA_OCI_INDEX, "{" V2 CONFIG "," LAYERS "}", &e),
	                 -1);
	assert_int_equal(read_manifest(MEDIA_OCI_MANIFEST, "{" V2 ENTRIES "}", &e), -1);
	assert_int_equal(
		read_manifest("", "{" V2 "\"fsLayers\":[]," CONFIG "," LAYERS "}", &e),
		-1);
	/* A duplicate key is another way to say two things. */
	assert_int_equal(read_manifest("", "{" V2 CONFIG "," LAYERS "," LAYERS "}", &e),
	                 -1);
}

static void type_of_body_and_descriptor_must_agree(void **state)
{
	static const char body[] = "{" V2 TYPE(MEDIA_OCI_MANIFEST) CONFIG "," LAYERS "}";
	struct err e;

	(void)state;
	assert_int_equal(read_manifest(MEDIA_OCI_MANIFEST, body, &e), 0);
	assert_int_equal(read_manifest("", body, &e), 0);
	assert_int_equal(read_manifest(MEDIA_DOCKER_MANIFEST, body, &e), -1);
	assert_non_null(strstr(e.msg, "was said to be"));
	assert_int_equal(read_manifest("text/html", "{" V2 CONFIG "," LAYERS "}", &e),
	                 -1);
	assert_int_equal(read_index("", body, &e), -1);
}

static void schema_1_is_refused_with_advice(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(read_manifest("", "{\"schemaVersion\":1,\"fsLayers\":[]}", &e),
	                 -1);
	assert_non_null(strstr(e.msg, "schema 1"));
	assert_non_null(strstr(e.msg, "skopeo"));
	assert_int_equal(
		read_manifest("", "{\"schemaVersion\":3," CONFIG "," LAYERS "}", &e), -1);
	assert_int_equal(read_manifest("", "{" CONFIG "," LAYERS "}", &e), -1);
}

static void what_is_not_as_it_should_be_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"null",
		"{",
		"{" V2 "}",
		"{" V2 CONFIG "}",
		"{" V2 LAYERS "}",
		"{" V2 CONFIG ",\"layers\":{}}",
		"{" V2 CONFIG ",\"layers\":[1]}",
		"{" V2 "\"config\":[]," LAYERS "}",
		"{" V2 CONFIG "," LAYERS ",\"annotations\":{\"a\":1}}",
		"{" V2 CONFIG "," LAYERS ",\"annotations\":[]}",
		"{" V2 CONFIG "," LAYERS ",\"subject\":3}",
		"{" V2 "\"mediaType\":3," CONFIG "," LAYERS "}",
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (read_manifest("", bad[i], &e) == 0)
			fail_msg("accepted: %s", bad[i]);
}

static void layers_are_limited_in_number(void **state)
{
	AUTO_BUF b = BUF_INIT;
	struct err e;

	(void)state;
	buf_adds(&b, "{" V2 CONFIG ",\"layers\":[");
	for (int i = 0; i < 1024; i++)
		buf_addf(&b, "%s%s", i ? "," : "", DESC(MEDIA_OCI_LAYER));
	size_t end = b.len;
	buf_adds(&b, "]}");
	assert_int_equal(read_manifest("", b.s, &e), 0);
	buf_truncate(&b, end);
	buf_adds(&b, "," DESC(MEDIA_OCI_LAYER) "]}");
	assert_int_equal(read_manifest("", b.s, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
}

static void a_config_of_another_type_makes_an_artifact(void **state)
{
	static const char text[] =
		"{" V2 "\"config\":" DESC("application/vnd.oci.empty.v1+json") "," LAYERS
									       "}";
	AUTO_BUF out = BUF_INIT;
	struct manifest m;
	struct err e;

	(void)state;
	assert_int_equal(manifest_read(&m, "", text, strlen(text), &e), 0);
	assert_string_equal(m.artifact_type, "application/vnd.oci.empty.v1+json");
	manifest_write(&m, &out);
	assert_null(strstr(out.s, "artifactType"));
	manifest_fini(&m);
}

static const char *selected(const char *want, const char *const *have, size_t n)
{
	struct descriptor d[8] = { 0 };
	struct image_index ix = { .manifests = d, .n = n };
	const struct descriptor *hit;
	struct platform p;
	struct err e;

	for (size_t i = 0; i < n; i++) {
		if (!strcmp(have[i], "unknown/unknown")) {
			strcpy(d[i].platform.os, "unknown");
			strcpy(d[i].platform.arch, "unknown");
		} else {
			assert_int_equal(platform_parse(&d[i].platform, have[i], &e), 0);
		}
	}
	assert_int_equal(platform_parse(&p, want, &e), 0);
	hit = index_select(&ix, &p);
	return hit ? have[hit - d] : "";
}

static void the_nearest_variant_is_chosen(void **state)
{
	static const char *const have[] = { "linux/arm/v5", "unknown/unknown",
		                            "linux/arm/v6", "linux/amd64",
		                            "linux/arm64" };
	(void)state;
	assert_string_equal(selected("linux/arm/v7", have, 5), "linux/arm/v6");
	assert_string_equal(selected("linux/arm/v5", have, 5), "linux/arm/v5");
	assert_string_equal(selected("linux/amd64/v3", have, 5), "linux/amd64");
	assert_string_equal(selected("linux/arm64/v8", have, 5), "linux/arm64");
	assert_string_equal(selected("linux/s390x", have, 5), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_manifest_comes_back_as_it_was_written),
		cmocka_unit_test(annotations_are_written_sorted),
		cmocka_unit_test(an_index_comes_back_as_it_was_written),
		cmocka_unit_test(a_body_of_two_meanings_is_refused),
		cmocka_unit_test(type_of_body_and_descriptor_must_agree),
		cmocka_unit_test(schema_1_is_refused_with_advice),
		cmocka_unit_test(what_is_not_as_it_should_be_is_refused),
		cmocka_unit_test(layers_are_limited_in_number),
		cmocka_unit_test(a_config_of_another_type_makes_an_artifact),
		cmocka_unit_test(the_nearest_variant_is_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "image/descriptor.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char *const spellings[][2] = {
	{ "linux/amd64", "linux/amd64" },
	{ "linux/x86_64", "linux/amd64" },
	{ "linux/amd64/v1", "linux/amd64" },
	{ "linux/x86_64/v2", "linux/amd64/v2" },
	{ "Linux/AMD64", "linux/amd64" },
	{ "linux/aarch64", "linux/arm64" },
	{ "linux/arm64/v8", "linux/arm64" },
	{ "linux/aarch64/8", "linux/arm64" },
	{ "linux/aarch64/9", "linux/arm64/v9" },
	{ "linux/arm", "linux/arm/v7" },
	{ "linux/arm/6", "linux/arm/v6" },
	{ "linux/armhf", "linux/arm/v7" },
	{ "linux/armel", "linux/arm/v6" },
	{ "linux/i386", "linux/386" },
	{ "macos/arm64", "darwin/arm64" },
	{ "arm64", "linux/arm64" },
	{ "s390x", "linux/s390x" },
};

static void platforms_are_normalised(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
		struct platform p;
		char text[100];
		struct err e;

		if (platform_parse(&p, spellings[i][0], &e) < 0)
			fail_msg("%s", e.msg);
		assert_string_equal(platform_text(&p, text), spellings[i][1]);
	}
}

static void bad_platforms_are_refused(void **state)
{
	static const char *const bad[] = { "",
		                           "/",
		                           "linux/",
		                           "/amd64",
		                           "linux/amd64/",
		                           "a/b/c/d",
		                           "linux//v7",
		                           "nonsense",
		                           "linux/am d64",
		                           "linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct platform p;
		struct err e;

		if (platform_parse(&p, bad[i], &e) == 0)
			fail_msg("'%s' was accepted", bad[i]);
		assert_non_null(strstr(e.msg, "linux/amd64"));
	}
}

static bool fits(const char *want, const char *have)
{
	struct platform w, h;
	struct err e;

	assert_int_equal(platform_parse(&w, want, &e), 0);
	assert_int_equal(platform_parse(&h, have, &e), 0);
	return platform_fits(&w, &h);
}

static void older_instruction_sets_fit(void **state)
{
	(void)state;
	assert_true(fits("linux/arm/v7", "linux/arm/v6"));
	assert_false(fits("linux/arm/v6", "linux/arm/v7"));
	assert_true(fits("linux/amd64/v3", "linux/amd64"));
	assert_true(fits("linux/amd64/v3", "linux/amd64/v2"));
	assert_false(fits("linux/amd64", "linux/amd64/v2"));
	assert_true(fits("linux/arm64/v9", "linux/arm64"));
	assert_false(fits("linux/arm64", "linux/arm64/v9"));
	assert_false(fits("linux/arm64", "linux/arm/v7"));
	assert_false(fits("linux/amd64", "linux/386"));
	assert_false(fits("linux/amd64", "freebsd/amd64"));
	assert_true(fits("linux/mips/x", "linux/mips/x"));
	assert_false(fits("linux/mips/x", "linux/mips"));
}

static void this_machine_is_a_platform(void **state)
{
	struct platform p, again;
	char text[100];
	struct err e;

	(void)state;
	platform_host(&p);
	assert_string_equal(p.os, "linux");
	assert_int_equal(platform_parse(&again, platform_text(&p, text), &e), 0);
	assert_true(platform_equal(&p, &again));
}

static int read_text(struct descriptor *d, const char *text, struct err *e)
{
	AUTO_JSON *j = NULL;

	assert_int_equal(json_read(&j, text, strlen(text), e), 0);
	return descriptor_read(d, j, e);
}

static void a_descriptor_comes_back_as_it_was_written(void **state)
{
	static const char text[] =
		"{\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"digest\":\"sha256:" HEX
		"\",\"size\":7,"
		"\"platform\":{\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":\"v7\"}}";
	struct descriptor d;
	AUTO_BUF out = BUF_INIT;
	struct err e;

	(void)state;
	assert_int_equal(read_text(&d, text, &e), 0);
	assert_int_equal(d.size, 7);
	assert_string_equal(d.platform.variant, "v7");
	AUTO_JSON *j = descriptor_json(&d);
	json_write(&out, j);
	assert_string_equal(out.s, text);
}

static void bad_descriptors_are_refused(void **state)
{
	static const char *const bad[] = {
		"[]",
		"{}",
		"{\"mediaType\":\"a/b\",\"digest\":\"sha256:" HEX "\"}",
		"{\"mediaType\":\"a/b\",\"size\":1}",
		"{\"mediaType\":\"a/b\",\"digest\":\"sha256:" HEX "\",\"size\":-1}",
		"{\"mediaType\":\"a/b\",\"digest\":\"sha256:" HEX "\",\"size\":1.0}",
		"{\"mediaType\":\"a/b\",\"digest\":\"sha256:" HEX "\",\"size\":\"1\"}",
		"{\"mediaType\":\"a/b\",\"digest\":\"sha512:" HEX "\",\"size\":1}",
		"{\"mediaType\":\"a/b\",\"digest\":\"sha256:../../x\",\"size\":1}",
		"{\"mediaType\":\"a/b\\r\\nX: y\",\"digest\":\"sha256:" HEX
		"\",\"size\":1}",
		"{\"mediaType\":\"ab\",\"digest\":\"sha256:" HEX "\",\"size\":1}",
		"{\"mediaType\":\"a/b\",\"digest\":\"sha256:" HEX
		"\",\"size\":1,\"platform\":{}}",
		"{\"mediaType\":\"a/b\",\"digest\":\"sha256:" HEX
		"\",\"size\":1,\"platform\":"
		"{\"os\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"architecture\":\"x\"}}",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct descriptor d;
		struct err e;

		if (read_text(&d, bad[i], &e) == 0)
			fail_msg("accepted: %s", bad[i]);
	}
}

static void layers_that_lie_elsewhere_are_refused(void **state)
{
	enum codec codec;
	struct err e;

	(void)state;
	assert_int_equal(media_layer_codec(MEDIA_OCI_LAYER, &codec, &e), 0);
	assert_int_equal(codec, CODEC_NONE);
	assert_int_equal(media_layer_codec(MEDIA_DOCKER_LAYER_GZIP, &codec, &e), 0);
	assert_int_equal(codec, CODEC_GZIP);
	assert_int_equal(media_layer_codec(MEDIA_OCI_LAYER_ZSTD, &codec, &e), 0);
	assert_int_equal(codec, CODEC_ZSTD);
	assert_int_equal(
		media_layer_codec(
			"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
			&codec, &e),
		-1);
	assert_non_null(strstr(e.msg, "outside the registry"));
	assert_int_equal(media_layer_codec(MEDIA_OCI_LAYER_GZIP "+encrypted", &codec, &e),
	                 -1);
	assert_non_null(strstr(e.msg, "encrypted"));
	assert_int_equal(media_layer_codec(MEDIA_OCI_CONFIG, &codec, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(platforms_are_normalised),
		cmocka_unit_test(bad_platforms_are_refused),
		cmocka_unit_test(older_instruction_sets_fit),
		cmocka_unit_test(this_machine_is_a_platform),
		cmocka_unit_test(a_descriptor_comes_back_as_it_was_written),
		cmocka_unit_test(bad_descriptors_are_refused),
		cmocka_unit_test(layers_that_lie_elsewhere_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

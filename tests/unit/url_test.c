#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "registry/url.h"

static void references_resolve_as_rfc_3986_says(void **state)
{
	static const char base[] = "http://a/b/c/d;p?q";
	static const struct {
		const char *ref, *want;
	} rows[] = {
		/* 5.4.1 and 5.4.2 */
		{ "g", "http://a/b/c/g" },
		{ "./g", "http://a/b/c/g" },
		{ "g/", "http://a/b/c/g/" },
		{ "/g", "http://a/g" },
		{ "//g", "http://g" },
		{ "?y", "http://a/b/c/d;p?y" },
		{ "g?y", "http://a/b/c/g?y" },
		{ "#s", "http://a/b/c/d;p?q" },
		{ "", "http://a/b/c/d;p?q" },
		{ ".", "http://a/b/c/" },
		{ "..", "http://a/b/" },
		{ "../g", "http://a/b/g" },
		{ "../..", "http://a/" },
		{ "../../../g", "http://a/g" },
		{ "/./g", "http://a/g" },
		{ "/../g", "http://a/g" },
		{ "g.", "http://a/b/c/g." },
		{ "..g", "http://a/b/c/..g" },
		{ "./../g", "http://a/b/g" },
		{ "./g/.", "http://a/b/c/g/" },
		{ "g/../h", "http://a/b/c/h" },
		{ "g?y/../x", "http://a/b/c/g?y/../x" },
		{ "https://x/y?z#f", "https://x/y?z" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e;
		char *got;

		assert_int_equal(url_resolve(&got, base, rows[i].ref, &e), 0);
		assert_string_equal(got, rows[i].want);
		free(got);
	}
}

static void state_in_a_query_is_kept_and_the_digest_appended(void **state)
{
	static const char *const rows[][2] = {
		{ "https://r/u/1", "https://r/u/1?digest=sha256%3Aab" },
		{ "https://r/u/1?_state=a%2Bb%3D",
		  "https://r/u/1?_state=a%2Bb%3D&digest=sha256%3Aab" },
		{ "https://r/u/1?", "https://r/u/1?digest=sha256%3Aab" },
		{ "https://r/u/1?a&", "https://r/u/1?a&digest=sha256%3Aab" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *got = url_add_query(rows[i][0], "digest", "sha256:ab");

		assert_string_equal(got, rows[i][1]);
		free(got);
	}
}

static void bad_urls_are_refused(void **state)
{
	static const char *const rows[] = {
		"",
		"file:///etc/passwd",
		"ftp://a/",
		"http://",
		"http:///x",
		"http://user:pw@host/",
		"http://a b/",
		"http://a\r\nX: y/",
		"http://a:0/",
		"http://a:65536/",
		"http://a:9x/",
		"http://[::1/",
		"http://[zz]/",
		"http://a\\b/",
		"http://a/\x7f",
		"http://..",
		"http://[::1]x/",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct url u;
		struct err e;

		assert_int_equal(url_parse(&u, rows[i], &e), -1);
		url_fini(&u);
	}
}

static void a_secret_in_the_query_is_not_in_the_message(void **state)
{
	struct url u;
	struct err e;

	(void)state;
	assert_int_equal(url_parse(&u, "ftp://a/b?sig=hush", &e), -1);
	assert_null(strstr(e.msg, "hush"));
}

static void origins_are_scheme_host_and_port(void **state)
{
	(void)state;
	assert_true(url_same_origin("https://A/x", "https://a:443/y"));
	assert_true(url_same_origin("http://a:80/x", "http://a/"));
	assert_false(url_same_origin("https://a/", "http://a/"));
	assert_false(url_same_origin("https://a/", "https://a:444/"));
	assert_false(url_same_origin("https://a/", "https://a.b/"));
	assert_false(url_same_origin("https://a/", "no url"));
}

static void authorities_leave_out_the_usual_port(void **state)
{
	static const char *const rows[][2] = {
		{ "https://Registry.example/x", "registry.example" },
		{ "https://r:443/", "r" },
		{ "http://r:443/", "r:443" },
		{ "https://[2001:DB8::1]:5000/", "[2001:db8::1]:5000" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct url u;
		struct err e;
		char *got;

		assert_int_equal(url_parse(&u, rows[i][0], &e), 0);
		got = url_authority(&u);
		assert_string_equal(got, rows[i][1]);
		free(got);
		url_fini(&u);
	}
}

static void inner_and_loopback_hosts_are_known(void **state)
{
	static const char *const inner[] = {
		"127.0.0.1",   "10.1.2.3",        "172.16.0.1", "172.31.9.9",
		"192.168.0.1", "169.254.169.254", "0.0.0.0",    "127.1",
		"0x7f000001",  "100.64.0.1",      "::1",        "fe80::1",
		"fd00::1",     "::ffff:10.0.0.1"
	};
	static const char *const outer[] = { "8.8.8.8",       "172.32.0.1",
		                             "172.15.0.1",    "100.63.0.1",
		                             "2001:db8::1",   "registry.example",
		                             "::ffff:8.8.8.8" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(inner); i++)
		assert_true(url_host_inner(inner[i]));
	for (size_t i = 0; i < ARRAY_LEN(outer); i++)
		assert_false(url_host_inner(outer[i]));
	assert_true(url_host_loopback("localhost"));
	assert_true(url_host_loopback("a.localhost"));
	assert_true(url_host_loopback("127.9.9.9"));
	assert_true(url_host_loopback("::1"));
	assert_false(url_host_loopback("localhost.example"));
	assert_false(url_host_loopback("notlocalhost"));
	assert_false(url_host_loopback("128.0.0.1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references_resolve_as_rfc_3986_says),
		cmocka_unit_test(state_in_a_query_is_kept_and_the_digest_appended),
		cmocka_unit_test(bad_urls_are_refused),
		cmocka_unit_test(a_secret_in_the_query_is_not_in_the_message),
		cmocka_unit_test(origins_are_scheme_host_and_port),
		cmocka_unit_test(authorities_leave_out_the_usual_port),
		cmocka_unit_test(inner_and_loopback_hosts_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

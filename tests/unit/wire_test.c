/* The small parsers of the registry client: Retry-After, Link, Range, mirrors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "registry/blob.h"
#include "registry/curl_late.h"
#include "registry/mirror.h"
#include "registry/retry.h"
#include "registry/tags.h"

static void retry_after_takes_seconds_and_dates_up_to_five_minutes(void **state)
{
	int64_t now = 784111777 - 60; /* a minute before Sun, 06 Nov 1994 08:49:37 GMT */
	struct err e;

	(void)state;
	assert_int_equal(curl_late_load(&e), 0);
	assert_int_equal(retry_after("7", now), 7);
	assert_int_equal(retry_after("0", now), 0);
	assert_int_equal(retry_after("999999999999999999999", now), 300);
	assert_int_equal(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), 60);
	assert_int_equal(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now + 100), 0);
	assert_int_equal(retry_after("soon", now), -1);
}

static void backoff_grows_with_jitter(void **state)
{
	(void)state;
	for (int n = 0; n < 5; n++) {
		assert_true(retry_backoff(n, 0) < retry_backoff(n, 1023));
		assert_true(retry_backoff(n, 1023) <= retry_backoff(n + 1, 0));
	}
}

static void only_what_may_pass_is_retried(void **state)
{
	(void)state;
	assert_true(retry_status(429) && retry_status(408) && retry_status(500) &&
	            retry_status(503));
	assert_false(retry_status(404) || retry_status(401) || retry_status(501) ||
	             retry_status(200));
}

static void the_next_link_is_found_among_others(void **state)
{
	static const char *const rows[][2] = {
		{ "</v2/x/tags/list?last=a&n=1>; rel=\"next\"",
		  "/v2/x/tags/list?last=a&n=1" },
		{ "</a>; rel=prev, </b>; rel=next", "/b" },
		{ "</a>; title=\"x\"; rel=\"next\"", "/a" },
		{ "</a>; rel=\"nextish\"", NULL },
		{ "</a>", NULL },
		{ "</a", NULL },
		{ "", NULL },
		{ "<>", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *got = tags_next_link(rows[i][0]);

		if (rows[i][1])
			assert_string_equal(got, rows[i][1]);
		else
			assert_null(got);
		free(got);
	}
	assert_null(tags_next_link(NULL));
}

static void nulls_and_digests_are_no_tags(void **state)
{
	static const char page[] =
		"{\"name\":\"x\",\"tags\":[\"b\",null,\"sha256:ab\",7,\"a\",\"-no\"]}";
	struct strlist got = STRLIST_INIT;
	struct err e;

	(void)state;
	assert_int_equal(tags_read_page(page, strlen(page), &got, &e), 0);
	assert_int_equal(got.len, 2);
	assert_int_equal(tags_read_page("{\"tags\":null}", 13, &got, &e), 0);
	assert_int_equal(got.len, 2);
	strlist_fini(&got);
}

static void session_ranges_tell_the_next_byte(void **state)
{
	(void)state;
	assert_int_equal(upload_offset("0-99"), 100);
	assert_int_equal(upload_offset("bytes=0-99"), 100);
	assert_int_equal(upload_offset("5-99"), -1);
	assert_int_equal(upload_offset("0--1"), -1);
	assert_int_equal(upload_offset("0-99999999999999999999"), -1);
	assert_int_equal(upload_offset(NULL), -1);
	assert_int_equal(download_start("bytes 100-199/200"), 100);
	assert_int_equal(download_start("100-199/200"), -1);
	assert_int_equal(download_start(NULL), -1);
}

static void mirrors_map_names(void **state)
{
	struct reference ref = { .host = "docker.io", .repo = "library/alpine" }, out;

	(void)state;
	assert_int_equal(mirror_map("docker.io=m.example", &ref, &out), 1);
	assert_string_equal(out.host, "m.example");
	assert_string_equal(out.repo, "library/alpine");
	assert_int_equal(mirror_map("docker.io=m.example:5000/hub/", &ref, &out), 1);
	assert_string_equal(out.host, "m.example:5000");
	assert_string_equal(out.repo, "hub/library/alpine");
	assert_int_equal(mirror_map("quay.io=m.example", &ref, &out), 0);
	assert_int_equal(mirror_map("docker.io", &ref, &out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(retry_after_takes_seconds_and_dates_up_to_five_minutes),
		cmocka_unit_test(backoff_grows_with_jitter),
		cmocka_unit_test(only_what_may_pass_is_retried),
		cmocka_unit_test(the_next_link_is_found_among_others),
		cmocka_unit_test(nulls_and_digests_are_no_tags),
		cmocka_unit_test(session_ranges_tell_the_next_byte),
		cmocka_unit_test(mirrors_map_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "image/reference.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define CUT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

struct row {
	const char *text, *host, *repo, *tag;
	int has_digest;
};

static const struct row good[] = {
	{ "ubuntu", "docker.io", "library/ubuntu", "latest", 0 },
	{ "ubuntu:24.04", "docker.io", "library/ubuntu", "24.04", 0 },
	{ "team/app", "docker.io", "team/app", "latest", 0 },
	{ "docker.io/ubuntu", "docker.io", "library/ubuntu", "latest", 0 },
	{ "index.docker.io/ubuntu", "docker.io", "library/ubuntu", "latest", 0 },
	{ "docker.io/library/ubuntu", "docker.io", "library/ubuntu", "latest", 0 },
	{ "localhost/app", "localhost", "app", "latest", 0 },
	{ "localhost:5000/app:1", "localhost:5000", "app", "1", 0 },
	{ "LOCALHOST/app", "LOCALHOST", "app", "latest", 0 },
	{ "Registry/app", "Registry", "app", "latest", 0 },
	{ "registry/app", "docker.io", "registry/app", "latest", 0 },
	{ "r.example.com/a/b__c/d---e:v1", "r.example.com", "a/b__c/d---e", "v1", 0 },
	{ "[::1]:5000/app", "[::1]:5000", "app", "latest", 0 },
	{ "[fe80::1]/app:x", "[fe80::1]", "app", "x", 0 },
	{ "r.example.com/app@sha256:" HEX, "r.example.com", "app", "", 1 },
	{ "r.example.com/app:1.2@sha256:" HEX, "r.example.com", "app", "1.2", 1 },
	{ "localhost:5000", "docker.io", "library/localhost", "5000", 0 },
	{ "r.example.com/" HEX, "r.example.com", HEX, "latest", 0 },
	{ CUT, "docker.io", "library/" CUT, "latest", 0 },
};

static void names_are_read_as_docker_reads_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct reference r;
		struct err e;

		if (reference_parse(&r, good[i].text, &e) < 0)
			fail_msg("%s: %s", good[i].text, e.msg);
		assert_string_equal(r.host, good[i].host);
		assert_string_equal(r.repo, good[i].repo);
		assert_string_equal(r.tag, good[i].tag);
		assert_int_equal(r.has_digest, good[i].has_digest);
	}
}

static const char *const bad[][2] = {
	{ "", "empty" },
	{ "Ubuntu", "upper-case" },
	{ "r.example.com/Team/app", "upper-case" },
	{ "https://r.example.com/app", "leave out 'https://'" },
	{ "r.example.com/", "empty" },
	{ "r.example.com//app", "empty" },
	{ "/app", "empty" },
	{ "a b", "spaces" },
	{ "app:", "not a valid tag" },
	{ "app:-x", "not a valid tag" },
	{ "app:a:b", "not a valid tag" },
	{ "a..b", "'a..b' is not a valid component" },
	{ "a___b", "not a valid component" },
	{ "-a", "not a valid component" },
	{ "a-", "not a valid component" },
	{ "a/b_", "not a valid component" },
	{ "../etc", "not a host name" },
	{ "r.example.com:0/app", "not a host name" },
	{ "r.example.com:65536/app", "not a host name" },
	{ "r.example.com:x/app", "not a host name" },
	{ "-r.example.com/app", "not a host name" },
	{ "r..example/app", "not a host name" },
	{ "[::1/app", "not a host name" },
	{ "[]:5000/app", "not a host name" },
	{ "app@sha256:12", "is no digest" },
	{ "app@sha512:" HEX, "is no digest" },
	{ "app@", "is no digest" },
	{ "@sha256:" HEX, "empty" },
	{ HEX, "image ID" },
};

static void bad_names_say_what_is_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct reference r;
		struct err e;

		if (reference_parse(&r, bad[i][0], &e) == 0)
			fail_msg("'%s' was accepted", bad[i][0]);
		assert_int_equal(e.code, ERR_INVALID);
		if (!strstr(e.msg, bad[i][1]))
			fail_msg("'%s': %s", bad[i][0], e.msg);
	}
}

static void lengths_are_limited(void **state)
{
	char text[600] = "r.example.com/";
	struct reference r;
	struct err e;

	(void)state;
	memset(text + 14, 'a', 255);
	assert_int_equal(reference_parse(&r, text, &e), 0);
	assert_int_equal(strlen(r.repo), 255);
	text[14 + 255] = 'a';
	assert_int_equal(reference_parse(&r, text, &e), -1);
	/* The prefix counts. */
	memset(text, 'a', 255);
	text[255] = '\0';
	assert_int_equal(reference_parse(&r, text, &e), -1);

	memset(text, 0, sizeof(text));
	strcpy(text, "a:");
	memset(text + 2, 't', 128);
	assert_int_equal(reference_parse(&r, text, &e), 0);
	text[130] = 't';
	assert_int_equal(reference_parse(&r, text, &e), -1);

	memset(text, 0, sizeof(text));
	memset(text, 'h', 300);
	strcpy(text + 300, ".com/app");
	assert_int_equal(reference_parse(&r, text, &e), -1);
}

static void text_leads_back_to_the_reference(void **state)
{
	struct reference r, again;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		AUTO_FREE char *text = NULL;

		assert_int_equal(reference_parse(&r, good[i].text, &e), 0);
		text = reference_text(&r);
		assert_int_equal(reference_parse(&again, text, &e), 0);
		assert_memory_equal(&r, &again, sizeof(r));
	}
}

static void a_repository_has_neither_tag_nor_digest(void **state)
{
	struct reference r;
	struct err e;

	(void)state;
	assert_int_equal(reference_parse_repo(&r, "r.example.com:5000/a/b", &e), 0);
	assert_string_equal(r.tag, "");
	AUTO_FREE char *text = reference_repo_text(&r);
	assert_string_equal(text, "r.example.com:5000/a/b");
	assert_int_equal(reference_parse_repo(&r, "r.example.com:5000/a/b:1", &e), -1);
	assert_non_null(strstr(e.msg, "leave out the tag"));
	assert_int_equal(reference_parse_repo(&r, "a@sha256:" HEX, &e), -1);
	assert_non_null(strstr(e.msg, "leave out the digest"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_read_as_docker_reads_them),
		cmocka_unit_test(bad_names_say_what_is_wrong),
		cmocka_unit_test(lengths_are_limited),
		cmocka_unit_test(text_leads_back_to_the_reference),
		cmocka_unit_test(a_repository_has_neither_tag_nor_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

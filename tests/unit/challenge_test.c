#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "registry/challenge.h"

struct row {
	const char *headers[3];
	enum auth_scheme scheme;
	const char *realm, *service, *scope;
};

static const struct row rows[] = {
	{ { "Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:x:pull,push\"" },
	  AUTH_BEARER,
	  "https://a/t",
	  "s",
	  "repository:x:pull,push" },
	{ { "Basic realm=\"r\"" }, AUTH_BASIC, "r", "", "" },
	{ { "Basic realm=\"r\", Bearer realm=\"https://a/t\",service=\"s\"" },
	  AUTH_BEARER,
	  "https://a/t",
	  "s",
	  "" },
	{ { "Bearer realm=\"https://a/t\"", "Basic realm=\"r\"" },
	  AUTH_BEARER,
	  "https://a/t",
	  "",
	  "" },
	{ { "Negotiate", "NTLM abc==", "basic realm=plain" },
	  AUTH_BASIC,
	  "plain",
	  "",
	  "" },
	{ { "Negotiate dG9rZW4=, Basic realm=\"r\"" }, AUTH_BASIC, "r", "", "" },
	{ { "BEARER Realm = \"https://a/\\\"q\\\\\" , SERVICE=s" },
	  AUTH_BEARER,
	  "https://a/\"q\\",
	  "s",
	  "" },
	{ { "Bearer realm=https://a/t,service=s" }, AUTH_BEARER, "https://a/t", "s", "" },
	{ { "Bearer realm=\"one\",realm=\"two\"" }, AUTH_BEARER, "one", "", "" },
	{ { "Bearer" }, AUTH_NONE, "", "", "" },
	{ { "Bearer realm=\"open" }, AUTH_BEARER, "open", "", "" },
	{ { "Bearer realm=\"https://a/t\",error=\"invalid_token\",scope=\"a b\"" },
	  AUTH_BEARER,
	  "https://a/t",
	  "",
	  "a b" },
	{ { "" }, AUTH_NONE, "", "", "" },
	{ { ",,,= \"\" ;;" }, AUTH_NONE, "", "", "" },
	{ { "Digest realm=\"Bearer realm=x\"" }, AUTH_NONE, "", "", "" },
};

static void what_can_be_answered_is_picked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct strlist values = STRLIST_INIT;
		struct challenge c;

		for (size_t k = 0; k < 3 && rows[i].headers[k]; k++)
			strlist_add(&values, rows[i].headers[k]);
		challenge_pick(&c, &values);
		assert_int_equal(c.scheme, rows[i].scheme);
		assert_string_equal(c.realm, rows[i].realm);
		assert_string_equal(c.service, rows[i].service);
		assert_string_equal(c.scope, rows[i].scope);
		challenge_fini(&c);
		strlist_fini(&values);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(
		what_can_be_answered_is_picked) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

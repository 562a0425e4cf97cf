#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static json_t *parse(const char *text)
{
	json_t *j = NULL;
	struct err e;

	if (json_read(&j, text, strlen(text), &e) < 0)
		fail_msg("%s", e.msg);
	return j;
}

static void refused(const char *text, size_t n)
{
	json_t *j;
	struct err e;

	if (json_read(&j, text, n, &e) == 0)
		fail_msg("accepted: %s", text);
	assert_true(e.code == ERR_INVALID || e.code == ERR_LIMIT);
}

static void foreign_documents_are_read_strictly(void **state)
{
	static const char *const bad[] = {
		"",     "{",        "{\"a\":1,\"a\":2}",
		"{} x", "[1,]",     "{\"a\":\"\\u0000\"}",
		"nul",  "\"\xff\"", "[01]",
	};
	char deep[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refused(bad[i], strlen(bad[i]));
	refused("{}\0", 3);
	memset(deep, '[', 70);
	memset(deep + 70, ']', 70);
	refused(deep, 140);
}

static void writing_keeps_the_order_and_pretty_sorts(void **state)
{
	AUTO_JSON *j = parse("{ \"b\": [1, true, null], \"a\": {\"x\": \"\\u00e4/\"} }");
	AUTO_BUF b = BUF_INIT;

	(void)state;
	json_write(&b, j);
	assert_string_equal(b.s, "{\"b\":[1,true,null],\"a\":{\"x\":\"ä/\"}}");
	buf_reset(&b);
	json_write_pretty(&b, j);
	assert_memory_equal(b.s, "{\n  \"a\": {\n    \"x\": ", 20);
	assert_int_equal(b.s[b.len - 1], '\n');
}

static void members_are_typed(void **state)
{
	AUTO_JSON *j =
		parse("{\"s\":\"x\",\"i\":7,\"b\":true,\"o\":{},\"l\":[],\"n\":null}");
	const char *s = "before";
	int64_t i = -1;
	json_t *o = NULL;
	bool b = false;
	struct err e;

	(void)state;
	assert_int_equal(json_member_str(j, "absent", false, &s, &e), 0);
	assert_int_equal(json_member_str(j, "n", false, &s, &e), 0);
	assert_string_equal(s, "before");
	assert_int_equal(json_member_str(j, "s", true, &s, &e), 0);
	assert_string_equal(s, "x");
	assert_int_equal(json_member_int(j, "i", true, &i, &e), 0);
	assert_int_equal(i, 7);
	assert_int_equal(json_member_bool(j, "b", &b, &e), 0);
	assert_true(b);
	assert_int_equal(json_member_object(j, "o", true, &o, &e), 0);
	assert_true(json_is_object(o));
	assert_int_equal(json_member_array(j, "l", true, &o, &e), 0);
	assert_true(json_is_array(o));
}

static void a_member_of_another_type_is_named(void **state)
{
	AUTO_JSON *j = parse("{\"tag\":7,\"n\":null,\"x\":1.5}");
	const char *s;
	int64_t i;
	json_t *o;
	struct err e;

	(void)state;
	assert_int_equal(json_member_str(j, "tag", false, &s, &e), -1);
	assert_int_equal(e.code, ERR_INVALID);
	assert_non_null(strstr(e.msg, "tag"));
	assert_int_equal(json_member_str(j, "missing", true, &s, &e), -1);
	assert_non_null(strstr(e.msg, "missing"));
	assert_int_equal(json_member_str(j, "n", true, &s, &e), -1);
	assert_int_equal(json_member_int(j, "x", true, &i, &e), -1);
	assert_int_equal(json_member_object(j, "tag", false, &o, &e), -1);
	assert_int_equal(json_member_array(j, "tag", false, &o, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(foreign_documents_are_read_strictly),
		cmocka_unit_test(writing_keeps_the_order_and_pretty_sorts),
		cmocka_unit_test(members_are_typed),
		cmocka_unit_test(a_member_of_another_type_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

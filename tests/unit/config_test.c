#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "image/config.h"

#define ID "\"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\""
#define PLATFORM "\"architecture\":\"amd64\",\"os\":\"linux\""
#define ROOTFS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" ID "]}"

static void must_read(struct image_config *c, const char *text)
{
	struct err e;

	if (config_read(c, text, strlen(text), &e) < 0)
		fail_msg("%s", e.msg);
}

static void unknown_members_survive_in_canonical_order(void **state)
{
	static const char in[] =
		"{\"zeta\":{\"b\":1,\"a\":2},\"history\":[{\"x\":1,\"created_by\":\"sh\"}]," ROOTFS
		",\"os\":\"linux\",\"config\":{\"Odd\":true,\"Labels\":{\"b\":\"2\",\"a\":\"1\"},"
		"\"Env\":[\"B=1\",\"A=2\"],\"User\":\"u\"},\"architecture\":\"amd64\",\"alpha\":1.5}";
	static const char out[] =
		"{" PLATFORM ",\"config\":{\"User\":\"u\",\"Env\":[\"B=1\",\"A=2\"],"
		"\"Labels\":{\"a\":\"1\",\"b\":\"2\"},\"Odd\":true}," ROOTFS
		",\"history\":[{\"created_by\":\"sh\",\"x\":1}],\"alpha\":1.5,\"zeta\":{\"a\":2,\"b\":1}}";
	AUTO_BUF b = BUF_INIT;
	struct image_config c;

	(void)state;
	must_read(&c, in);
	config_write(&c, &b);
	assert_string_equal(b.s, out);
	config_fini(&c);
}

static void bad_configurations_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{" PLATFORM "}",
		"{\"os\":\"linux\"," ROOTFS "}",
		"{\"os\":3,\"architecture\":\"amd64\"," ROOTFS "}",
		"{" PLATFORM ",\"rootfs\":{\"type\":\"other\",\"diff_ids\":[]}}",
		"{" PLATFORM ",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[3]}}",
		"{" PLATFORM
		",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:1\"]}}",
		"{" PLATFORM "," ROOTFS ",\"history\":[{\"empty_layer\":true}]}",
		"{" PLATFORM "," ROOTFS ",\"history\":[{},{}]}",
		"{" PLATFORM "," ROOTFS ",\"history\":[{\"created_by\":1}]}",
		"{" PLATFORM "," ROOTFS ",\"config\":[]}",
		"{" PLATFORM "," ROOTFS ",\"config\":{\"Env\":\"A=1\"}}",
		"{" PLATFORM "," ROOTFS ",\"config\":{\"Env\":[1]}}",
		"{" PLATFORM "," ROOTFS ",\"config\":{\"Labels\":{\"a\":1}}}",
		"{" PLATFORM "," ROOTFS ",\"config\":{\"Volumes\":[\"/x\"]}}",
		"{" PLATFORM "," ROOTFS ",\"config\":{\"User\":\"a\\u0000b\"}}",
		"{" PLATFORM "," ROOTFS ",\"os\":\"linux\"}",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct image_config c;
		struct err e;

		if (config_read(&c, bad[i], strlen(bad[i]), &e) == 0)
			fail_msg("accepted: %s", bad[i]);
	}
}

static void absent_lists_are_tolerated(void **state)
{
	struct image_config c;

	(void)state;
	must_read(&c, "{" PLATFORM "," ROOTFS "}");
	assert_int_equal(config_layer_count(&c), 1);
	config_fini(&c);
	must_read(&c, "{" PLATFORM "," ROOTFS ",\"history\":null,\"config\":null}");
	config_fini(&c);
	must_read(&c, "{" PLATFORM ",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":null},"
	              "\"config\":{\"Env\":null,\"Entrypoint\":null,\"Labels\":null}}");
	assert_int_equal(config_layer_count(&c), 0);
	assert_string_equal(config_workdir(&c), "/");
	assert_null(config_user(&c));
	config_fini(&c);
}

static void layers_added_to_a_base_without_history_keep_the_count(void **state)
{
	struct history h = { .created_by = "copy" };
	struct image_config c, again;
	AUTO_BUF b = BUF_INIT;
	struct digest d, got;

	(void)state;
	must_read(&c, "{" PLATFORM "," ROOTFS "}");
	digest_of(&d, "x", 1);
	config_add_layer(&c, &d, &h, 0);
	h.empty_layer = true;
	config_add_history(&c, &h, 315619200);
	config_write(&c, &b);
	must_read(&again, b.s);
	assert_int_equal(config_layer_count(&again), 2);
	config_diff_id(&again, 1, &got);
	assert_true(digest_equal(&d, &got));
	assert_int_equal(json_array_size(json_object_get(again.root, "history")), 3);
	assert_non_null(strstr(b.s, "\"created\":\"1980-01-02T00:00:00Z\""));
	config_fini(&again);
	config_fini(&c);
}

static void a_variable_keeps_its_place(void **state)
{
	struct image_config c;
	AUTO_BUF b = BUF_INIT;

	(void)state;
	must_read(&c, "{" PLATFORM "," ROOTFS
	              ",\"config\":{\"Env\":[\"A=1\",\"AB=x\",\"B=2\",\"A=3\"]}}");
	assert_string_equal(config_env(&c, "A"), "3");
	assert_null(config_env(&c, "C"));
	config_set_env(&c, "A", "4");
	config_set_env(&c, "C", "5=6");
	json_write(&b, config_get(&c, "Env"));
	assert_string_equal(b.s, "[\"A=4\",\"AB=x\",\"B=2\",\"C=5=6\"]");
	config_fini(&c);
}

static void setters_change_what_getters_tell(void **state)
{
	struct platform p = { "linux", "arm", "v7" }, got;
	struct image_config c;
	AUTO_BUF b = BUF_INIT;

	(void)state;
	config_init(&c, &p);
	config_platform(&c, &got);
	assert_true(platform_equal(&p, &got));
	config_set_user(&c, "app");
	config_set_workdir(&c, "/srv");
	config_set(&c, "Cmd", json_pack("[s]", "x"));
	config_set(&c, "Labels", json_object());
	config_set(&c, "Labels", NULL);
	config_set_env(&c, "BAD",
	               "a\xff"
	               "b\xc3\xa9\xe2\x82");
	config_set_created(&c, 0);
	assert_string_equal(config_user(&c), "app");
	assert_string_equal(config_workdir(&c), "/srv");
	assert_string_equal(config_env(&c, "BAD"), "a\xef\xbf\xbd"
	                                           "b\xc3\xa9\xef\xbf\xbd");
	assert_null(config_get(&c, "Labels"));
	config_set_user(&c, NULL);
	config_set(&c, "Env", NULL);
	config_write(&c, &b);
	assert_string_equal(
		b.s, "{\"created\":\"1970-01-01T00:00:00Z\",\"architecture\":\"arm\","
		     "\"os\":\"linux\",\"variant\":\"v7\",\"config\":{\"Cmd\":[\"x\"],"
		     "\"WorkingDir\":\"/srv\"},\"rootfs\":{\"type\":\"layers\","
		     "\"diff_ids\":[]},\"history\":[]}");
	config_fini(&c);
}

static void key_of(const char *text, struct digest *out)
{
	struct image_config c;

	must_read(&c, text);
	config_content_key(&c, out);
	config_fini(&c);
}

static void the_content_key_leaves_out_dates_and_history(void **state)
{
	struct digest a, b, c, d;

	(void)state;
	key_of("{" PLATFORM "," ROOTFS
	       ",\"created\":\"2020-01-01T00:00:00Z\",\"history\":[{}]}",
	       &a);
	key_of("{" ROOTFS "," PLATFORM "}", &b);
	key_of("{" PLATFORM "," ROOTFS ",\"config\":{\"User\":\"x\"}}", &c);
	key_of("{" PLATFORM ",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" ID "," ID
	       "]}}",
	       &d);
	assert_true(digest_equal(&a, &b));
	assert_false(digest_equal(&a, &c));
	assert_false(digest_equal(&a, &d));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_members_survive_in_canonical_order),
		cmocka_unit_test(bad_configurations_are_refused),
		cmocka_unit_test(absent_lists_are_tolerated),
		cmocka_unit_test(layers_added_to_a_base_without_history_keep_the_count),
		cmocka_unit_test(a_variable_keeps_its_place),
		cmocka_unit_test(setters_change_what_getters_tell),
		cmocka_unit_test(the_content_key_leaves_out_dates_and_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

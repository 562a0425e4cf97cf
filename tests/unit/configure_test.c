#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "build/configure.h"

static void start(struct image_config *c)
{
	struct platform p;

	platform_host(&p);
	config_init(c, &p);
}

static void apply(struct image_config *c, const char *json, bool *inherited)
{
	struct step s = { .kind = STEP_CONFIG };
	struct err e;

	assert_int_equal(json_read(&s.config, json, strlen(json), &e), 0);
	configure(c, &s, inherited);
	json_decref(s.config);
}

static const char *text_of(const struct image_config *c, const char *key, struct buf *out)
{
	json_t *v = config_get(c, key);

	buf_reset(out);
	if (v)
		json_write(out, v);
	return out->s;
}

static void values_see_the_environment_before_their_step(void **state)
{
	struct pair pairs[] = { { "A", "new" },
		                { "B", "${A}-${PATH}-$${A}-$A-${NONE}." } };
	struct step s = { .kind = STEP_ENV, .env = { pairs, 2 } };
	struct image_config c;
	bool inherited = true;

	(void)state;
	start(&c);
	config_set_env(&c, "A", "old");
	configure(&c, &s, &inherited);
	assert_string_equal(config_env(&c, "A"), "new");
	assert_string_equal(
		config_env(&c, "B"),
		"old-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin-"
		"${A}-$A-.");
	config_fini(&c);
}

static void workdirs_follow_each_other(void **state)
{
	struct step s = { .kind = STEP_WORKDIR, .workdir = "app/./x/.." };
	struct image_config c;
	bool inherited = true;

	(void)state;
	start(&c);
	configure(&c, &s, &inherited);
	assert_string_equal(config_workdir(&c), "/app");
	s.workdir = "sub";
	configure(&c, &s, &inherited);
	assert_string_equal(config_workdir(&c), "/app/sub");
	s.workdir = "/";
	configure(&c, &s, &inherited);
	assert_string_equal(config_workdir(&c), "/");
	config_fini(&c);
}

static void a_new_entrypoint_takes_the_bases_command_away_and_no_other(void **state)
{
	AUTO_BUF out = BUF_INIT;
	struct image_config c;
	bool inherited = true;

	(void)state;
	start(&c);
	config_set(&c, "Cmd", json_pack("[s]", "of-the-base"));
	apply(&c, "{\"entrypoint\": [\"/e\"]}", &inherited);
	assert_string_equal(text_of(&c, "Cmd", &out), "");
	apply(&c, "{\"cmd\": [\"own\"]}", &inherited);
	apply(&c, "{\"entrypoint\": [\"/other\"]}", &inherited);
	assert_string_equal(text_of(&c, "Cmd", &out), "[\"own\"]");
	assert_string_equal(text_of(&c, "Entrypoint", &out), "[\"/other\"]");
	config_fini(&c);
}

static void sets_and_labels_add_up(void **state)
{
	AUTO_BUF out = BUF_INIT;
	struct image_config c;
	bool inherited = true;

	(void)state;
	start(&c);
	apply(&c, "{\"expose\": [\"80/tcp\"], \"labels\": {\"a\": \"1\", \"b\": \"2\"}}",
	      &inherited);
	apply(&c, "{\"expose\": [\"53/udp\"], \"labels\": {\"a\": \"3\"}}", &inherited);
	assert_string_equal(text_of(&c, "ExposedPorts", &out),
	                    "{\"80/tcp\":{},\"53/udp\":{}}");
	assert_string_equal(text_of(&c, "Labels", &out), "{\"a\":\"3\",\"b\":\"2\"}");
	apply(&c,
	      "{\"healthcheck\": {\"test\": [\"CMD\", \"x\"], \"interval\": 5, \"retries\": 3}}",
	      &inherited);
	assert_string_equal(text_of(&c, "Healthcheck", &out),
	                    "{\"Test\":[\"CMD\",\"x\"],\"Interval\":5,\"Retries\":3}");
	config_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_see_the_environment_before_their_step),
		cmocka_unit_test(workdirs_follow_each_other),
		cmocka_unit_test(
			a_new_entrypoint_takes_the_bases_command_away_and_no_other),
		cmocka_unit_test(sets_and_labels_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

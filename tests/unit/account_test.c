#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "build/account.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "app:x:1000:1001::/home/app:/bin/false\n"
			     "broken:x:99999999999:0::/:/bin/sh\n"
			     "short:x\n";
static const char group[] = "root:x:0:\nstaff:x:50:x,app\nmore:x:51:apps,ap\n";

static int files(void *self, const char *path, struct buf *text, struct err *e)
{
	(void)self;
	(void)e;
	buf_adds(text, !strcmp(path, "/etc/passwd") ? passwd : group);
	return 0;
}

static int no_files(void *self, const char *path, struct buf *text, struct err *e)
{
	(void)self;
	(void)path;
	(void)text;
	(void)e;
	return 0;
}

static void gives(const char *spec, uint32_t uid, uint32_t gid)
{
	struct owner o = { 7, 7 };
	struct err e;

	assert_int_equal(account_resolve(spec, files, NULL, &o, &e), 0);
	assert_int_equal(o.uid, uid);
	assert_int_equal(o.gid, gid);
}

static void refused(const char *spec, const char *says)
{
	struct owner o;
	struct err e;

	assert_int_equal(account_resolve(spec, files, NULL, &o, &e), -1);
	if (!strstr(e.msg, says))
		fail_msg("'%s' gave: %s", spec, e.msg);
}

static void runs_as(const char *spec, uint32_t uid, uint32_t gid, const char *home,
                    size_t n_groups)
{
	struct account_process p;
	struct err e;

	assert_int_equal(account_process(spec, files, NULL, &p, &e), 0);
	assert_int_equal(p.owner.uid, uid);
	assert_int_equal(p.owner.gid, gid);
	assert_string_equal(p.home.s, home);
	assert_int_equal(p.n_groups, n_groups);
	if (n_groups)
		assert_int_equal(p.groups[0], 50);
	buf_fini(&p.home);
}

static void a_process_has_home_and_groups_as_runtimes_say(void **state)
{
	struct account_process p;
	struct err e;

	(void)state;
	runs_as("", 0, 0, "/root", 0);
	runs_as("0:5", 0, 5, "/root", 0);
	runs_as("app", 1000, 1001, "/home/app", 1);
	runs_as("1000", 1000, 1001, "/home/app", 1);
	runs_as("app:staff", 1000, 50, "/home/app", 0);
	runs_as("1000:7", 1000, 7, "/home/app", 0);
	runs_as("2000", 2000, 0, "/", 0);
	runs_as("2000:staff", 2000, 50, "/", 0);
	assert_int_equal(account_process("nobody", files, NULL, &p, &e), -1);
	buf_fini(&p.home);
	assert_int_equal(account_process("5", no_files, NULL, &p, &e), 0);
	assert_int_equal(p.owner.gid, 0);
	buf_fini(&p.home);
}

static void names_and_numbers_are_resolved(void **state)
{
	(void)state;
	gives("0:0", 0, 0);
	gives("65534", 65534, 65534);
	gives("app", 1000, 1001);
	gives("app:staff", 1000, 50);
	gives("app:0", 1000, 0);
	gives("12:staff", 12, 50);
	gives("4294967294:1", 4294967294u, 1);
}

static void what_cannot_be_an_owner_is_refused(void **state)
{
	(void)state;
	refused("", "USER:GROUP");
	refused("app:", "USER:GROUP");
	refused(":0", "USER:GROUP");
	refused("nobody", "no user 'nobody'");
	refused("app:wheel", "no group 'wheel'");
	refused("broken", "no valid number");
	refused("short", "no valid number");
	refused("4294967295", "no user");
	refused("ap", "no user 'ap'");
}

static void an_image_without_files_takes_numbers_only(void **state)
{
	struct owner o;
	struct err e;

	(void)state;
	assert_int_equal(account_resolve("1:2", no_files, NULL, &o, &e), 0);
	assert_int_equal(account_resolve("app", no_files, NULL, &o, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_has_home_and_groups_as_runtimes_say),
		cmocka_unit_test(names_and_numbers_are_resolved),
		cmocka_unit_test(what_cannot_be_an_owner_is_refused),
		cmocka_unit_test(an_image_without_files_takes_numbers_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "build/account_add.h"

static const char *const in_groups[] = { "audio", "staff" };

static struct step_account account(const char *user, const char *group)
{
	return (struct step_account){ .user = user,
		                      .group = group,
		                      .uid = -1,
		                      .gid = -1,
		                      .comment = "",
		                      .shell = "/bin/sh",
		                      .home = "" };
}

/* Of an image that has all four, the last line of passwd without its end. */
static struct account_files image(void)
{
	struct account_files f = { BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT, true, true };

	buf_adds(&f.passwd,
	         "root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh");
	buf_adds(&f.group,
	         "root:x:0:\naudio:x:29:\nstaff:x:50:node\nnode:x:1000:\nodd:x:7\n");
	buf_adds(&f.shadow, "root:*::0:99999:7:::\n");
	buf_adds(&f.gshadow, "root:*::\nstaff:!::node\n");
	return f;
}

static void fini(struct account_files *f)
{
	buf_fini(&f->passwd);
	buf_fini(&f->group);
	buf_fini(&f->shadow);
	buf_fini(&f->gshadow);
}

static void ends_with(const struct buf *text, const char *end)
{
	size_t n = strlen(end);

	if (text->len < n || strcmp(text->s + text->len - n, end) != 0)
		fail_msg("no '%s' at the end of:\n%s", end, text->s);
}

static void refused(const struct step_account *a, const char *says)
{
	struct account_files f = image();
	struct owner o;
	struct err e;

	assert_int_equal(account_add(&f, a, &o, &e), -1);
	if (!strstr(e.msg, says))
		fail_msg("no '%s' in: %s", says, e.msg);
	fini(&f);
}

static void a_user_has_entries_in_all_lists_of_the_image(void **state)
{
	struct account_files f = image();
	struct step_account a = account("app", "app");
	struct owner o;
	struct err e;

	(void)state;
	a.home = "/home/app";
	a.comment = "The application";
	a.groups = (struct strings){ (const char **)in_groups, 2 };
	assert_int_equal(account_add(&f, &a, &o, &e), 0);
	assert_int_equal(o.uid, 1001);
	assert_int_equal(o.gid, 1001);
	ends_with(&f.passwd,
	          "/bin/sh\napp:x:1001:1001:The application:/home/app:/bin/sh\n");
	assert_string_equal(f.group.s, "root:x:0:\naudio:x:29:app\nstaff:x:50:node,app\n"
	                               "node:x:1000:\nodd:x:7\napp:x:1001:\n");
	assert_string_equal(f.shadow.s, "root:*::0:99999:7:::\napp:!:::::::\n");
	assert_string_equal(f.gshadow.s, "root:*::\nstaff:!::node,app\napp:!::\n");
	fini(&f);
}

static void an_image_without_lists_gets_those_that_all_have(void **state)
{
	struct account_files f = { BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT, false, false };
	struct step_account a = account("app", "web");
	struct owner o;
	struct err e;

	(void)state;
	a.uid = 7;
	a.gid = 4294967294;
	assert_int_equal(account_add(&f, &a, &o, &e), 0);
	assert_string_equal(f.passwd.s, "app:x:7:4294967294::/nonexistent:/bin/sh\n");
	assert_string_equal(f.group.s, "web:x:4294967294:\n");
	assert_int_equal(f.shadow.len + f.gshadow.len, 0);
	fini(&f);
}

static void numbers_are_chosen_where_both_lists_are_free(void **state)
{
	struct account_files f = image();
	struct step_account a = account("app", "app"), group = account("", "tools"),
			    daemon = account("daemon", "daemon"),
			    worker = account("worker", "staff");
	struct owner o;
	struct err e;

	(void)state;
	group.gid = 1001;
	assert_int_equal(account_add(&f, &group, &o, &e), 0);
	assert_int_equal(account_add(&f, &a, &o, &e), 0);
	assert_int_equal(o.uid, 1002);
	assert_int_equal(o.gid, 1002);
	daemon.system = true;
	assert_int_equal(account_add(&f, &daemon, &o, &e), 0);
	assert_int_equal(o.uid, 100);
	assert_int_equal(account_add(&f, &worker, &o, &e), 0); /* the group is there */
	assert_int_equal(o.uid, 1001);
	assert_int_equal(o.gid, 50);
	fini(&f);
}

static void what_is_taken_is_refused(void **state)
{
	struct step_account a = account("node", "node"), b = account("app", "app"),
			    c = account("app", "app"), d = account("", "staff"),
			    f = account("app", "staff"), g = account("app", "app");
	static const char *none[] = { "wheel" }, *odd[] = { "odd" };

	(void)state;
	refused(&a, "has a user 'node' already; user \"node\" is enough");
	b.uid = 1000;
	refused(&b,
	        "the number 1000 is taken by another user of the image's /etc/passwd");
	c.gid = 50;
	refused(&c, "the number 50 is taken by another group of the image's /etc/group");
	refused(&d, "has a group 'staff' already, with the number 50");
	f.gid = 51;
	refused(&f, "has a group 'staff' already, with the number 50");
	g.groups = (struct strings){ none, 1 };
	refused(&g, "no group 'wheel' in /etc/group; add it first");
	g.groups = (struct strings){ odd, 1 };
	refused(&g, "group 'odd' has no list of members in /etc/group");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user_has_entries_in_all_lists_of_the_image),
		cmocka_unit_test(an_image_without_lists_gets_those_that_all_have),
		cmocka_unit_test(numbers_are_chosen_where_both_lists_are_free),
		cmocka_unit_test(what_is_taken_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

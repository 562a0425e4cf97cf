/* Control groups of runs, as far as no controller is needed: those are only where
 * somebody has delegated them, and tests/e2e/step_options.bats uses them there. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/fd.h"
#include "os/file.h"
#include "sandbox/clone.h"
#include "sandbox/limits.h"

struct place {
	char path[256];
	struct sandbox s;
};

/* A group of this test's own below the root of version 2. */
static int make_place(void **state)
{
	static struct place p;
	char line[1024], at[200];
	FILE *mounts = fopen("/proc/self/mountinfo", "re");

	p.path[0] = '\0';
	while (mounts && fgets(line, sizeof(line), mounts))
		if (strstr(line, " - cgroup2 ") &&
		    sscanf(line, "%*s %*s %*s / %199s", at) == 1)
			snprintf(p.path, sizeof(p.path), "%s/imgmake-test.%d", at,
			         (int)getpid());
	if (mounts)
		fclose(mounts);
	p.s = (struct sandbox){ .cgroup = -1 };
	if (*p.path && mkdir(p.path, 0755) == 0)
		p.s.cgroup = open(p.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = &p;
	return 0;
}

static int remove_place(void **state)
{
	struct place *p = *state;

	if (p->s.cgroup < 0)
		return 0;
	fd_close(&p->s.cgroup);
	return rmdir(p->path);
}

static void needs_groups(const struct place *p)
{
	if (p->s.cgroup < 0)
		skip();
}

static bool has(const struct place *p, const char *name)
{
	struct stat st;

	return fstatat(p->s.cgroup, name, &st, 0) == 0;
}

static void a_run_has_a_group_of_its_own_and_takes_it_along(void **state)
{
	struct place *p = *state;
	struct sandbox_spec spec = { 0 };
	struct limits a, b;
	struct err e;

	needs_groups(p);
	if (limits_new(&a, &p->s, &spec, &e) < 0 || limits_new(&b, &p->s, &spec, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_not_equal(a.name, b.name);
	assert_true(has(p, a.name) && has(p, b.name));
	assert_false(limits_out_of_memory(&a));
	limits_free(&a);
	assert_false(has(p, a.name));
	assert_true(has(p, b.name));
	limits_free(&b);
	assert_false(has(p, b.name));
}

static void the_process_is_born_in_it(void **state)
{
	struct place *p = *state;
	struct sandbox_spec spec = { 0 };
	AUTO_BUF text = BUF_INIT;
	struct limits l;
	struct err e;
	int gate[2], status;
	char path[64], byte;
	pid_t pid;

	needs_groups(p);
	if (limits_new(&l, &p->s, &spec, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(pipe(gate), 0);
	pid = clone_child(0, l.group, NULL);
	if (pid == 0) {
		close(gate[1]);
		_exit(read(gate[0], &byte, 1) != 0);
	}
	assert_true(pid > 0);
	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_int_equal(fd_read_all(fd, &text, 4096, path, &e), 0);
	assert_non_null(strstr(text.s, l.name));
	close(gate[0]);
	close(gate[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	limits_free(&l);
	assert_false(has(p, l.name));
}

static void without_its_controller_a_limit_is_an_error_that_names_it(void **state)
{
	struct place *p = *state;
	struct sandbox_spec spec = { .memory = 64 << 20 };
	struct limits l;
	struct err e;

	needs_groups(p);
	if (limits_new(&l, &p->s, &spec, &e) == 0) {
		limits_free(&l); /* it is delegated here */
		return;
	}
	assert_non_null(strstr(e.msg, "memory.max"));
	limits_free(&l);
	assert_false(has(p, l.name));
}

static void where_there_are_none_a_run_goes_without(void **state)
{
	struct sandbox s = { .cgroup = -1 };
	struct sandbox_spec spec = { .memory = 64 << 20, .pids = 5 };
	struct limits l;
	struct err e;

	assert_int_equal(limits_new(&l, &s, &spec, &e), 0);
	assert_int_equal(l.group, -1);
	assert_false(limits_out_of_memory(&l));
	limits_free(&l);
}

static void what_is_missing_is_said(void **state)
{
	struct err e;
	int fd = limits_open(&e);

	if (fd >= 0) {
		close(fd);
		return;
	}
	assert_non_null(strstr(e.msg, "control"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_has_a_group_of_its_own_and_takes_it_along),
		cmocka_unit_test(the_process_is_born_in_it),
		cmocka_unit_test(
			without_its_controller_a_limit_is_an_error_that_names_it),
		cmocka_unit_test(where_there_are_none_a_run_goes_without),
		cmocka_unit_test(what_is_missing_is_said),
	};

	return cmocka_run_group_tests(tests, make_place, remove_place);
}

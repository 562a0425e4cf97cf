#include "sandbox_fixture.h"

#include <pthread.h>
#include <pty.h>
#include <signal.h>

static void exit_statuses_and_signals_come_back(void **state)
{
	struct box *b = *state;

	assert_int_equal(box_run(b, "true"), 0);
	assert_int_equal(b->r.end, SANDBOX_EXITED);
	assert_int_equal(box_run(b, "false"), 1);
	assert_int_equal(box_run(b, "exit 77"), 77);
	assert_int_equal(box_run(b, "kill -9 $$"), 128 + 9);
	assert_int_equal(b->r.end, SANDBOX_SIGNALLED);
}

static void environment_is_what_is_given_and_nothing_else(void **state)
{
	struct box *b = *state;

	b->env[1] = "B=two words";
	b->env[2] = "HOME=/x"; /* without one, runtimes look one up */
	box_says(b, "/bin/env | /bin/grep -v -e ^PWD= -e ^SHLVL= -e ^OLDPWD= | sort",
	         "B=two words\nHOME=/x\nPATH=/bin\n");
}

static void output_comes_in_lines_and_in_order(void **state)
{
	struct box *b = *state;

	box_says(b, "echo 1; echo 2 >&2; echo 3; printf 4", "1\n2\n3\n4\n");
}

static void it_is_alone(void **state)
{
	struct box *b = *state;

	box_says(b, "hostname; cat /etc/hostname", "imgmake\nimgmake\n");
	/* The first process, sh, and the file system's server where it has one. A runtime
	 * ends a moment after the command has begun. */
	box_says(b,
	         "while grep -qs '^[cr]*un' /proc/[0-9]*/comm; do :; done; "
	         "set -- /proc/[0-9]*; echo $#",
	         sandbox_probe_get(b->s)->rootfs == SANDBOX_FUSE_OVERLAY ? "3\n" : "2\n");
	box_says(b, "ls /proc/self/fd | wc -l", "4\n"); /* 0, 1, 2, and the directory's */
	box_says(b, "ls -l /proc/self/fd/0 | sed 's/.*-> //'", "/dev/null\n");
	box_says(b, "pwd; cd ..; pwd", "/\n/\n");
	box_says(b, "cut -d' ' -f5 /proc/self/mountinfo | head -1", "/\n");
	/* A directory that is mounted tells where it was. */
	box_says(b, "grep -c sandbox-test /proc/self/mountinfo || :",
	         sandbox_probe_get(b->s)->rootfs == SANDBOX_COPY ? "1\n" : "0\n");
}

static void devices_are_the_usual_few(void **state)
{
	struct box *b = *state;

	box_says(b, "ls /dev",
	         "fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\n"
	         "stdout\ntty\nurandom\nzero\n");
	box_says(b, "echo x >/dev/null; head -c 3 /dev/zero | wc -c; echo y >/dev/stdout",
	         "3\ny\n");
	box_says(b, "echo z >/dev/shm/a; cat /dev/shm/a; stat -c %a /dev/shm",
	         "z\n1777\n");
	box_says(b, "sh -c 'echo x >/dev/full' 2>/dev/null || echo full", "full\n");
}

static void rights_are_those_of_a_container(void **state)
{
	struct box *b = *state;
	bool crun = b->runtime && strcmp(b->runtime, "crun") == 0;
	AUTO_BUF want = BUF_INIT;

	/* Where devices would have an effect, none can be made. */
	buf_addf(&want,
	         "CapInh:\t0000000000000000\nCapEff:\t00000000%1$s\n"
	         "CapBnd:\t00000000%1$s\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n"
	         "Seccomp:\t2\n",
	         crun ? "a00425fb" : "a80425fb");
	box_says(
		b,
		"grep -E '^(CapEff|CapBnd|CapInh|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status",
		want.s);
	box_says(b,
	         "for f in /x /dev/x; do"
	         "  mknod $f c 1 5 2>/dev/null && head -c1 $f 2>/dev/null && echo seen;"
	         "done; echo none",
	         "none\n");
	box_says(b, "mount -t tmpfs x /tmp 2>/dev/null || echo no", "no\n");
	box_says(b, "umount /proc 2>/dev/null || echo no", "no\n");
	box_says(b, "unshare -r true 2>/dev/null || echo no", "no\n");
	box_says(b, "echo 1 2>/dev/null >/proc/sys/vm/drop_caches || echo no", "no\n");
	box_says(
		b,
		"head -c 1 /proc/timer_list | wc -c; head -c 1 /proc/keys 2>/dev/null | wc -c",
		"0\n0\n");
	box_says(b,
	         "cat /proc/1/mem 2>/dev/null || readlink /proc/1/fd/* 2>/dev/null || "
	         "cat /proc/1/environ 2>/dev/null || echo no",
	         "no\n");
	box_says(b, "mkdir /sys/x 2>/dev/null || echo no", "no\n");
}

static void changes_are_in_the_upper_directory_only(void **state)
{
	struct box *b = *state;

	host("cd %s/etc; echo 1 >one; ln one two", b->lower);
	box_says(b, "echo hi >/new; echo 2 >>/etc/one; rm /etc/passwd", "");
	host("test \"$(cat %s/new)\" = hi && test -e %s/etc/passwd", b->upper, b->lower);
	host("test %s %s/etc/passwd",
	     sandbox_probe_get(b->s)->rootfs == SANDBOX_COPY ? "! -e" : "-c", b->upper);
	/* Names of one file in a layer are parted by writing to one; fuse-overlayfs takes
	 * both for the file that was written while it runs. */
	if (sandbox_probe_get(b->s)->rootfs != SANDBOX_FUSE_OVERLAY)
		box_says(b, "cat /etc/one /etc/two", "1\n2\n1\n");
	host("cd %s/etc; test \"$(cat one)\" = 1; rm one two", b->lower);
}

static void deleting_everything_hurts_nobody(void **state)
{
	struct box *b = *state;

	box_run(b, "rm -rf /* 2>/dev/null; echo gone");
	host("test -x %s/bin/busybox && test -c /dev/null && test -e /proc/self",
	     b->lower);
}

static void what_was_made_to_mount_on_is_told_and_leaves_no_trace_in_times(void **state)
{
	struct box *b = *state;
	static const char *const want[] = { "/dev",       "/etc/hostname",
		                            "/etc/hosts", "/etc/resolv.conf",
		                            "/proc",      "/sys" };

	host("touch -d @1000000000 %s/etc", b->lower);
	box_says(b, "stat -c %Y /etc", "1000000000\n");
	strlist_sort(&b->r.stubs);
	assert_int_equal(b->r.stubs.len, ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_string_equal(b->r.stubs.at[i], want[i]);
}

static void working_directory_is_made(void **state)
{
	struct box *b = *state;

	b->spec.workdir = "/srv/a/../b";
	box_says(b, "pwd", "/srv/b\n");
	host("test -d %s/srv/b", b->upper);
	for (size_t i = 0; i < b->r.stubs.len; i++)
		assert_null(strstr(b->r.stubs.at[i], "srv"));
}

static void missing_programs_are_told_apart(void **state)
{
	struct box *b = *state;

	b->argv[0] = "nonesuch";
	box_refused(b, ERR_NOT_FOUND, "nonesuch: no such program in the image (PATH)");
	b->argv[0] = "/bin/nonesuch";
	box_refused(b, ERR_NOT_FOUND, "/bin/nonesuch: no such program in the image");
	b->argv[0] = "/etc/passwd";
	box_refused(b, ERR_DENIED, "/etc/passwd");
	host("printf '#!/none\\n' > %1$s/bin/bad; printf x > %1$s/bin/text; chmod 755 %1$s/bin/bad "
	     "%1$s/bin/text",
	     b->lower);
	b->argv[0] = "/bin/bad";
	if (!b->runtime)
		box_refused(b, ERR_NOT_FOUND, "interpreter");
	b->argv[0] = "text";
	if (!b->runtime) /* which tell as much by an exit status */
		box_refused(b, ERR_INVALID, "text: not a program");
	else
		assert_int_not_equal(box_run(b, "true"), 0);
	host("rm %1$s/bin/bad %1$s/bin/text", b->lower);
	b->argv[0] = "sh";
	box_says(b, "echo found", "found\n");
}

static void other_users_have_only_what_is_theirs(void **state)
{
	struct box *b = *state;
	const gid_t groups[] = { 7, 8 };

	if (box_users(b) == SANDBOX_SINGLE) {
		b->spec.uid = 33;
		box_refused(b, ERR_SYS, "become user 33");
		return;
	}
	b->spec.uid = 33;
	b->spec.gid = 44;
	b->spec.groups = groups;
	b->spec.n_groups = 2;
	box_says(b, "id -u; id -g; id -G", "33\n44\n44 7 8\n");
	if (sandbox_probe_get(b->s)->chroot) {
		box_says(b, "echo x 2>/dev/null >/etc/x || echo no", "no\n");
		return;
	}
	box_says(b, "grep CapEff /proc/self/status", "CapEff:\t0000000000000000\n");
	box_says(b, "echo out >/dev/stdout; echo x 2>/dev/null >/etc/x || echo no",
	         "out\nno\n");
}

static void owners_can_be_changed(void **state)
{
	struct box *b = *state;

	box_says(b, "touch /f; chown 12:34 /f && stat -c %u:%g /f",
	         box_users(b) == SANDBOX_SINGLE ? "0:0\n" : "12:34\n");
}

/* Whose parents end before them, by the first process. */
static void orphans_are_reaped(void **state)
{
	box_says(*state,
	         "for i in 1 2 3 4 5 6 7 8 9; do (true & true); done\n"
	         "n=0; while grep -q '^State:.Z' /proc/[0-9]*/status 2>/dev/null; do"
	         " n=$((n + 1)); [ $n -lt 500 ] || exit 1; usleep 10000; done; echo none",
	         "none\n");
}

static void daemon_left_behind_is_killed(void **state)
{
	struct box *b = *state;

	box_says(b, "(trap '' TERM HUP; while :; do sleep 100; done) & echo started",
	         "started\n");
	assert_int_equal(b->r.end, SANDBOX_EXITED);
}

static void time_limit_ends_even_what_ignores_term(void **state)
{
	struct box *b = *state;

	b->spec.timeout_ns = 100000000;
	assert_int_equal(box_run(b, "exec sleep 100"), 128 + 15);
	assert_int_equal(b->r.end, SANDBOX_TIMED_OUT);
	b->spec.timeout_ns = 1000000000; /* time enough to get to ignoring it */
	b->spec.grace_ns = 100000000;
	assert_int_equal(box_run(b, "trap '' TERM; while :; do sleep 100; done"),
	                 128 + 9);
	assert_int_equal(b->r.end, SANDBOX_TIMED_OUT);
}

static void processes_are_limited(void **state)
{
	struct box *b = *state;

	if (sandbox_probe_get(b->s)->pids == SANDBOX_PIDS_UNLIMITED)
		skip();
	b->spec.pids = 400;
	assert_int_not_equal(
		box_run(b, "i=0; while [ $i -lt 1000 ]; do sleep 100 & i=$((i+1)); "
	                   "done 2>/dev/null; echo all"),
		0);
	assert_null(strstr(b->out.s, "all"));
}

static void network_none_has_only_a_loopback(void **state)
{
	struct box *b = *state;

	b->spec.network = SANDBOX_NET_NONE;
	box_says(b, "ls /sys/class/net; ip -o link | grep -c ,UP", "lo\n1\n");
}

static void private_network_is_not_the_hosts(void **state)
{
	struct box *b = *state;

	b->spec.network = SANDBOX_NET_PRIVATE;
	if (!sandbox_probe_get(b->s)->private_network) {
		box_refused(b, ERR_NOT_FOUND,
		            "a private network needs the program pasta");
		return;
	}
	box_says(
		b,
		"ls /sys/class/net; ip -o link show eth0 | grep -c UP; cat /etc/resolv.conf",
		"eth0\nlo\n1\nnameserver 169.254.1.1\n");
	assert_int_equal(b->r.end, SANDBOX_EXITED);
}

/* Everything that a terminal says until it is hung up. */
static void read_terminal(int fd, struct buf *out)
{
	char chunk[512];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(out, chunk, (size_t)n);
}

static void interactive_command_has_the_terminal(void **state)
{
	struct box *b = *state;
	AUTO_BUF said = BUF_INIT;
	int terminal, status;
	pid_t pid = forkpty(&terminal, NULL, NULL, NULL);

	if (pid == 0) {
		pid_t group = getpgrp();

		b->spec.interactive = true;
		box_run(b,
		        "test -t 0 && test -t 2 && read x && echo got $x >/dev/tty && exit 5");
		_exit(tcgetpgrp(0) == group ? b->r.status : 99);
	}
	assert_int_equal(write(terminal, "word\n", 5), 5);
	read_terminal(terminal, &said);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 5);
	assert_non_null(strstr(said.s, "got word"));
	close(terminal);
}

static void *interrupt(void *arg)
{
	int *fd = arg;
	char byte;

	if (read(*fd, &byte, 1) == 1)
		process_interrupt_all();
	return NULL;
}

static void line_to_pipe(void *self, const char *s, size_t n)
{
	int *fd = self;

	assert_true(n > 0 && write(fd[1], s, 1) == 1);
}

static void interrupt_reaches_it(void **state)
{
	struct box *b = *state;
	int fds[2];
	pthread_t t;

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(pthread_create(&t, NULL, interrupt, fds), 0);
	b->spec.line = line_to_pipe;
	b->spec.line_self = fds;
	box_run(b, "echo started; exec sleep 100");
	pthread_join(t, NULL);
	assert_int_equal(b->r.end, SANDBOX_INTERRUPTED);
	assert_int_equal(b->r.status, 128 + 15);
	assert_int_equal(box_run(b, "true"), 0);
	close(fds[0]);
	close(fds[1]);
}

/* The parent dies as from kill -9: so does all it started. */
static void nothing_outlives_us(void **state)
{
	struct box *b = *state;
	int fds[2], status, tries = 500;
	char byte;
	pid_t pid;

	b->env[1] = "SANDBOX_OUTLIVED=1";
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		b->spec.line = line_to_pipe;
		b->spec.line_self = fds;
		box_run(b,
		        "trap '' TERM HUP; (sleep 1000 &) ; echo x; while :; do sleep 1000; done");
		_exit(1);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	bool seen = host_status("grep -qs SANDBOX_OUTLIVED /proc/[0-9]*/environ") == 0;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(seen);
	close(fds[0]);
	while (tries-- &&
	       host_status("grep -qs SANDBOX_OUTLIVED /proc/[0-9]*/environ") == 0)
		continue;
	assert_true(tries > 0);
}

static void chroot_gives_no_rights_that_lead_out(void **state)
{
	struct box *b = *state;

	box_says(b, "ls /dev; ls /proc /sys | wc -w",
	         "full\nnull\nrandom\nshm\ntty\nurandom\nzero\n2\n");
	box_says(b, "mknod /disk b 8 0 2>/dev/null || echo no", "no\n");
	box_says(b, "chroot /tmp true 2>/dev/null || echo no", "no\n");
	box_says(b, "cd /tmp; cd ../../../..; ls -d bin", "bin\n");
	box_says(b, "mount -t proc x /proc 2>/dev/null || echo no", "no\n");
}

/* It is killed with all that it has started, as fast as it may start more. */
static void chroot_ends_what_keeps_forking(void **state)
{
	struct box *b = *state;

	b->env[1] = "SANDBOX_FORKED=1";
	b->spec.timeout_ns = 200000000;
	b->spec.grace_ns = 100000000;
	box_run(b,
	        "trap '' TERM; f() { i=0; while [ $i -lt 300 ]; do setsid sleep 1000 & "
	        "i=$((i+1)); done; }; f & f; sleep 1000");
	assert_int_equal(b->r.end, SANDBOX_TIMED_OUT);
	assert_int_not_equal(host_status("grep -qs SANDBOX_FORKED /proc/[0-9]*/environ"),
	                     0);
}

static void chroot_keeps_what_it_covered(void **state)
{
	struct box *b = *state;

	host("cd %s; mkdir dev; echo dev >dev/own; echo hosts >etc/hosts", b->lower);
	box_says(b, "rm -r /dev/* /etc/hosts; echo changed >/etc/hosts; echo x >/dev/x",
	         "");
	host("cd %s; test \"$(echo $(cat dev/own etc/hosts))\" = 'dev hosts'; test ! -e dev/x",
	     b->upper);
	host("cd %s; rm -r dev etc/hosts", b->lower);
}

static const struct CMUnitTest tests[] = {
	BOX_TEST(exit_statuses_and_signals_come_back),
	BOX_TEST(environment_is_what_is_given_and_nothing_else),
	BOX_TEST(output_comes_in_lines_and_in_order),
	BOX_TEST(it_is_alone),
	BOX_TEST(devices_are_the_usual_few),
	BOX_TEST(rights_are_those_of_a_container),
	BOX_TEST(changes_are_in_the_upper_directory_only),
	BOX_TEST(deleting_everything_hurts_nobody),
	BOX_TEST(what_was_made_to_mount_on_is_told_and_leaves_no_trace_in_times),
	BOX_TEST(working_directory_is_made),
	BOX_TEST(missing_programs_are_told_apart),
	BOX_TEST(other_users_have_only_what_is_theirs),
	BOX_TEST(owners_can_be_changed),
	BOX_TEST(orphans_are_reaped),
	BOX_TEST(daemon_left_behind_is_killed),
	BOX_TEST(time_limit_ends_even_what_ignores_term),
	BOX_TEST(processes_are_limited),
	BOX_TEST(network_none_has_only_a_loopback),
	BOX_TEST(private_network_is_not_the_hosts),
	BOX_TEST(interactive_command_has_the_terminal),
	BOX_TEST(interrupt_reaches_it),
	BOX_TEST(nothing_outlives_us),
};

/* Those that need no /proc inside. */
static const struct CMUnitTest chroot_tests[] = {
	BOX_TEST(exit_statuses_and_signals_come_back),
	BOX_TEST(environment_is_what_is_given_and_nothing_else),
	BOX_TEST(output_comes_in_lines_and_in_order),
	BOX_TEST(changes_are_in_the_upper_directory_only),
	BOX_TEST(deleting_everything_hurts_nobody),
	BOX_TEST(what_was_made_to_mount_on_is_told_and_leaves_no_trace_in_times),
	BOX_TEST(working_directory_is_made),
	BOX_TEST(missing_programs_are_told_apart),
	BOX_TEST(other_users_have_only_what_is_theirs),
	BOX_TEST(owners_can_be_changed),
	BOX_TEST(daemon_left_behind_is_killed),
	BOX_TEST(time_limit_ends_even_what_ignores_term),
	BOX_TEST(interactive_command_has_the_terminal),
	BOX_TEST(interrupt_reaches_it),
	BOX_TEST(nothing_outlives_us),
	BOX_TEST(chroot_gives_no_rights_that_lead_out),
	BOX_TEST(chroot_ends_what_keeps_forking),
	BOX_TEST(chroot_keeps_what_it_covered),
};

static int open_chroot(void **state)
{
	return box_open(state, (struct sandbox_options){ .chroot = true });
}

static int open_best(void **state)
{
	return box_open(state, (struct sandbox_options){ 0 });
}

static int open_single(void **state)
{
	return box_open(state, (struct sandbox_options){ .no_range = true });
}

static int open_copy(void **state)
{
	return box_open(state,
	                (struct sandbox_options){ .no_overlay = true, .no_fuse = true });
}

static int open_single_copy(void **state)
{
	return box_open(state, (struct sandbox_options){
				       .no_overlay = true,
				       .no_fuse = true,
				       .no_range = true,
			       });
}

static int open_fuse(void **state)
{
	return box_open(state, (struct sandbox_options){ .no_overlay = true });
}

static int open_crun(void **state)
{
	return box_open(state, (struct sandbox_options){ .runtime = "crun" });
}

static int open_runc(void **state)
{
	return box_open(state, (struct sandbox_options){ .runtime = "runc" });
}

static int open_crun_single(void **state)
{
	return box_open(state,
	                (struct sandbox_options){ .runtime = "crun", .no_range = true });
}

static int open_runc_single(void **state)
{
	return box_open(state,
	                (struct sandbox_options){ .runtime = "runc", .no_range = true });
}

/* Both promise the same as our own last steps. */
static int by_runtimes(void)
{
	int failed = 0;

	if (host_status("command -v crun >/dev/null") == 0)
		failed +=
			cmocka_run_group_tests_name("crun", tests, open_crun, box_close);
	if (host_status("command -v runc >/dev/null") == 0)
		failed +=
			cmocka_run_group_tests_name("runc", tests, open_runc, box_close);
	if (geteuid() == 0)
		return failed;
	if (host_status("command -v crun >/dev/null") == 0)
		failed += cmocka_run_group_tests_name("crun without a range", tests,
		                                      open_crun_single, box_close);
	if (host_status("command -v runc >/dev/null") == 0)
		failed += cmocka_run_group_tests_name("runc without a range", tests,
		                                      open_runc_single, box_close);
	return failed;
}

static int as_user(void)
{
	int failed = cmocka_run_group_tests_name("user", tests, open_best, box_close);

	failed += cmocka_run_group_tests_name("user without a range", tests, open_single,
	                                      box_close);
	failed += cmocka_run_group_tests_name("user with copies", tests, open_copy,
	                                      box_close);
	failed += cmocka_run_group_tests_name("user without a range, with copies", tests,
	                                      open_single_copy, box_close);
	return failed + by_runtimes();
}

int main(void)
{
	int failed = 0;

	if (geteuid() == 0)
		failed = cmocka_run_group_tests_name("root", tests, open_best, box_close);
	if (geteuid() == 0)
		failed += by_runtimes();
	if (geteuid() == 0 && access("/usr/bin/fuse-overlayfs", X_OK) == 0)
		failed += cmocka_run_group_tests_name("fuse-overlayfs", tests, open_fuse,
		                                      box_close);
	if (geteuid() == 0)
		failed += cmocka_run_group_tests_name("copies", tests, open_copy,
		                                      box_close);
	if (geteuid() == 0)
		failed += cmocka_run_group_tests_name("chroot", chroot_tests, open_chroot,
		                                      box_close);
	return failed + ordinary(as_user);
}

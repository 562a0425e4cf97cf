#include "sandbox_fixture.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

static int source(const struct box *b, const char *name)
{
	int fd = openat(b->dirfd, name, O_PATH | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void set_mounts(struct box *b, const struct sandbox_mount *m, size_t n)
{
	b->spec.mounts = m;
	b->spec.n_mounts = n;
}

static bool has_stub(const struct box *b, const char *path)
{
	return strlist_has(&b->r.stubs, path);
}

static void directories_are_read_only_unless_asked(void **state)
{
	struct box *b = *state;
	struct sandbox_mount m[2] = { { .target = "/src" },
		                      { .target = "/cache", .writable = true } };

	host("cd %s; mkdir -p src/sub cache; echo a >src/sub/f", b->dir);
	m[0].source = source(b, "src");
	m[1].source = source(b, "cache");
	set_mounts(b, m, 2);
	box_says(
		b,
		"cat /src/sub/f; touch /src/x 2>/dev/null || echo ro; echo kept >/cache/y",
		"a\nro\n");
	host("cd %s; test \"$(cat cache/y)\" = kept; test ! -e upper/cache/y", b->dir);
	assert_true(has_stub(b, "/src"));
	assert_true(has_stub(b, "/cache"));
	close(m[0].source);
	close(m[1].source);
	host("cd %s; rm -r src cache", b->dir);
}

static void files_and_sockets_can_be_mounted(void **state)
{
	struct box *b = *state;
	struct sandbox_mount m[2] = { { .target = "/run/agent" },
		                      { .target = "/etc/passwd" } };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/agent", b->dir);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 1), 0);
	host("echo other >%s/passwd", b->dir);
	m[0].source = source(b, "agent");
	m[1].source = source(b, "passwd");
	set_mounts(b, m, 2);
	box_says(
		b,
		"test -S /run/agent; cat /etc/passwd; nc local:/run/agent </dev/null 2>/dev/null "
		"|| :; rm /etc/passwd 2>/dev/null || echo busy",
		"other\nbusy\n");
	assert_true(has_stub(b, "/run"));
	assert_true(has_stub(b, "/run/agent"));
	assert_false(has_stub(b, "/etc/passwd"));
	close(m[0].source);
	close(m[1].source);
	close(listener);
	host("cd %s; rm agent passwd; head -1 lower/etc/passwd | grep -q root", b->dir);
}

static void memory_file_systems_have_their_size(void **state)
{
	struct box *b = *state;
	struct sandbox_mount m = { .kind = SANDBOX_TMPFS,
		                   .target = "/scratch",
		                   .size = 65536 };

	set_mounts(b, &m, 1);
	box_says(b,
	         "stat -c %a /scratch; head -c 65536 /dev/zero >/scratch/a; "
	         "echo x 2>/dev/null >/scratch/b || echo full",
	         "1777\nfull\n");
	host("test -d %1$s/scratch; test -z \"$(ls %1$s/scratch)\"", b->upper);
}

static void secrets_are_in_memory_only(void **state)
{
	struct box *b = *state;
	struct sandbox_mount m = { .kind = SANDBOX_FILE,
		                   .target = "/run/secrets/npmrc",
		                   .data = "hunter2-token",
		                   .data_len = 13,
		                   .mode = 0400 };

	set_mounts(b, &m, 1);
	box_says(
		b,
		"cat /run/secrets/npmrc; echo; stat -c %a:%u /run/secrets/npmrc;"
		"stat -f -c %T /run/secrets/npmrc; echo x 2>/dev/null >/run/secrets/npmrc || "
		"echo ro; grep -c ' /run/secrets/npmrc ro,.* - ramfs ' /proc/self/mountinfo",
		"hunter2-token\n400:0\nramfs\nro\n1\n");
	host("cd %s; ! grep -r hunter2 lower upper && test ! -s upper/run/secrets/npmrc",
	     b->dir);
	assert_true(has_stub(b, "/run/secrets/npmrc"));
	if (box_users(b) == SANDBOX_SINGLE)
		return;
	m.uid = 33;
	b->spec.uid = 33;
	box_says(b, "cat /run/secrets/npmrc; echo", "hunter2-token\n");
	b->spec.uid = 34;
	box_says(b, "cat /run/secrets/npmrc 2>/dev/null || echo no", "no\n");
}

static void symlinks_to_targets_stay_in_the_root(void **state)
{
	struct box *b = *state;
	struct sandbox_mount m = { .kind = SANDBOX_FILE,
		                   .target = "/link/up/file",
		                   .data = "in",
		                   .data_len = 2,
		                   .mode = 0444 };

	host("mkdir -p %1$s/link; ln -sfn ../../../../../../../../tmp/sandbox-escape %1$s/link/up",
	     b->lower);
	set_mounts(b, &m, 1);
	box_says(b, "cat /tmp/sandbox-escape/file; echo", "in\n");
	host("test ! -e /tmp/sandbox-escape");
	assert_true(has_stub(b, "/tmp/sandbox-escape"));
	assert_true(has_stub(b, "/tmp/sandbox-escape/file"));
	host("rm -r %s/link", b->lower);
}

static void the_steps_own_symlinks_do_not_redirect_the_next_run(void **state)
{
	struct box *b = *state;
	struct sandbox_mount m = { .target = "/cache/x", .writable = true };

	host("mkdir %s/c", b->dir);
	m.source = source(b, "c");
	set_mounts(b, &m, 1);
	box_says(b,
	         "rm -rf /cache 2>/dev/null || :; echo a >/cache/x/a; "
	         "mv /cache /cache2 2>/dev/null || :",
	         "");
	set_mounts(b, NULL, 0);
	box_says(b, "rm -rf /cache /cache2; ln -s /proc/self/root/../.. /cache", "");
	set_mounts(b, &m, 1);
	box_refused(b, ERR_INVALID, "/cache/x: leads through a link of /proc");
	close(m.source);
	host("test -e %1$s/c/a && rm -r %1$s/c", b->dir);
}

static void source_that_was_replaced_is_refused(void **state)
{
	struct box *b = *state;
	struct sandbox_mount m = { .target = "/s" };

	host("mkdir %s/s", b->dir);
	m.source = source(b, "s");
	set_mounts(b, &m, 1);
	host("cd %s; mv s was; ln -s /etc s", b->dir);
	box_says(b, "ls /s", ""); /* found under its new name */
	host("cd %s; rm s; rmdir was; mkdir s", b->dir);
	box_refused(b, ERR_SYS, "mount /s");
	close(m.source);
	host("rmdir %s/s", b->dir);
}

static void devices_are_no_sources(void **state)
{
	struct box *b = *state;
	struct sandbox_mount m = { .target = "/s",
		                   .source = open("/dev/null", O_PATH | O_CLOEXEC) };

	set_mounts(b, &m, 1);
	box_refused(b, ERR_INVALID, "/dev/null is no directory, file or socket");
	close(m.source);
}

static void kernel_directories_must_be_the_images_own(void **state)
{
	struct box *b = *state;
	static const char *const names[] = { "dev", "proc", "sys" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		box_fresh_upper(b);
		host("ln -s tmp %s/%s", b->lower, names[i]);
		box_refused(b, ERR_INVALID,
		            "of the image is a symlink or a file, not a directory");
		host("rm %1$s/%2$s; touch %1$s/%2$s", b->lower, names[i]);
		box_refused(b, ERR_INVALID,
		            "of the image is a symlink or a file, not a directory");
		host("rm %s/%s", b->lower, names[i]);
		box_says(b, "echo fine", "fine\n");
	}
}

static void working_directory_cannot_be_one_of_the_hosts(void **state)
{
	struct box *b = *state;
	char path[64];

	b->spec.workdir = path;
	for (int fd = 3; fd < 24; fd++) {
		struct err e;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		box_fresh_work(b);
		sandbox_result_fini(&b->r);
		assert_int_equal(sandbox_run(b->s, &b->spec, &b->r, &e), -1);
	}
	snprintf(path, sizeof(path), "/proc/self/cwd");
	box_refused(b, ERR_INVALID, "leads through a link of /proc");
	snprintf(path, sizeof(path), "/proc/1/root/etc");
	box_refused(b, ERR_INVALID, "leads through a link of /proc");
	snprintf(path, sizeof(path), "/etc/passwd");
	box_refused(b, ERR_INVALID,
	            "working directory: /etc/passwd: the image has a file there");
	host("ln -s /proc/self/fd/9 %s/w", b->lower);
	snprintf(path, sizeof(path), "/w");
	box_refused(b, ERR_INVALID, "leads through a link of /proc");
	host("rm %1$s/w; ln -s w %1$s/w", b->lower);
	box_refused(b, ERR_INVALID, "too many symlinks");
	host("rm %s/w", b->lower);
}

static void device_files_of_an_image_do_nothing(void **state)
{
	struct box *b = *state;

	box_says(
		b,
		"mknod /zero c 1 5 2>/dev/null || exit 0; head -c 1 /zero 2>/dev/null && "
		"echo open || :",
		"");
	box_says(
		b,
		"mknod /tmp/z c 1 5 2>/dev/null || exit 0; ! head -c 1 /tmp/z 2>/dev/null",
		"");
}

static void many_layers_are_merged_highest_first(void **state)
{
	struct box *b = *state;
	enum { LAYERS = 450 };
	static char names[LAYERS][128];
	static const char *lowers[LAYERS];

	host("mkdir %1$s/l; cd %1$s/l; for i in $(seq 1 449); do mkdir -p $i/d; echo $i >$i/top; "
	     "echo $i >$i/d/$i; done",
	     b->dir);
	lowers[0] = b->lower;
	for (int i = 1; i < LAYERS; i++) {
		snprintf(names[i], sizeof(names[i]), "%s/l/%d", b->dir, i);
		lowers[i] = names[i];
	}
	b->spec.lower = lowers;
	b->spec.n_lower = LAYERS;
	box_says(b, "cat /top; ls /d | wc -l; cat /d/17", "449\n449\n17\n");
	host("rm -r %s/l", b->dir);
}

/* Eight threads, each a sandbox of its own on the same layers. */
struct one {
	struct box *b;
	int number, status;
	struct buf out;
	struct err e;
};

static void add_line(void *self, const char *s, size_t n)
{
	struct one *o = self;

	buf_add(&o->out, s, n);
}

static void *run_one(void *arg)
{
	struct one *o = arg;
	struct box *b = o->b;
	char upper[128], work[128], script[64];
	const char *argv[] = { "/bin/sh", "-ec", script, NULL };
	struct sandbox_spec spec = b->spec;
	struct sandbox_result r;

	snprintf(upper, sizeof(upper), "%s/%d", b->upper, o->number);
	snprintf(work, sizeof(work), "%s/%d", b->work, o->number);
	snprintf(script, sizeof(script), "echo %d; echo >/f; exit %d", o->number,
	         o->number);
	mkdir(upper, 0755);
	mkdir(work, 0755);
	spec.upper = upper;
	spec.work = work;
	spec.argv = argv;
	spec.line = add_line;
	spec.line_self = o;
	o->status = sandbox_run(b->s, &spec, &r, &o->e) < 0 ? -1 : r.status;
	sandbox_result_fini(&r);
	return NULL;
}

static void eight_at_once_do_not_meet(void **state)
{
	struct box *b = *state;
	struct one all[8];
	pthread_t threads[8];

	for (int i = 0; i < 8; i++) {
		all[i] = (struct one){ .b = b, .number = i, .out = BUF_INIT };
		assert_int_equal(pthread_create(&threads[i], NULL, run_one, &all[i]), 0);
	}
	for (int i = 0; i < 8; i++) {
		char want[8];

		pthread_join(threads[i], NULL);
		if (all[i].status < 0)
			fail_msg("%s", all[i].e.msg);
		snprintf(want, sizeof(want), "%d", i);
		assert_int_equal(all[i].status, i);
		assert_string_equal(all[i].out.s, want);
		buf_fini(&all[i].out);
	}
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void nothing_is_left_behind(void **state)
{
	struct box *b = *state;
	int before = count_fds();

	box_says(b, "sleep 1000 & echo", "\n");
	b->argv[0] = "/nonesuch";
	box_refused(b, ERR_NOT_FOUND, "no such program");
	b->argv[0] = "/bin/sh";
	assert_int_equal(count_fds(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	host("! grep -q %1$s /proc/self/mountinfo; test \"$(ls %1$s | sort | xargs)\" = "
	     "'lower upper work'",
	     b->dir);
}

static int chown_upper(void *arg, struct err *e)
{
	struct box *b = arg;

	return lchown(b->upper, 5, 6) < 0 ? err_sys(e, "chown") : 0;
}

static void calls_have_the_identities_inside(void **state)
{
	struct box *b = *state;
	struct err e;
	struct stat st;
	int rc = sandbox_call(b->s, chown_upper, b, &e);

	if (box_users(b) == SANDBOX_SINGLE) {
		assert_int_equal(rc, -1);
		assert_int_equal(e.sys, EINVAL);
		return;
	}
	assert_int_equal(rc, 0);
	assert_int_equal(stat(b->upper, &st), 0);
	assert_int_equal(st.st_uid == 5, box_users(b) == SANDBOX_ROOT);
	box_says(b, "stat -c %u:%g /", "5:6\n");
}

static const struct CMUnitTest tests[] = {
	BOX_TEST(directories_are_read_only_unless_asked),
	BOX_TEST(files_and_sockets_can_be_mounted),
	BOX_TEST(memory_file_systems_have_their_size),
	BOX_TEST(secrets_are_in_memory_only),
	BOX_TEST(symlinks_to_targets_stay_in_the_root),
	BOX_TEST(the_steps_own_symlinks_do_not_redirect_the_next_run),
	BOX_TEST(source_that_was_replaced_is_refused),
	BOX_TEST(devices_are_no_sources),
	BOX_TEST(kernel_directories_must_be_the_images_own),
	BOX_TEST(working_directory_cannot_be_one_of_the_hosts),
	BOX_TEST(device_files_of_an_image_do_nothing),
	BOX_TEST(many_layers_are_merged_highest_first),
	BOX_TEST(eight_at_once_do_not_meet),
	BOX_TEST(nothing_is_left_behind),
	BOX_TEST(calls_have_the_identities_inside),
};

static int open_best(void **state)
{
	return box_open(state, (struct sandbox_options){ 0 });
}

static int open_single(void **state)
{
	return box_open(state, (struct sandbox_options){ .no_range = true });
}

static int as_user(void)
{
	int failed = cmocka_run_group_tests_name("user", tests, open_best, box_close);

	return failed + cmocka_run_group_tests_name("user without a range", tests,
	                                            open_single, box_close);
}

int main(void)
{
	int failed = 0;

	if (geteuid() == 0)
		failed = cmocka_run_group_tests_name("root", tests, open_best, box_close);
	return failed + ordinary(as_user);
}

/* A sandbox and a root file system of busybox, for tests as root and as an ordinary user.
 */
#ifndef TESTS_SANDBOX_FIXTURE_H
#define TESTS_SANDBOX_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/process.h"
#include "sandbox/sandbox.h"

struct box {
	struct sandbox *s;
	const char *runtime; /* or NULL */
	char dir[64];
	char lower[96], upper[96], work[96];
	int dirfd;
	struct buf out; /* of the last run, lines with newlines */
	struct sandbox_result r;
	struct sandbox_spec spec; /* of the next run; reset by every test's setup */
	const char *argv[4], *env[4], *lowers[1];
};

static inline void box_line(void *self, const char *s, size_t n)
{
	struct box *b = self;

	buf_add(&b->out, s, n);
	buf_addc(&b->out, '\n');
}

static inline int host_vstatus(const char *format, va_list ap)
{
	AUTO_BUF script = BUF_INIT;
	const char *argv[] = { "sh", "-ec", NULL, NULL };
	struct process_options o = { .argv = argv, .cwd = -1 };
	struct err e;
	int status = -1;

	buf_vaddf(&script, format, ap);
	argv[2] = script.s;
	if (process_run(&o, &status, &e) < 0)
		fail_msg("%s", e.msg);
	return status;
}

/* The exit status of a script outside. */
static inline int host_status(const char *format, ...)
{
	va_list ap;
	int status;

	va_start(ap, format);
	status = host_vstatus(format, ap);
	va_end(ap);
	return status;
}

static inline void host(const char *format, ...)
{
	va_list ap;
	int status;

	va_start(ap, format);
	status = host_vstatus(format, ap);
	va_end(ap);
	if (status)
		fail_msg("status %d: %s", status, format);
}

static inline int box_remove_work(void *arg, struct err *e)
{
	struct box *b = arg;

	return file_remove_tree(b->dirfd, "work", e);
}

/* Every run takes an empty work directory; the upper one may have been used before. */
static inline void box_fresh_work(struct box *b)
{
	struct err e;

	if (sandbox_call(b->s, box_remove_work, b, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(mkdir(b->work, 0755), 0);
}

static inline int box_remove(void *arg, struct err *e)
{
	struct box *b = arg;

	if (file_remove_tree(b->dirfd, "upper", e) < 0)
		return -1;
	return box_remove_work(arg, e);
}

static inline void box_fresh_upper(struct box *b)
{
	struct err e;

	if (sandbox_call(b->s, box_remove, b, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(mkdir(b->upper, 0755), 0);
}

static inline int box_open(void **state, struct sandbox_options o)
{
	struct box *b = calloc(1, sizeof(*b));
	struct err e;

	strcpy(b->dir, "/tmp/sandbox-test-XXXXXX");
	if (!mkdtemp(b->dir))
		return -1;
	b->dirfd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(b->lower, sizeof(b->lower), "%s/lower", b->dir);
	snprintf(b->upper, sizeof(b->upper), "%s/upper", b->dir);
	snprintf(b->work, sizeof(b->work), "%s/work", b->dir);
	host("umask 022; mkdir -p %1$s/bin %1$s/etc %1$s/tmp; cp \"$(command -v busybox)\" %1$s/bin/;"
	     "cd %1$s/bin; for a in $(./busybox --list); do"
	     "  [ $a = busybox ] || ln -s busybox $a; done;"
	     "echo 'root:x:0:0::/:/bin/sh' > ../etc/passwd",
	     b->lower);
	o.dir = b->dir;
	b->runtime = o.runtime;
	if (sandbox_open(&b->s, &o, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return -1;
	}
	b->out = (struct buf)BUF_INIT;
	*state = b;
	return 0;
}

static inline int box_close(void **state)
{
	struct box *b = *state;
	struct err e;

	sandbox_close(b->s);
	if (file_remove_tree(AT_FDCWD, b->dir, &e) < 0)
		fprintf(stderr, "%s\n", e.msg);
	close(b->dirfd);
	buf_fini(&b->out);
	free(b);
	return 0;
}

static inline int box_setup(void **state)
{
	struct box *b = *state;

	buf_reset(&b->out);
	b->r = (struct sandbox_result){ .end = SANDBOX_EXITED };
	b->argv[0] = "/bin/sh";
	b->argv[1] = "-ec";
	b->argv[2] = "true";
	b->argv[3] = NULL;
	b->env[0] = "PATH=/bin";
	b->env[1] = NULL;
	b->lowers[0] = b->lower;
	b->spec = (struct sandbox_spec){
		.lower = b->lowers,
		.n_lower = 1,
		.upper = b->upper,
		.work = b->work,
		.argv = b->argv,
		.env = b->env,
		.workdir = "/",
		.line = box_line,
		.line_self = b,
	};
	return mkdir(b->upper, 0755) < 0 || mkdir(b->work, 0755) < 0 ? -1 : 0;
}

static inline int box_teardown(void **state)
{
	struct box *b = *state;
	struct err e;

	sandbox_result_fini(&b->r);
	if (sandbox_call(b->s, box_remove, b, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return -1;
	}
	return 0;
}

/* Runs a script; its exit status. */
static inline int box_run(struct box *b, const char *script)
{
	struct err e;

	b->argv[2] = script;
	box_fresh_work(b);
	buf_reset(&b->out);
	sandbox_result_fini(&b->r);
	if (sandbox_run(b->s, &b->spec, &b->r, &e) < 0)
		fail_msg("%s: %s", script, e.msg);
	return b->r.status;
}

/* The script's status is 0 and its output this. */
static inline void box_says(struct box *b, const char *script, const char *want)
{
	int status = box_run(b, script);

	if (status)
		fail_msg("%s: status %d: %s", script, status, b->out.s);
	assert_string_equal(b->out.s, want);
}

/* It cannot be run, and the message holds `why`. */
static inline void box_refused(struct box *b, enum err_code code, const char *why)
{
	struct err e;

	box_fresh_work(b);
	sandbox_result_fini(&b->r);
	assert_int_equal(sandbox_run(b->s, &b->spec, &b->r, &e), -1);
	if (!strstr(e.msg, why) || e.code != code)
		fail_msg("%d %s", (int)e.code, e.msg);
}

static inline enum sandbox_users box_users(const struct box *b)
{
	return sandbox_probe_get(b->s)->users;
}

/* For good; the caller is a child. False if there is no such user. */
static inline bool become_ordinary(void)
{
	struct passwd *pw = getpwnam("imgmake-test");

	return pw && setgroups(0, NULL) == 0 && setgid(pw->pw_gid) == 0 &&
	       setuid(pw->pw_uid) == 0 && chdir("/") == 0 &&
	       prctl(PR_SET_DUMPABLE, 1) == 0; /* as after an exec */
}

/* Runs `as_user` as an ordinary user: in a child if we are root. Returns the number of
 * failures. */
static inline int ordinary(int (*as_user)(void))
{
	pid_t pid;
	int status = 0;

	if (geteuid() != 0)
		return as_user();
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (!become_ordinary()) {
			printf("ok - # skip there is no user imgmake-test\n");
			exit(0);
		}
		status = as_user();
		fflush(NULL);
		_exit(status > 100 ? 100 : status);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

#define BOX_TEST(f) cmocka_unit_test_setup_teardown(f, box_setup, box_teardown)

#endif

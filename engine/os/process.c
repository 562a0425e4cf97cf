#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/children.h"
#include "os/fd.h"

enum {
	LIMIT_DEFAULT = 1 << 20,
	LINE_MAX_BYTES = 64 * 1024,
	CHUNK = 16 * 1024,
	POLL_MS = 100, /* where the kernel has no pidfd */
};

struct stream {
	int fd; /* our end, -1 when it is over */
	struct buf *to;
	size_t start;    /* what `to` held before */
	struct buf line; /* an unfinished line */
};

struct run {
	const struct process_options *o;
	size_t limit;
	struct child child;
	struct stream streams[2];
	int pidfd;
};

static int steal_fd(int *fd)
{
	int out = *fd;

	*fd = -1;
	return out;
}

/* A file in memory rather than a pipe: nothing to feed, and no SIGPIPE. */
static int open_input(const struct process_options *o, struct err *e)
{
	AUTO_CLOSE int fd = -1;

	if (!o->input) {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, "open /dev/null");
		return steal_fd(&fd);
	}
	fd = memfd_create("input", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "make a file in memory for the input of %s",
		               o->argv[0]);
	if (fd_write(fd, o->input, o->input_len, "input", e) < 0)
		return -1;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, "rewind the input of %s", o->argv[0]);
	return steal_fd(&fd);
}

static int spawn_error(const char *program, int error, struct err *e)
{
	if (error == ENOENT && strchr(program, '/'))
		return err_set(e, ERR_NOT_FOUND, "%s: no such program", program);
	if (error == ENOENT)
		return err_set(e, ERR_NOT_FOUND, "%s: no such program (install %s)",
		               program, program);
	errno = error;
	return err_sys(e, "run %s", program);
}

/* posix_spawn: glibc shares memory with the child and blocks signals until it has become
 * the program, so that it is safe with threads, and cheap however large we are. */
static int spawn(const struct process_options *o, const int fds[3], pid_t *pid,
                 struct err *e)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t all, none;
	int error = 0;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
	                                        POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < 3 && !error; i++)
		error = posix_spawn_file_actions_adddup2(&actions, fds[i], i);
	if (!error && o->cwd >= 0)
		error = posix_spawn_file_actions_addfchdir_np(&actions, o->cwd);
	for (int i = 0; i < 2 && o->pass[1] > 0 && !error; i++)
		error = posix_spawn_file_actions_adddup2(&actions, o->pass[i], 3 + i);
#if __GLIBC_PREREQ(2, 34)
	if (!error) /* what libraries may have opened carelessly */
		error = posix_spawn_file_actions_addclosefrom_np(&actions,
		                                                 o->pass[1] > 0 ? 5 : 3);
#endif
	if (!error)
		error = posix_spawnp(pid, o->argv[0], &actions, &attr,
		                     (char *const *)o->argv,
		                     o->env ? (char *const *)o->env : environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return error ? spawn_error(o->argv[0], error, e) : 0;
}

static int open_stream(struct stream *s, struct buf *to, int *theirs, struct err *e)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	s->fd = ends[0];
	s->to = to;
	s->start = to ? to->len : 0;
	*theirs = ends[1];
	if (fcntl(s->fd, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, "make a pipe");
	return 0;
}

/* Which pipes there are: none, one for both outputs, or one each. */
static int start(struct run *r, struct err *e)
{
	const struct process_options *o = r->o;
	AUTO_CLOSE int in = open_input(o, e);
	AUTO_CLOSE int out = -1, err = -1;
	bool joined = o->line || !o->out || o->out == o->err;
	unsigned before = children_interrupts();

	if (in < 0)
		return -1;
	if ((o->line || o->err) &&
	    open_stream(&r->streams[1], o->line ? NULL : o->err, &err, e) < 0)
		return -1;
	if (!joined && open_stream(&r->streams[0], o->out, &out, e) < 0)
		return -1;
	int to_err = err >= 0 ? err : STDERR_FILENO;
	int fds[3] = { in, joined ? to_err : out, to_err };

	if (spawn(o, fds, &r->child.pid, e) < 0)
		return -1;
	child_register(&r->child, before);
	r->pidfd = (int)syscall(SYS_pidfd_open, r->child.pid, 0); /* always close-on-exec
	                                                           */
	return 0;
}

static void give_lines(struct run *r, struct stream *s, const char *data, size_t n)
{
	while (n) {
		const char *nl = memchr(data, '\n', n);
		size_t part = nl ? (size_t)(nl - data) : n;

		if (part > LINE_MAX_BYTES - s->line.len) {
			part = LINE_MAX_BYTES - s->line.len;
			nl = NULL;
		}
		buf_add(&s->line, data, part);
		data += part + (nl != NULL);
		n -= part + (nl != NULL);
		if (nl || s->line.len == LINE_MAX_BYTES) {
			r->o->line(r->o->line_self, s->line.s, s->line.len);
			buf_reset(&s->line);
		}
	}
}

static void drop_oldest(struct stream *s, size_t limit)
{
	size_t extra = s->to->len - s->start;

	if (extra <= limit)
		return;
	extra -= limit;
	memmove(s->to->s + s->start, s->to->s + s->start + extra, limit);
	buf_truncate(s->to, s->start + limit);
}

static int read_some(struct run *r, struct stream *s, struct err *e)
{
	char chunk[CHUNK];
	ssize_t n = read(s->fd, chunk, sizeof(chunk));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return err_sys(e, "read the output of %s", r->o->argv[0]);
	if (n == 0) {
		fd_close(&s->fd);
	} else if (!s->to) {
		give_lines(r, s, chunk, (size_t)n);
	} else {
		buf_add(s->to, chunk, (size_t)n);
		if (s->to->len - s->start >= 2 * r->limit)
			drop_oldest(s, r->limit);
	}
	return (int)n;
}

static bool has_exited(const struct child *c)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == c->pid;
}

/* Reads once, or after the end all that was written before it: something that the program
 * left in the background may keep the pipe open, and busy. */
static int read_stream(struct run *r, struct stream *s, bool exited, struct err *e)
{
	int left = 1;

	if (s->fd < 0)
		return 0;
	if (exited && ioctl(s->fd, FIONREAD, &left) < 0)
		return err_sys(e, "read the output of %s", r->o->argv[0]);
	while (left > 0 && s->fd >= 0) {
		int n = read_some(r, s, e);

		if (n < 0)
			return -1;
		left -= n ? n : left;
	}
	return 0;
}

static int follow(struct run *r, struct err *e)
{
	bool exited = false;
	eventfd_t told;

	while (!exited) {
		struct pollfd p[4] = {
			{ .fd = r->streams[0].fd, .events = POLLIN },
			{ .fd = r->streams[1].fd, .events = POLLIN },
			{ .fd = r->pidfd, .events = POLLIN },
			{ .fd = r->child.wake, .events = POLLIN },
		};
		int wait_ms = child_kill_when_due(&r->child);

		if (r->pidfd < 0 && (wait_ms < 0 || wait_ms > POLL_MS))
			wait_ms = POLL_MS;
		if (poll(p, ARRAY_LEN(p), wait_ms) < 0 && errno != EINTR)
			return err_sys(e, "wait for %s", r->o->argv[0]);
		if (eventfd_read(r->child.wake, &told) == 0)
			continue; /* with a time to wait for */
		exited = has_exited(&r->child);
		if (read_stream(r, &r->streams[0], exited, e) < 0 ||
		    read_stream(r, &r->streams[1], exited, e) < 0)
			return -1;
	}
	return 0;
}

static int reap(struct run *r, struct err *e)
{
	siginfo_t info;
	int status;

	/* The pid stays taken until nobody can signal it any more. */
	while (waitid(P_PID, (id_t)r->child.pid, &info, WEXITED | WNOWAIT) < 0 &&
	       errno == EINTR)
		continue;
	child_unregister(&r->child);
	while (waitpid(r->child.pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "wait for %s", r->o->argv[0]);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void finish_streams(struct run *r)
{
	for (int i = 0; i < 2; i++) {
		struct stream *s = &r->streams[i];

		if (s->to)
			drop_oldest(s, r->limit);
		if (s->line.len)
			r->o->line(r->o->line_self, s->line.s, s->line.len);
		buf_fini(&s->line);
		fd_close(&s->fd);
	}
}

static int run_to_end(struct run *r, int *status, struct err *e)
{
	struct err ignored;
	int rc;

	if (start(r, e) < 0)
		return -1;
	rc = follow(r, e);
	if (rc < 0)
		kill(-r->child.pid, SIGKILL);
	*status = reap(r, rc < 0 ? &ignored : e);
	return rc < 0 || *status < 0 ? -1 : 0;
}

int process_run(const struct process_options *o, int *status, struct err *e)
{
	struct run r = {
		.o = o,
		.limit = o->limit ? o->limit : LIMIT_DEFAULT,
		.streams = { { -1, NULL, 0, BUF_INIT }, { -1, NULL, 0, BUF_INIT } },
		.pidfd = -1,
	};
	int rc;

	r.child.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r.child.wake < 0)
		return err_sys(e, "run %s", o->argv[0]);
	rc = run_to_end(&r, status, e);
	finish_streams(&r);
	fd_close(&r.pidfd);
	fd_close(&r.child.wake);
	return rc;
}

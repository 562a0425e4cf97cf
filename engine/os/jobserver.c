#include "os/jobserver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fd.h"

enum {
	OWN_FROM = 10,   /* our descriptors stay clear of those that commands get */
	JOBS_MAX = 4096, /* a pipe holds 64 KiB; make's own tokens are one byte each */
};

struct jobserver {
	pthread_mutex_t lock;
	int in, out;    /* of the pipe: in never blocks */
	int theirs;     /* as in, but as make's children expect it */
	struct buf had; /* the tokens that we hold: each has to come back as it was */
	bool over;
	int jobs;   /* in all; 0: not known */
	char *fifo; /* its path; NULL: a pipe */
	bool ours;  /* made, not joined */
};

/* One more of the same pipe that does not block, whatever others do with theirs: flags
 * belong to what was opened, and make's children share that. */
static int reopen(int fd)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

static int raise_fd(int fd)
{
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, OWN_FROM);

	if (fd >= 0)
		close(fd);
	return high;
}

static bool is_pipe(int fd)
{
	struct stat st;

	return fd > STDERR_FILENO && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

/* Takes the three descriptors; NULL if one is missing. */
static struct jobserver *new_jobserver(int in, int theirs, int out)
{
	struct jobserver *j;

	if (in < 0 || theirs < 0 || out < 0) {
		fd_close(&in);
		fd_close(&theirs);
		fd_close(&out);
		return NULL;
	}
	j = mem_alloc(sizeof(*j));
	pthread_mutex_init(&j->lock, NULL);
	j->had = (struct buf)BUF_INIT;
	j->in = in;
	j->theirs = theirs;
	j->out = out;
	return j;
}

static struct jobserver *join_pipe(const char *pair)
{
	struct jobserver *j;
	int r = -1, w = -1;

	if (sscanf(pair, "%d,%d", &r, &w) != 2 || !is_pipe(r) || !is_pipe(w))
		return NULL;
	j = new_jobserver(raise_fd(reopen(r)), fcntl(r, F_DUPFD_CLOEXEC, OWN_FROM),
	                  fcntl(w, F_DUPFD_CLOEXEC, OWN_FROM));
	if (!j)
		return NULL;
	fcntl(r, F_SETFD, FD_CLOEXEC);
	fcntl(w, F_SETFD, FD_CLOEXEC);
	return j;
}

/* For reading and writing: opening never waits for the other end then. */
static int open_fifo(const char *path, int flags)
{
	return raise_fd(open(path, O_RDWR | O_CLOEXEC | flags));
}

static struct jobserver *join_fifo(const char *path, size_t n)
{
	AUTO_FREE char *name = mem_strndup(path, n);
	struct jobserver *j;
	struct stat st;

	if (stat(name, &st) < 0 || !S_ISFIFO(st.st_mode))
		return NULL;
	j = new_jobserver(open_fifo(name, O_NONBLOCK), open_fifo(name, 0),
	                  open_fifo(name, 0));
	if (j)
		j->fifo = STEAL(name);
	return j;
}

/* The value of a word "NAME=value"; *n its length. The last one counts, as in make. */
static const char *word_value(const char *flags, const char *name, size_t *n)
{
	const char *found = NULL;
	size_t len = strlen(name);

	for (const char *s = flags; *s;) {
		size_t word = strcspn(s, " ");

		if (word == 2 && !strncmp(s, "--", 2))
			break; /* variables follow, and may hold anything */
		if (word >= len && !strncmp(s, name, len)) {
			found = s + len;
			*n = word - len;
		}
		s += word;
		s += strspn(s, " ");
	}
	return found;
}

enum jobserver_found jobserver_join(struct jobserver **out, const char *makeflags,
                                    int *jobs)
{
	const char *flags = makeflags ? makeflags : "", *auth, *j;
	size_t n, n_jobs;

	*jobs = 0;
	auth = word_value(flags, "--jobserver-auth=", &n);
	if (!auth)
		auth = word_value(flags, "--jobserver-fds=", &n);
	j = word_value(flags, "-j", &n_jobs);
	if (j && sscanf(j, "%d", jobs) == 1 && (*jobs < 1 || *jobs > JOBS_MAX))
		*jobs = 0;
	if (!auth)
		return JOBSERVER_NONE;
	*out = n > 5 && !strncmp(auth, "fifo:", 5) ? join_fifo(auth + 5, n - 5)
	                                           : join_pipe(auth);
	if (!*out)
		return JOBSERVER_SHUT;
	(*out)->jobs = *jobs;
	return JOBSERVER_JOINED;
}

static struct jobserver *new_pipe(void)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return NULL;
	fds[0] = raise_fd(fds[0]);
	return new_jobserver(raise_fd(reopen(fds[0])), fds[0], raise_fd(fds[1]));
}

int jobserver_new(struct jobserver **out, int jobs, const char *fifo, struct err *e)
{
	int tokens = (jobs > JOBS_MAX ? JOBS_MAX : jobs) - 1;
	struct jobserver *j;

	if (fifo && mkfifo(fifo, 0600) < 0)
		return err_sys(e, "make %s", fifo);
	j = fifo ? join_fifo(fifo, strlen(fifo)) : new_pipe();
	if (!j)
		return err_sys(e, "make a pipe for job tokens");
	j->ours = true;
	j->jobs = jobs;
	while (tokens-- > 0)
		buf_addc(&j->had, '+');
	while (j->had.len)
		jobserver_give(j);
	*out = j;
	return 0;
}

void jobserver_close(struct jobserver *j)
{
	if (!j)
		return;
	jobserver_give_all(j);
	if (j->ours && j->fifo)
		unlink(j->fifo);
	fd_close(&j->in);
	fd_close(&j->theirs);
	fd_close(&j->out);
	buf_fini(&j->had);
	pthread_mutex_destroy(&j->lock);
	free(j->fifo);
	free(j);
}

bool jobserver_take(struct jobserver *j)
{
	ssize_t n;
	char token;

	pthread_mutex_lock(&j->lock);
	do
		n = j->over ? 0 : read(j->in, &token, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		buf_addc(&j->had, token);
	pthread_mutex_unlock(&j->lock);
	return n == 1;
}

/* Under the lock. There was room for it before it was taken; but others may have made the
 * pipe non-blocking, and a byte lost is a job less for the rest of make's run. */
static void give_last(struct jobserver *j)
{
	while (write(j->out, &j->had.s[j->had.len - 1], 1) < 0) {
		struct pollfd p = { .fd = j->out, .events = POLLOUT };

		if (errno == EAGAIN)
			poll(&p, 1, -1);
		else if (errno != EINTR)
			break; /* nobody is there any more */
	}
	buf_truncate(&j->had, j->had.len - 1);
}

void jobserver_give(struct jobserver *j)
{
	pthread_mutex_lock(&j->lock);
	if (j->had.len)
		give_last(j);
	pthread_mutex_unlock(&j->lock);
}

void jobserver_give_all(struct jobserver *j)
{
	pthread_mutex_lock(&j->lock);
	j->over = true;
	while (j->had.len)
		give_last(j);
	pthread_mutex_unlock(&j->lock);
}

int jobserver_fd(const struct jobserver *j)
{
	return j->in;
}

static bool is_ours_to_say(const char *word, size_t n)
{
	return (n >= 2 && !strncmp(word, "-j", 2)) ||
	       (n >= 12 && !strncmp(word, "--jobserver-", 12));
}

/* MAKEFLAGS is letters, then options, then "--" and variables. */
void jobserver_offer(const struct jobserver *j, const char *makeflags, bool by_name,
                     struct buf *out, int fds[2])
{
	const char *s = makeflags ? makeflags : "";
	size_t start = out->len, n;

	fds[0] = fds[1] = -1;
	for (; *s && (n = strcspn(s, " "), n != 2 || strncmp(s, "--", 2) != 0); s += n) {
		if (n && !is_ours_to_say(s, n))
			buf_addf(out, "%s%.*s", out->len > start ? " " : "", (int)n, s);
		n += s[n] != '\0';
	}
	if (j && j->jobs)
		buf_addf(out, " -j%d", j->jobs);
	if (j && j->fifo && (by_name || !j->ours)) {
		buf_addf(out, " --jobserver-auth=fifo:%s", j->fifo);
	} else if (j) {
		buf_adds(out, " --jobserver-auth=3,4");
		fds[0] = j->theirs;
		fds[1] = j->out;
	}
	if (*s)
		buf_addf(out, " %s", s);
}

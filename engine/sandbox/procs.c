#include "sandbox/procs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/fd.h"

enum { NAMES_ROOM = 32 * 1024, TEXT_ROOM = 2048, COUNTED = 20 };

/* More than there are pids, with as many commands of each as we count. */
static const uint64_t range = (uint64_t)1 << 43, most = (uint64_t)1 << 62;

/* getdents64(2) */
struct kernel_dirent {
	uint64_t ino;
	int64_t off;
	unsigned short len;
	unsigned char type;
	char name[];
};

static uint64_t own_limit(int which)
{
	struct rlimit r;

	if (getrlimit(which, &r) < 0)
		return 0;
	return r.rlim_max < most ? r.rlim_max : most;
}

int procs_mark_new(struct procs_mark *m, struct err *e)
{
	static atomic_uint count;
	uint64_t n = (uint64_t)getpid() << COUNTED |
	             (atomic_fetch_add(&count, 1) & ((1U << COUNTED) - 1));
	uint64_t locks = own_limit(RLIMIT_LOCKS), time = own_limit(RLIMIT_RTTIME);

	if (locks < range || time < range)
		return err_set(e, ERR_LIMIT,
		               "--isolation=chroot needs high limits of locks and of "
		               "real-time processes (ulimit -x, -R), to know its own");
	*m = (struct procs_mark){ locks - 1 - n, time - range + n };
	return 0;
}

int procs_mark_take(const struct procs_mark *m, struct err *e)
{
	const struct rlimit locks = { m->falling, m->falling },
			    time = { m->rising, m->rising };

	if (setrlimit(RLIMIT_LOCKS, &locks) < 0 || setrlimit(RLIMIT_RTTIME, &time) < 0)
		return err_sys(e, "mark the processes of the command");
	return 0;
}

/* Empty if it is gone. */
static void read_file(int proc, pid_t pid, const char *name, char text[TEXT_ROOM])
{
	char path[32];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "%d/%s", (int)pid, name);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, TEXT_ROOM - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
}

/* "PID (NAME) STATE …", and a name may hold anything. */
static bool is_dead(int proc, pid_t pid)
{
	char text[TEXT_ROOM];
	const char *after;

	read_file(proc, pid, "stat", text);
	after = strrchr(text, ')');
	return !after || strchr("ZX", after[1] ? after[2] : 'X');
}

/* "NAME  SOFT  HARD  UNITS": a number, or a word if there is none. */
static uint64_t hard_limit(const char *limits, const char *name)
{
	const char *line = strstr(limits, name);
	unsigned long long n;

	if (!line || sscanf(line + strlen(name), " %*s %llu", &n) != 1)
		return UINT64_MAX;
	return n;
}

/* Who has lowered them further may be anybody who could, us among them. */
static bool is_marked(const struct procs *p, pid_t pid)
{
	char text[TEXT_ROOM];

	read_file(p->proc, pid, "limits", text);
	return hard_limit(text, "Max file locks") <= p->mark.falling &&
	       hard_limit(text, "Max realtime timeout") <= p->mark.rising;
}

/* Its root directory tells, which it has no way to change; but without rights over its
 * user, or if it hides itself (PR_SET_DUMPABLE), we do not see that. */
static bool is_one(const struct procs *p, pid_t pid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "%d/root", (int)pid);
	if (fstatat(p->proc, path, &st, 0) == 0)
		return st.st_dev == p->dev && st.st_ino == p->ino;
	return errno == EACCES && is_marked(p, pid) && !is_dead(p->proc, pid);
}

static int signal_one(const struct procs *p, const char *name, int sig)
{
	pid_t pid = atoi(name);

	if (pid <= 1 || pid == getpid())
		return 0;
	if (!is_one(p, pid))
		return 0;
	return kill(pid, sig) == 0;
}

int procs_signal(const struct procs *p, int sig)
{
	_Alignas(struct kernel_dirent) char names[NAMES_ROOM];
	int count = 0;
	long n;

	if (lseek(p->proc, 0, SEEK_SET) < 0)
		return 0;
	while ((n = syscall(SYS_getdents64, p->proc, names, sizeof(names))) > 0) {
		for (long at = 0; at < n;) {
			const struct kernel_dirent *d = (const void *)(names + at);

			count += signal_one(p, d->name, sig);
			at += d->len;
		}
	}
	return count;
}

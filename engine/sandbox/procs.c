#include "sandbox/procs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/fd.h"

enum { NAMES_ROOM = 32 * 1024, STAT_ROOM = 512 };

/* getdents64(2) */
struct kernel_dirent {
	uint64_t ino;
	int64_t off;
	unsigned short len;
	unsigned char type;
	char name[];
};

/* 0: it is gone. "PID (NAME) STATE PPID …", and a name may hold anything. */
static pid_t parent_of(int proc, pid_t pid)
{
	char path[32], text[STAT_ROOM];
	const char *after;
	int fd, parent = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "%d/stat", (int)pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	after = strrchr(text, ')');
	return after && sscanf(after, ") %*c %d", &parent) == 1 ? parent : 0;
}

static bool descends(const struct procs *p, pid_t pid)
{
	while (p->ancestor && pid > 1) {
		pid = parent_of(p->proc, pid);
		if (pid == p->ancestor)
			return true;
	}
	return false;
}

/* Its root directory tells, which it has no way to change; but one that hides itself from
 * others (PR_SET_DUMPABLE) hides that too. */
static bool is_one(const struct procs *p, pid_t pid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "%d/root", (int)pid);
	if (fstatat(p->proc, path, &st, 0) == 0)
		return st.st_dev == p->dev && st.st_ino == p->ino;
	return errno == EACCES && descends(p, pid);
}

static int signal_one(const struct procs *p, const char *name, int sig)
{
	pid_t pid = atoi(name);

	if (pid <= 1 || pid == p->ancestor || pid == getpid())
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

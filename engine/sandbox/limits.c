#include "sandbox/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"

enum { FILE_MAX = 4 << 20, MAKE_TRIES = 1000, REMOVE_TRIES = 1000 };

static const char prefix[] = "imgmake-";

static int write_file(int dir, const char *name, const char *text, struct err *e)
{
	AUTO_CLOSE int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s of the control group", name);
	return fd_write(fd, text, strlen(text), name, e);
}

/* Files of /sys and /proc say that they are empty, so they are read to their end. */
static int read_file(int dir, const char *name, struct buf *out, struct err *e)
{
	AUTO_CLOSE int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s", name);
	return fd_read_all(fd, out, FILE_MAX, name, e);
}

/* The path of our group: the line "0::/PATH" of /proc/self/cgroup. */
static int own_group(struct buf *path, struct err *e)
{
	AUTO_BUF text = BUF_INIT;

	if (read_file(AT_FDCWD, "/proc/self/cgroup", &text, e) < 0)
		return -1;
	for (const char *line = text.s; *line; line += strcspn(line, "\n") + 1) {
		if (strncmp(line, "0::", 3) == 0) {
			buf_add(path, line + 3, strcspn(line + 3, "\n"));
			return 0;
		}
		if (!strchr(line, '\n'))
			break;
	}
	return err_set(e, ERR_NOT_FOUND, "control groups version 2 are not in use here");
}

/* "ID PARENT DEV ROOT MOUNTPOINT … - cgroup2 …": octal escapes do not occur where systems
 * put it. */
static int mount_point(struct buf *path, struct err *e)
{
	AUTO_BUF text = BUF_INIT;

	if (read_file(AT_FDCWD, "/proc/self/mountinfo", &text, e) < 0)
		return -1;
	for (char *line = text.s, *end; *line; line = end) {
		char at[4096];

		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = '\0';
		if (strstr(line, " - cgroup2 ") &&
		    sscanf(line, "%*s %*s %*s / %4095s", at) == 1) {
			buf_adds(path, at);
			return 0;
		}
	}
	return err_set(e, ERR_NOT_FOUND, "no cgroup2 file system is mounted");
}

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *s = list; (s = strstr(s, word)); s += n)
		if ((s == list || s[-1] == ' ') &&
		    (s[n] == '\0' || s[n] == ' ' || s[n] == '\n'))
			return true;
	return false;
}

static int has_controllers(int dir, struct err *e)
{
	AUTO_BUF list = BUF_INIT;

	if (read_file(dir, "cgroup.controllers", &list, e) < 0)
		return -1;
	if (!has_word(list.s, "memory") || !has_word(list.s, "pids"))
		return err_set(e, ERR_NOT_FOUND,
		               "the controllers memory and pids are not delegated to us");
	return 0;
}

/* A group that gives controllers to groups below it may hold no processes itself, the
 * root excepted: then we go to one below, if we are all that is in it. */
static int enable(int dir, struct err *e)
{
	static const char controllers[] = "+memory +pids";
	struct err again;
	char pid[24];

	if (write_file(dir, "cgroup.subtree_control", controllers, e) == 0)
		return 0;
	if (e->sys != EBUSY)
		return -1;
	if (mkdirat(dir, "imgmake", 0755) < 0 && errno != EEXIST)
		return err_sys(e, "make a control group");
	AUTO_CLOSE int leaf = openat(dir, "imgmake", O_PATH | O_DIRECTORY | O_CLOEXEC);

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (leaf < 0)
		return err_sys(e, "open a control group");
	if (write_file(leaf, "cgroup.procs", pid, e) < 0)
		return -1;
	if (write_file(dir, "cgroup.subtree_control", controllers, e) == 0)
		return 0;
	if (write_file(dir, "cgroup.procs", pid, &again) == 0)
		unlinkat(dir, "imgmake", AT_REMOVEDIR);
	return -1;
}

/* What a run whose imgmake was killed has left. Its group is empty, and nobody has the
 * lock that a living one holds. */
static void sweep(int dir)
{
	DIR *list = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	const struct dirent *d;

	while (list && (d = readdir(list))) {
		AUTO_CLOSE int fd = -1;

		if (strncmp(d->d_name, prefix, sizeof(prefix) - 1) != 0)
			continue;
		fd = openat(dir, d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			unlinkat(dir, d->d_name, AT_REMOVEDIR);
	}
	if (list)
		closedir(list);
}

int limits_open(struct err *e)
{
	AUTO_BUF path = BUF_INIT;
	AUTO_CLOSE int dir = -1;
	int out;

	if (mount_point(&path, e) < 0 || own_group(&path, e) < 0)
		return -1;
	dir = open(path.s, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "open the control group %s", path.s);
	if (has_controllers(dir, e) < 0)
		return -1;
	if (enable(dir, e) < 0)
		return err_wrap(e, "use the control group %s", path.s);
	sweep(dir);
	out = dir;
	dir = -1;
	return out;
}

static int set(const struct limits *l, const char *name, int64_t value, struct err *e)
{
	char text[24];

	if (!value)
		return 0;
	snprintf(text, sizeof(text), "%" PRId64, value);
	return write_file(l->group, name, text, e);
}

/* Taken as long as we live, so that sweep leaves it; it may have done so in between. A
 * pid of another namespace, or of one who is no more, may have had the name before. */
static int make_group(struct limits *l, struct err *e)
{
	static atomic_uint number;

	for (int i = 0; i < MAKE_TRIES; i++) {
		snprintf(l->name, sizeof(l->name), "%s%d-%u", prefix, (int)getpid(),
		         atomic_fetch_add(&number, 1));
		if (mkdirat(l->parent, l->name, 0755) < 0) {
			if (errno == EEXIST)
				continue;
			return err_sys(e, "make the control group %s", l->name);
		}
		l->group = openat(l->parent, l->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (l->group >= 0 && flock(l->group, LOCK_SH) == 0 &&
		    faccessat(l->group, "cgroup.procs", F_OK, 0) == 0)
			return 0;
		fd_close(&l->group);
	}
	return err_set(e, ERR_FAILED, "make the control group %s: no name is free",
	               l->name);
}

int limits_new(struct limits *l, const struct sandbox *s, const struct sandbox_spec *spec,
               struct err *e)
{
	struct err no_swap;

	l->group = -1;
	l->parent = s->cgroup;
	if (s->cgroup < 0)
		return 0;
	if (make_group(l, e) < 0)
		return -1;
	if (set(l, "memory.max", spec->memory, e) < 0 ||
	    set(l, "pids.max", spec->pids, e) < 0)
		return -1;
	/* Swap is no part of the promise, and kernels without it have no such file. */
	if (spec->memory && write_file(l->group, "memory.swap.max", "0", &no_swap) < 0)
		return 0;
	return 0;
}

bool limits_out_of_memory(const struct limits *l)
{
	AUTO_BUF text = BUF_INIT;
	struct err e;
	const char *line;

	if (l->group < 0 || read_file(l->group, "memory.events", &text, &e) < 0)
		return false;
	line = strstr(text.s, "oom_kill ");
	return line && strtoll(line + strlen("oom_kill "), NULL, 10) > 0;
}

void limits_free(struct limits *l)
{
	if (l->group < 0)
		return;
	/* What has been reaped may be counted for an instant longer. */
	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (unlinkat(l->parent, l->name, AT_REMOVEDIR) == 0 || errno != EBUSY)
			break;
		sched_yield();
	}
	fd_close(&l->group);
}

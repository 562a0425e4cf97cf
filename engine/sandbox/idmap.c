#include "sandbox/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/vec.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/process.h"
#include "sandbox/clone.h"
#include "sandbox/exec.h"

enum { FILE_MAX = 1 << 20, NAME_ROOM = 16 * 1024 };

/* Digits only, below 2^32. */
static bool read_id(const char *s, size_t n, uint32_t *out)
{
	uint64_t v = 0;

	if (!n || n > 10)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	*out = (uint32_t)v;
	return v <= UINT32_MAX;
}

static void parse_line(struct idmap *out, const char *line, size_t n, const char *name,
                       uid_t uid)
{
	const char *first = memchr(line, ':', n);
	const char *count =
		first ? memchr(first + 1, ':', n - (size_t)(first + 1 - line)) : NULL;
	struct idmap_range r;
	uint32_t number;
	size_t len = first ? (size_t)(first - line) : 0;

	if (!count || out->n == IDMAP_RANGES_MAX)
		return;
	if (!(name && strlen(name) == len && memcmp(name, line, len) == 0) &&
	    !(read_id(line, len, &number) && number == uid))
		return;
	if (read_id(first + 1, (size_t)(count - first - 1), &r.first) &&
	    read_id(count + 1, (size_t)(line + n - count - 1), &r.count) && r.count &&
	    r.count < UINT32_MAX - r.first)
		out->at[out->n++] = r;
}

void idmap_parse(struct idmap *out, const char *text, const char *name, uid_t uid)
{
	out->n = 0;
	while (*text) {
		size_t n = strcspn(text, "\n");

		parse_line(out, text, n, name, uid);
		text += n + (text[n] == '\n');
	}
}

static int read_file(struct idmap *out, const char *path, const char *name, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	struct err absent;

	if (file_exists(AT_FDCWD, path) &&
	    file_read(AT_FDCWD, path, &text, FILE_MAX, &absent) < 0)
		buf_reset(&text); /* a file that cannot be read gives nothing */
	idmap_parse(out, text.s, name, getuid());
	if (!out->n)
		return err_set(e, ERR_NOT_FOUND, "%s gives no range to user %s", path,
		               name);
	return 0;
}

int idmap_of_user(struct idmap *uids, struct idmap *gids, struct err *e)
{
	AUTO_FREE char *room = mem_alloc(NAME_ROOM);
	struct passwd pw, *found = NULL;
	char number[16];
	const char *name = number;

	snprintf(number, sizeof(number), "%u", getuid());
	if (getpwuid_r(getuid(), &pw, room, NAME_ROOM, &found) == 0 && found)
		name = found->pw_name;
	if (read_file(uids, "/etc/subuid", name, e) < 0)
		return -1;
	return read_file(gids, "/etc/subgid", name, e);
}

/* newuidmap PID 0 UID 1 1 FIRST COUNT … */
static int map_ranges(const char *program, pid_t pid, uint32_t own,
                      const struct idmap *map, struct err *e)
{
	AUTO_STRLIST args = STRLIST_INIT;
	AUTO_BUF said = BUF_INIT;
	uint32_t inside = 1;
	int status;
	char number[16];
	struct process_options o = { .cwd = -1, .out = &said, .err = &said };

	strlist_add(&args, program);
#define NUMBER(v)                                                                        \
	(snprintf(number, sizeof(number), "%u", (unsigned)(v)),                          \
	 strlist_add(&args, number))
	NUMBER(pid);
	NUMBER(0);
	NUMBER(own);
	NUMBER(1);
	for (size_t i = 0; i < map->n; i++) {
		uint32_t left = UINT32_MAX - 1 - inside;
		uint32_t count = map->at[i].count < left ? map->at[i].count : left;

		if (!count)
			break;
		NUMBER(inside);
		NUMBER(map->at[i].first);
		NUMBER(count);
		inside += count;
	}
#undef NUMBER
	strlist_take(&args, NULL);
	o.argv = (const char *const *)args.at;
	if (process_run(&o, &status, e) < 0)
		return -1;
	if (status) {
		said.s[strcspn(said.s, "\n")] = '\0';
		return err_set(e, ERR_FAILED, "%s failed with status %d: %s", program,
		               status, said.s);
	}
	return 0;
}

static int write_proc(pid_t pid, const char *name, const char *text, struct err *e)
{
	char path[64];
	AUTO_CLOSE int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open %s", path);
	return fd_write(fd, text, strlen(text), path, e);
}

static int map_single(pid_t pid, struct err *e)
{
	char uid[32], gid[32];

	snprintf(uid, sizeof(uid), "0 %u 1", geteuid());
	snprintf(gid, sizeof(gid), "0 %u 1", getegid());
	if (write_proc(pid, "setgroups", "deny", e) < 0 ||
	    write_proc(pid, "uid_map", uid, e) < 0)
		return -1;
	return write_proc(pid, "gid_map", gid, e);
}

static int map_and_open(pid_t pid, const struct idmap *uids, const struct idmap *gids,
                        struct err *e)
{
	char path[64];
	int fd;

	if (uids && map_ranges("newuidmap", pid, geteuid(), uids, e) < 0)
		return -1;
	if (uids && map_ranges("newgidmap", pid, getegid(), gids, e) < 0)
		return -1;
	if (!uids && map_single(pid, e) < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "open the user namespace") : fd;
}

/* A child is needed only until the namespace can be held by an fd. */
int idmap_namespace(const struct idmap *uids, const struct idmap *gids, struct err *e)
{
	sigset_t all, before;
	pid_t pid;
	int fd;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = clone_child(CLONE_NEWUSER, -1, NULL);
	if (pid == 0)
		exec_idle();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return err_sys(e, "make a user namespace");
	fd = map_and_open(pid, uids, gids, e);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return fd;
}

/* The child's side of a run by an OCI runtime: what it finds, and what becomes of it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/fd.h"
#include "sandbox/mount_call.h"
#include "sandbox/setup.h"

enum { LOG_MAX = 16 * 1024 };

static int put_over(const char *path, const char *type, unsigned flags, struct err *e)
{
	AUTO_CLOSE int target = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int tree = -1;

	if (target < 0)
		return err_sys(e, "open %s", path);
	tree = mount_new(type, NULL, flags | ATTACH_NOEXEC, e);
	return tree < 0 ? -1 : mount_attach(tree, target, path, e);
}

static int check_user(const struct setup *s, struct err *e)
{
	const struct sandbox_spec *spec = s->spec;

	errno = EINVAL; /* as the kernel has it where there is nobody else */
	if (!s->many_ids && spec->gid)
		return err_sys(e, "become group %u", spec->gid);
	if (!s->many_ids && spec->uid)
		return err_sys(e, "become user %u", spec->uid);
	return 0;
}

/* With our own words for the commonest mistakes. Relative names of PATH are left to it.
 */
static int check_program(const struct setup *s, int root, struct err *e)
{
	const char *name = s->spec->argv[0];
	bool there = false;

	for (const char **p = s->programs; *p; p++) {
		AUTO_CLOSE int fd = root_open(root, *p, O_PATH);
		struct stat st;

		if (**p != '/' || (fd >= 0 && fstat(fd, &st) == 0 && st.st_mode & 0111))
			return 0;
		there = there || fd >= 0;
	}
	if (there)
		return err_set(e, ERR_DENIED, "%s: user %u may not run it", name,
		               s->spec->uid);
	return err_set(e, ERR_NOT_FOUND, "%s: no such program in the image%s", name,
	               strchr(name, '/') ? "" : " (PATH)");
}

int runtime_prepare(const struct setup *s, int root, int stage, struct err *e)
{
	const struct setup_runtime *r = s->runtime;
	struct err ignored;
	AUTO_CLOSE int fd = -1;

	if (check_user(s, e) < 0 || check_program(s, root, e) < 0)
		return -1;
	/* Its side of a terminal is mounted on what has to be there. */
	if (!r->leaves)
		fd = root_open(root, "dev/console", O_CREAT | O_WRONLY);
	if (!r->leaves && fd < 0)
		return err_sys(e, "make /dev/console");
	fd_close(&fd);
	fd = openat(stage, "config.json", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "make config.json in memory");
	if (fd_write(fd, r->config, r->config_len, "config.json", e) < 0)
		return -1;
	/* It looks itself up in /proc, by the numbers of our pid namespace. */
	if (put_over("/proc", "proc", 0, e) < 0)
		return -1;
	/* Nothing to be made there. Where this cannot be shown, it sees the machine's. */
	if (put_over("/sys/fs/cgroup", "cgroup2", ATTACH_READ_ONLY, &ignored) < 0)
		return 0;
	return 0;
}

/* The last line of its log, without what stands before and around the message:
 * time="…" level=error msg="…". */
static const char *last_words(const char *path, char text[LOG_MAX])
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : pread(fd, text, LOG_MAX - 1, 0);
	char *line, *msg;

	text[n > 0 ? n : 0] = '\0';
	for (n = n > 0 ? n : 0; n && text[n - 1] == '\n'; n--)
		text[n - 1] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	msg = strstr(line, " msg=\"");
	if (!msg)
		return *line ? line : "it did not say why";
	msg += strlen(" msg=\"");
	if (*msg && msg[strlen(msg) - 1] == '"')
		msg[strlen(msg) - 1] = '\0';
	return msg;
}

static int refused(const struct setup_runtime *r, struct err *e)
{
	char text[LOG_MAX];

	return err_set(e, ERR_FAILED,
	               "%s refused to run it: %s; try another --runtime, or none",
	               r->argv[0], last_words(r->log, text));
}

static pid_t read_pid(const struct setup_runtime *r, struct err *e)
{
	AUTO_CLOSE int fd = open(r->pid_file, O_RDONLY | O_CLOEXEC);
	char text[24];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	pid_t pid = 0;

	for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
		pid = pid * 10 + (text[i] - '0');
	if (pid <= 1)
		return err_set(e, ERR_FAILED,
		               "%s named no process: is it an OCI runtime?", r->argv[0]);
	return pid;
}

/* Our mounts are still those of the host: out of sight, whoever looks at /proc/1/root. */
static int leave_host(const struct setup_runtime *r, struct err *e)
{
	if (chroot(r->nowhere) < 0 || chdir("/") < 0)
		return err_sys(e, "leave the host's files");
	return 0;
}

pid_t runtime_command(const struct setup *s, pid_t runtime, struct err *e)
{
	const struct setup_runtime *r = s->runtime;
	pid_t command = runtime;
	int status = 0;

	if (r->leaves) {
		while (waitpid(runtime, &status, 0) < 0 && errno == EINTR)
			continue;
		command = status ? refused(r, e) : read_pid(r, e);
	}
	return command < 0 || leave_host(r, e) < 0 ? -1 : command;
}

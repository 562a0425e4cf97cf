/* /proc, /sys and /dev: fresh ones, and of those only what a build has use for. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fd.h"
#include "sandbox/mount_call.h"
#include "sandbox/setup.h"

enum { KERNEL_FS = ATTACH_NOEXEC };

/* Must be the image's own directory, since what is mounted through a symlink would not be
 * where the masks are looked for. Made if absent. */
static int open_own(const struct setup *s, int root, const char *path, struct err *e)
{
	const char *name = path + 1;
	int fd = root_open_plain(root, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);

	if (fd < 0 && errno == ENOENT) {
		struct stat before;
		struct timespec times[2];

		if (fstat(root, &before) < 0 || mkdirat(root, name, 0755) < 0)
			return err_sys(e, "make the directory %s in the image", path);
		times[0] = before.st_atim;
		times[1] = before.st_mtim;
		if (utimensat(root, ".", times, 0) < 0)
			return err_sys(e, "put the time of the image's root back");
		setup_stub(s, path);
		fd = root_open_plain(root, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
	}
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return err_set(e, ERR_INVALID,
		               "%s of the image is a symlink or a file, not a directory",
		               path);
	return fd < 0 ? err_sys(e, "open %s of the image", path) : fd;
}

static int mount_over(int dir, const char *path, int tree, struct err *e)
{
	AUTO_CLOSE int target = root_open_plain(dir, path, O_PATH | O_NOFOLLOW);

	if (target < 0)
		return err_sys(e, "open %s of the new root", path);
	return mount_attach(tree, target, path, e);
}

/* Read-only from here on. */
static int freeze(int dir, const char *path, struct err *e)
{
	AUTO_CLOSE int tree = mount_clone(dir, path, ATTACH_READ_ONLY | KERNEL_FS, e);

	return tree < 0 ? -1 : mount_over(dir, path, tree, e);
}

static int mask(int dir, const char *path, int stage, struct err *e)
{
	AUTO_CLOSE int target = root_open_plain(dir, path, O_PATH | O_NOFOLLOW);
	AUTO_CLOSE int tree = -1;
	struct stat st;

	if (target < 0) /* not every kernel has them all */
		return errno == ENOENT ? 0 : err_sys(e, "mask %s", path);
	if (fstat(target, &st) < 0)
		return err_sys(e, "mask %s", path);
	tree = S_ISDIR(st.st_mode)
	               ? mount_clone(stage, "empty", ATTACH_READ_ONLY | ATTACH_NOEXEC, e)
	               : mount_clone(AT_FDCWD, "/dev/null", ATTACH_DEVICES, e);
	return tree < 0 ? -1 : mount_attach(tree, target, path, e);
}

/* As Docker has them. */
static int mask_all(int proc, int stage, struct err *e)
{
	static const char *const masked[] = {
		"acpi",          "asound",      "interrupts", "kcore",      "keys",
		"latency_stats", "sched_debug", "scsi",       "timer_list", "timer_stats",
	};
	static const char *const frozen[] = { "bus", "fs", "irq", "sys",
		                              "sysrq-trigger" };

	for (size_t i = 0; i < ARRAY_LEN(masked); i++)
		if (mask(proc, masked[i], stage, e) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_LEN(frozen); i++)
		if (faccessat(proc, frozen[i], F_OK, 0) == 0 &&
		    freeze(proc, frozen[i], e) < 0)
			return -1;
	return 0;
}

/* Before /proc/sys is frozen: the value holds for this pid namespace only. */
static int limit_pids(const struct setup *s, int proc, struct err *e)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%lld", (long long)s->pid_max);
	AUTO_CLOSE int fd = -1;

	if (!s->pid_max)
		return 0;
	fd = openat(proc, "sys/kernel/pid_max", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open /proc/sys/kernel/pid_max");
	return fd_write(fd, text, (size_t)n, "/proc/sys/kernel/pid_max", e);
}

static int mount_proc(const struct setup *s, int root, int stage, struct err *e)
{
	AUTO_CLOSE int target = open_own(s, root, "/proc", e);
	AUTO_CLOSE int proc = -1;

	if (target < 0)
		return -1;
	proc = mount_new("proc", NULL, KERNEL_FS, e);
	if (proc < 0 || mount_attach(proc, target, "/proc", e) < 0)
		return -1;
	return limit_pids(s, proc, e) < 0 ? -1 : mask_all(proc, stage, e);
}

/* A sysfs shows a network namespace and belongs to who owns that: with the host's network
 * and no rights over it, the host's /sys is shown. */
static int mount_sys(const struct setup *s, int root, int stage, struct err *e)
{
	bool hosts = s->user_ns && s->spec->network == SANDBOX_NET_HOST;
	AUTO_CLOSE int target = open_own(s, root, "/sys", e);
	AUTO_CLOSE int sys = -1;

	if (target < 0)
		return -1;
	sys = hosts ? mount_clone(AT_FDCWD, "/sys",
	                          ATTACH_READ_ONLY | ATTACH_RECURSIVE | KERNEL_FS, e)
	            : mount_new("sysfs", NULL, ATTACH_READ_ONLY | KERNEL_FS, e);
	if (sys < 0 || mount_attach(sys, target, "/sys", e) < 0)
		return -1;
	if (mask(sys, "firmware", stage, e) < 0)
		return -1;
	return mask(sys, "devices/virtual/powercap", stage, e);
}

/* The host's own: a user namespace can make no devices, and root needs no other way. */
static int add_device(int dev, const char *name, struct err *e)
{
	char path[32];
	AUTO_CLOSE int file =
		openat(dev, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
	AUTO_CLOSE int tree = -1;
	struct stat st;

	if (file < 0)
		return err_sys(e, "make /dev/%s", name);
	snprintf(path, sizeof(path), "/dev/%s", name);
	tree = mount_clone(AT_FDCWD, path, ATTACH_DEVICES | ATTACH_NOEXEC, e);
	if (tree < 0)
		return -1;
	if (fstat(tree, &st) < 0 || !S_ISCHR(st.st_mode))
		return err_set(e, ERR_INVALID, "%s here is no character device", path);
	return mount_attach(tree, file, path, e);
}

struct memory_fs {
	const char *name, *type;
	const char *options[9];
	unsigned flags;
};

/* gid 5 is tty everywhere; where it does not exist, terminals go without. */
static int add_file_systems(const struct setup *s, int dev, struct err *e)
{
	const struct memory_fs all[] = {
		{ "pts",
		  "devpts",
		  { "newinstance", NULL, "ptmxmode", "0666", "mode", "0620",
		    s->many_ids ? "gid" : NULL, "5", NULL },
		  ATTACH_DEVICES | ATTACH_NOEXEC },
		{ "shm",
		  "tmpfs",
		  { "mode", "1777", "size", "67108864", NULL },
		  ATTACH_NOEXEC },
		{ "mqueue", "mqueue", { NULL }, ATTACH_NOEXEC },
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		AUTO_CLOSE int tree = -1;

		if (mkdirat(dev, all[i].name, 0755) < 0)
			return err_sys(e, "make /dev/%s", all[i].name);
		tree = mount_new(all[i].type, all[i].options, all[i].flags, e);
		if (tree < 0 || mount_over(dev, all[i].name, tree, e) < 0)
			return -1;
	}
	return 0;
}

static int populate_dev(const struct setup *s, int dev, struct err *e)
{
	static const char *const devices[] = { "null",   "zero",    "full",
		                               "random", "urandom", "tty" };
	static const char *const links[][2] = {
		{ "/proc/self/fd", "fd" },       { "/proc/self/fd/0", "stdin" },
		{ "/proc/self/fd/1", "stdout" }, { "/proc/self/fd/2", "stderr" },
		{ "pts/ptmx", "ptmx" },
	};

	for (size_t i = 0; i < ARRAY_LEN(devices); i++)
		if (add_device(dev, devices[i], e) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		if (symlinkat(links[i][0], dev, links[i][1]) < 0)
			return err_sys(e, "make /dev/%s", links[i][1]);
	return add_file_systems(s, dev, e);
}

static int mount_dev(const struct setup *s, int root, struct err *e)
{
	static const char *const options[] = { "mode", "0755", "size", "65536", NULL };
	AUTO_CLOSE int target = open_own(s, root, "/dev", e);
	AUTO_CLOSE int dev = -1;

	if (target < 0)
		return -1;
	dev = mount_new("tmpfs", options, ATTACH_NOEXEC, e);
	if (dev < 0 || mount_attach(dev, target, "/dev", e) < 0)
		return -1;
	return populate_dev(s, dev, e);
}

int devices_mount(const struct setup *s, int root, int stage, struct err *e)
{
	if (mount_proc(s, root, stage, e) < 0 || mount_sys(s, root, stage, e) < 0)
		return -1;
	return mount_dev(s, root, e);
}

#include "sandbox/mount_call.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/fd.h"

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

static uint64_t attributes(unsigned flags)
{
	uint64_t a = MOUNT_ATTR_NOSUID;

	if (flags & ATTACH_READ_ONLY)
		a |= MOUNT_ATTR_RDONLY;
	if (flags & ATTACH_NOEXEC)
		a |= MOUNT_ATTR_NOEXEC;
	if (!(flags & ATTACH_DEVICES))
		a |= MOUNT_ATTR_NODEV;
	return a;
}

int mount_new(const char *type, const char *const *options, unsigned flags, struct err *e)
{
	AUTO_CLOSE int fs = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
	int tree;

	if (fs < 0)
		return err_sys(e, "open the file system %s", type);
	for (; options && *options; options += 2) {
		unsigned how = options[1] ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;

		if (syscall(SYS_fsconfig, fs, how, options[0], options[1], 0) < 0)
			return err_sys(e, "set %s of %s", options[0], type);
	}
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_sys(e, "make a %s", type);
	tree = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
	                    (unsigned)attributes(flags));
	if (tree < 0)
		return err_sys(e, "mount a %s", type);
	return tree;
}

int mount_clone(int dir, const char *path, unsigned flags, struct err *e)
{
	unsigned how =
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;
	AUTO_CLOSE int tree = -1;
	int out;

	if (flags & ATTACH_RECURSIVE)
		how |= AT_RECURSIVE;
	tree = (int)syscall(SYS_open_tree, dir, path, how);
	if (tree < 0)
		return err_sys(e, "take the mount of %s", path);
	if (mount_restrict(tree, flags, path, e) < 0)
		return -1;
	out = tree;
	tree = -1;
	return out;
}

int mount_restrict(int tree, unsigned flags, const char *what, struct err *e)
{
	struct mount_attr a = { .attr_set = attributes(flags) };
	unsigned how = AT_EMPTY_PATH | (flags & ATTACH_RECURSIVE ? AT_RECURSIVE : 0);

	if (syscall(SYS_mount_setattr, tree, "", how, &a, sizeof(a)) < 0)
		return err_sys(e, "restrict the mount of %s", what);
	return 0;
}

int mount_attach(int tree, int target, const char *what, struct err *e)
{
	if (syscall(SYS_move_mount, tree, "", target, "",
	            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_sys(e, "mount %s", what);
	return 0;
}

static int open_how(int root, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = flags & O_CREAT ? 0644 : 0,
		.resolve = resolve | RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

int root_open(int root, const char *path, int flags)
{
	return open_how(root, path, flags, 0);
}

int root_open_plain(int root, const char *path, int flags)
{
	return open_how(root, path, flags, RESOLVE_NO_SYMLINKS);
}

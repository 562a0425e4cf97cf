/* confine HOW COMMAND…: runs a command with fewer rights than root has, for tests.
 *   docker      the capabilities and the system calls of an unprivileged Docker
 * container: moby's profiles/seccomp/default.json for those capabilities no-overlay
 * everything but mounting overlayfs, kernel's or fuse's: told by the flags that imgmake
 * mounts it with */
#include <errno.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(c) ((uint64_t)1 << (c))
#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const uint64_t docker_caps =
	BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FSETID) | BIT(CAP_FOWNER) |
	BIT(CAP_MKNOD) | BIT(CAP_NET_RAW) | BIT(CAP_SETGID) | BIT(CAP_SETUID) |
	BIT(CAP_SETFCAP) | BIT(CAP_SETPCAP) | BIT(CAP_NET_BIND_SERVICE) |
	BIT(CAP_SYS_CHROOT) | BIT(CAP_KILL) | BIT(CAP_AUDIT_WRITE);

static const char *const docker_denied[] = {
	"acct",
	"add_key",
	"bpf",
	"clock_adjtime",
	"clock_settime",
	"create_module",
	"delete_module",
	"fanotify_init",
	"finit_module",
	"fsconfig",
	"fsmount",
	"fsopen",
	"fspick",
	"get_mempolicy",
	"init_module",
	"io_uring_enter",
	"io_uring_register",
	"io_uring_setup",
	"ioperm",
	"iopl",
	"kcmp",
	"kexec_file_load",
	"kexec_load",
	"keyctl",
	"lookup_dcookie",
	"mbind",
	"mount",
	"mount_setattr",
	"move_mount",
	"move_pages",
	"name_to_handle_at",
	"nfsservctl",
	"open_by_handle_at",
	"open_tree",
	"perf_event_open",
	"pivot_root",
	"process_madvise",
	"quotactl",
	"quotactl_fd",
	"reboot",
	"request_key",
	"set_mempolicy",
	"setdomainname",
	"sethostname",
	"setns",
	"settimeofday",
	"swapoff",
	"swapon",
	"sysfs",
	"syslog",
	"umount",
	"umount2",
	"unshare",
	"userfaultfd",
	"ustat",
	"vhangup",
};

static void die(const char *what)
{
	perror(what);
	exit(126);
}

static void check(int rc, const char *what)
{
	if (rc == 0 || rc == -EEXIST || rc == -EDOM)
		return;
	errno = -rc;
	die(what);
}

static void deny_like_docker(scmp_filter_ctx c)
{
	const uint64_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
	                            CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
	                            CLONE_NEWNET;

	for (size_t i = 0; i < LEN(docker_denied); i++) {
		int nr = seccomp_syscall_resolve_name(docker_denied[i]);

		if (nr != __NR_SCMP_ERROR)
			check(seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), nr, 0),
			      docker_denied[i]);
	}
	for (uint64_t bit = 1; bit <= UINT32_MAX; bit <<= 1)
		if (namespaces & bit)
			check(seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone),
			                       1,
			                       SCMP_A0_64(SCMP_CMP_MASKED_EQ, bit, bit)),
			      "clone");
	check(seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0), "clone3");
}

static void deny_overlay(scmp_filter_ctx c)
{
	check(seccomp_rule_add(c, SCMP_ACT_ERRNO(ENODEV), SCMP_SYS(mount), 1,
	                       SCMP_A3_64(SCMP_CMP_EQ, MS_NODEV | MS_NOSUID)),
	      "mount");
}

static void keep_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 64; i++)
		if (!(keep & BIT(i)) && prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1 &&
		    prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
			die("drop a capability");
	if (syscall(SYS_capget, &header, data) < 0)
		die("capget");
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(keep >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) < 0)
		die("capset");
}

int main(int argc, char **argv)
{
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
	int docker = argc > 2 && !strcmp(argv[1], "docker");

	if (!c || argc < 3 || (!docker && strcmp(argv[1], "no-overlay") != 0)) {
		fprintf(stderr, "usage: confine docker|no-overlay COMMAND...\n");
		return 126;
	}
	/* Docker sets no no_new_privs, and neither do we. */
	check(seccomp_attr_set(c, SCMP_FLTATR_CTL_NNP, 0), "no_new_privs");
	if (docker)
		deny_like_docker(c);
	else
		deny_overlay(c);
	check(seccomp_load(c), "load the filter");
	seccomp_release(c);
	if (docker)
		keep_capabilities(docker_caps);
	execvp(argv[2], argv + 2);
	die(argv[2]);
}

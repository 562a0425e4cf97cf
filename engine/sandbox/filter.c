#include "sandbox/filter.h"

#include <errno.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "os/fd.h"

enum { PROGRAM_MAX = 1 << 20 };

/* Docker's default profile read as a list of what it denies without extra capabilities.
 * Most need a capability that is gone as well; a filter also keeps their code out of
 * reach. */
static const char *const denied[] = {
	"acct",
	"add_key",
	"bpf",
	"clock_adjtime",
	"clock_settime",
	"clock_settime64",
	"create_module",
	"delete_module",
	"fanotify_init",
	"finit_module",
	"fsconfig",
	"fsmount",
	"fsopen",
	"fspick",
	"get_kernel_syms",
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
	"lsm_set_self_attr",
	"mount",
	"mount_setattr",
	"move_mount",
	"move_pages",
	"nfsservctl",
	"open_by_handle_at",
	"open_tree",
	"perf_event_open",
	"pivot_root",
	"process_madvise",
	"query_module",
	"quotactl",
	"quotactl_fd",
	"reboot",
	"request_key",
	"setdomainname",
	"sethostname",
	"setns",
	"settimeofday",
	"stime",
	"swapoff",
	"swapon",
	"sysfs",
	"syslog",
	"_sysctl",
	"umount",
	"umount2",
	"unshare",
	"uselib",
	"userfaultfd",
	"ustat",
	"vhangup",
	"vm86",
	"vm86old",
};

static const char *const owner_calls[] = {
	"chown", "chown32", "fchown", "fchown32", "fchownat", "lchown", "lchown32",
};

static const uint64_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                   CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                   CLONE_NEWNET;

/* What the kernel of a 64-bit machine also runs. Absent from the list, a call of theirs
 * would not pass any rule. */
static void add_other_abis(scmp_filter_ctx c)
{
	static const uint32_t abis[][2] = {
		{ SCMP_ARCH_X86_64, SCMP_ARCH_X86 },
		{ SCMP_ARCH_X86_64, SCMP_ARCH_X32 },
		{ SCMP_ARCH_AARCH64, SCMP_ARCH_ARM },
		{ SCMP_ARCH_S390X, SCMP_ARCH_S390 },
		{ SCMP_ARCH_MIPS64, SCMP_ARCH_MIPS },
		{ SCMP_ARCH_MIPSEL64, SCMP_ARCH_MIPSEL },
	};

	for (size_t i = 0; i < ARRAY_LEN(abis); i++)
		if (abis[i][0] == seccomp_arch_native())
			seccomp_arch_add(c, abis[i][1]); /* there already: fine */
}

/* A name that this version of the library or this machine does not have needs no rule. */
static int deny(scmp_filter_ctx c, uint32_t action, const char *name)
{
	int nr = seccomp_syscall_resolve_name(name);
	int rc = nr == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(c, action, nr, 0);

	return rc == -EEXIST || rc == -EDOM ? 0 : rc;
}

static int deny_by_argument(scmp_filter_ctx c)
{
	const uint32_t no = SCMP_ACT_ERRNO(EPERM);
	/* Typing into the terminal; sockets of hypervisors and of the kernel's ciphers.
	 */
	const struct {
		int nr;
		struct scmp_arg_cmp arg;
	} rules[] = {
		{ SCMP_SYS(ioctl), SCMP_A1_64(SCMP_CMP_MASKED_EQ, 0xffffffff, TIOCSTI) },
		{ SCMP_SYS(ioctl),
		  SCMP_A1_64(SCMP_CMP_MASKED_EQ, 0xffffffff, TIOCLINUX) },
		{ SCMP_SYS(socket), SCMP_A0_64(SCMP_CMP_EQ, AF_VSOCK) },
		{ SCMP_SYS(socket), SCMP_A0_64(SCMP_CMP_EQ, AF_ALG) },
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(rules) && !rc; i++)
		rc = seccomp_rule_add(c, no, rules[i].nr, 1, rules[i].arg);
	/* One rule for each bit: any of them is enough. */
	for (uint64_t bit = 1; bit <= UINT32_MAX && !rc; bit <<= 1)
		if (namespaces & bit)
			rc = seccomp_rule_add(c, no, SCMP_SYS(clone), 1,
			                      SCMP_A0_64(SCMP_CMP_MASKED_EQ, bit, bit));
	/* Its arguments lie in memory, which no filter sees: programs fall back to clone.
	 */
	return rc ? rc : seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

static int add_rules(scmp_filter_ctx c, bool flat)
{
	int rc = seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));

	/* A tree rather than a chain: it is passed on every call. Older libraries have
	 * none. */
	(void)seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < ARRAY_LEN(denied) && !rc; i++)
		rc = deny(c, SCMP_ACT_ERRNO(EPERM), denied[i]);
	for (size_t i = 0; flat && i < ARRAY_LEN(owner_calls) && !rc; i++)
		rc = deny(c, SCMP_ACT_ERRNO(0), owner_calls[i]);
	return rc ? rc : deny_by_argument(c);
}

static int export(struct sock_fprog *out, scmp_filter_ctx c, struct err *e)
{
	AUTO_CLOSE int fd = memfd_create("filter", MFD_CLOEXEC);
	AUTO_BUF program = BUF_INIT;

	if (fd < 0)
		return err_sys(e, "make a file in memory for the filter of system calls");
	if (seccomp_export_bpf(c, fd) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_set(e, ERR_SYS, "write the filter of system calls");
	if (fd_read_all(fd, &program, PROGRAM_MAX, "the filter of system calls", e) < 0)
		return -1;
	if (program.len / sizeof(struct sock_filter) > UINT16_MAX)
		return err_set(e, ERR_LIMIT, "the filter of system calls is too long");
	out->len = (unsigned short)(program.len / sizeof(struct sock_filter));
	out->filter = (struct sock_filter *)(void *)buf_take(&program);
	return 0;
}

int filter_make(struct sock_fprog *out, bool flat, struct err *e)
{
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
	int rc;

	if (!c)
		return err_set(e, ERR_SYS, "make a filter of system calls");
	add_other_abis(c);
	rc = add_rules(c, flat);
	rc = rc ? err_set(e, ERR_SYS, "make a filter of system calls: %s", strerror(-rc))
	        : export(out, c, e);
	seccomp_release(c);
	return rc;
}
